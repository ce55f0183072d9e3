"""Weights without the pruned ones: of a pruned layer only the kept values, in flat order."""

from collections.abc import Mapping

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask
from lottery_ticket.names import check_shape

__all__ = ["check_fits", "compact", "expanded", "zeroed"]


def check_fits(mask: PruningMask, tensors: Mapping[str, torch.Tensor], what: str) -> None:
    """Raises `UsageError` that names the layer which `tensors` lacks, or has in another shape."""
    for name, kept in mask.items():
        if name not in tensors:
            raise UsageError(f"{what}: no tensor {name!r}, which the mask names")
        check_shape(f"{what}: {name!r}", tensors[name].shape, kept.shape, "its mask")


def zeroed(tensors: Mapping[str, torch.Tensor], mask: PruningMask) -> dict[str, torch.Tensor]:
    """CPU copies of `tensors`, exactly 0.0 where the mask prunes, under all names."""
    copies = {name: _copied(value) for name, value in tensors.items()}
    for name, masked in _masked_names(tensors, mask).items():
        copies[name].masked_fill_(~mask[masked].cpu(), 0)
    return copies


def compact(tensors: Mapping[str, torch.Tensor], mask: PruningMask) -> dict[str, torch.Tensor]:
    """CPU copies; of the mask's layers the kept values alone, as a vector."""
    found = zeroed(tensors, mask)
    for name, kept in mask.items():
        found[name] = found[name].view(-1)[kept.cpu().reshape(-1)]
    return found


def expanded(tensors: Mapping[str, torch.Tensor], mask: PruningMask) -> dict[str, torch.Tensor]:
    """What `compact` was given, 0.0 where pruned; raises `ValueError` if the counts differ."""
    whole = dict(tensors)
    for name, kept in mask.items():
        if tensors[name].shape != (int(kept.count_nonzero()),):
            raise ValueError(f"{tuple(tensors[name].shape)} values of {name!r} for its mask")
        flat = torch.zeros(kept.numel(), dtype=tensors[name].dtype)
        flat[kept.reshape(-1)] = tensors[name]
        whole[name] = flat.view(kept.shape)
    return whole


def _masked_names(tensors: Mapping[str, torch.Tensor], mask: PruningMask) -> dict[str, str]:
    """Name → the name its mask has; a tied parameter has one mask, and several names."""
    places = {_place(tensors[name]): name for name in mask}
    tied = {n: places[_place(v)] for n, v in tensors.items() if v.numel() and _place(v) in places}
    return tied | {name: name for name in mask}


def _place(value: torch.Tensor) -> tuple[object, ...]:
    return value.device, value.data_ptr(), value.shape, value.stride()


def _copied(value: torch.Tensor) -> torch.Tensor:
    # contiguous, and sharing nothing: so safetensors wants it
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
