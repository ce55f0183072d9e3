"""Masks in the forms that others use: torch.nn.utils.prune, zeros in a state_dict, 0/1 tensors."""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import nn
from torch.nn.utils import prune

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.masks._prunable import layer_weights
from lottery_ticket.names import (
    canonical_name,
    check_shape,
    find_parameters,
    joined,
    named_modules,
    near,
)

__all__ = ["masks_of_pruned", "masks_of_state", "plain_masks", "to_pruned_"]

# what can be compared with 0 and 1; the packed and quantised types cannot
_REAL = {
    torch.bool,
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    *(torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz),
}


_RECURRENT = ("weight_ih", "weight_hh", "weight_hr")  # torch's own names: LSTM, GRU, RNN


def masks_of_pruned(model: nn.Module) -> dict[str, torch.Tensor]:
    """The bool masks of a model in `weight_orig` / `weight_mask` form, by parameter name.

    Parameters of any kind that are in that form, and the prunable ones that are not, all kept.

    Raises:
        UsageError: no parameter is in that form; a mask is not of zeros and ones; layers share a
            parameter and prune it differently.
    """
    prunable = {id(value) for value in layer_weights(model).values()}
    found: dict[int, tuple[str, torch.Tensor]] = {}
    is_pruned = False
    for name, value, mask in _parameters_and_masks(model):
        is_pruned |= mask is not None
        if mask is None and id(value) not in prunable:
            continue
        kept = torch.ones_like(value, dtype=torch.bool) if mask is None else _kept(name, mask)
        first, known = found.setdefault(id(value), (name, kept))
        if not torch.equal(known, kept):
            raise UsageError(f"{first!r} and {name!r} are one parameter, pruned differently")
    if not is_pruned:
        raise UsageError(
            "no parameter of the model has the weight_orig / weight_mask form of "
            "torch.nn.utils.prune; after its remove(), the zeros are all there is: use "
            "PruningMask.from_state_dict(model.state_dict())"
        )
    return dict(found.values())


def _parameters_and_masks(
    model: nn.Module,
) -> Iterator[tuple[str, nn.Parameter, torch.Tensor | None]]:
    """(name, parameter, its mask or None) in model order; a shared parameter in all its places."""
    for path, module in named_modules(model).items():
        buffers = dict(module.named_buffers(recurse=False))
        found: dict[str, tuple[nn.Parameter, torch.Tensor | None]] = {}
        for key, value in module.named_parameters(recurse=False, remove_duplicate=False):
            base = key.removesuffix("_orig")
            is_pruned = base != key and f"{base}_mask" in buffers
            found[base if is_pruned else key] = (value, buffers.get(f"{base}_mask"))
        # pruning moves a parameter behind its siblings, and a layer's weight comes first
        for key in sorted(found, key=lambda key: key != "weight"):
            yield joined(path, key), *found[key]


def to_pruned_(model: nn.Module, masks: Mapping[str, torch.Tensor]) -> None:
    """Put the parameters named in `masks` into `weight_orig` / `weight_mask` form, in place.

    Raises:
        UsageError: a parameter is missing, of another shape, or in that form already; the model
            is then as it was.
    """
    _check_can_be_pruned(model, masks)
    parameters = find_parameters(model, masks)
    homes: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in model.modules():
        for key, value in module.named_parameters(recurse=False, remove_duplicate=False):
            homes.setdefault(id(value), []).append((module, key))
    for name, parameter in parameters.items():
        for module, key in homes[id(parameter)]:  # all layers that share it
            prune.custom_from_mask(module, key, masks[name].to(parameter.device))


def _check_can_be_pruned(model: nn.Module, masks: Mapping[str, torch.Tensor]) -> None:
    for name, _, mask in _parameters_and_masks(model):
        if name in masks and mask is not None:
            raise UsageError(
                f"{name!r} is in the form of torch.nn.utils.prune already; call its remove() first"
            )
    for name, parameter in find_parameters(model, masks).items():
        shape = masks[name].shape
        check_shape(f"the mask of {name!r}", shape, parameter.shape, "the model")


def masks_of_state(
    state_dict: Mapping[str, torch.Tensor], names: Iterable[str] | None = None
) -> dict[str, torch.Tensor]:
    """Bool masks from a state_dict: kept where not zero, or where its `*_mask` says so.

    Args:
        state_dict: parameter name → tensor; of a model in torch.nn.utils.prune's form too.
        names: the parameters to read; None for those that come with a mask, and for weights by
            name (`weight`, `in_proj_weight`, `weight_ih_l0`) that have two or more dimensions.

    Raises:
        UsageError: a name that is not there; no parameter found; a mask not of zeros and ones.
    """
    tensors = {
        canonical_name(name): value.detach()
        for name, value in state_dict.items()
        if isinstance(value, torch.Tensor)
    }
    masks = {
        base: tensors[f"{base}_mask"]
        for base in (name.removesuffix("_mask") for name in tensors if name.endswith("_mask"))
        if _has_mask(base, tensors)
    }
    known = list(dict.fromkeys(_base(name, masks) for name in tensors))
    if names is None:
        names = [name for name in known if name in masks or _is_weight(name, tensors[name])]
        if not names:
            raise UsageError(
                "no weight of two or more dimensions in the state_dict, which holds "
                f"{list(state_dict)[:5]}; choose with names="
            )
    elif isinstance(names, str):
        names = [names]
    found = {}
    for name in names:
        if name not in known:
            raise UsageError(f"the state_dict has no tensor {name!r}{near(name, known)}")
        found[name] = _kept(name, masks[name]) if name in masks else tensors[name] != 0
    return found


def _has_mask(base: str, tensors: Mapping[str, torch.Tensor]) -> bool:
    masked = tensors.get(f"{base}_orig", tensors.get(base))
    return masked is not None and masked.shape == tensors[f"{base}_mask"].shape


def _base(name: str, masks: Mapping[str, torch.Tensor]) -> str:
    for suffix in ("_orig", "_mask"):
        if name.endswith(suffix) and name.removesuffix(suffix) in masks:
            return name.removesuffix(suffix)
    return name


def _is_weight(name: str, value: torch.Tensor) -> bool:
    leaf = name.rsplit(".", 1)[-1]
    return value.ndim >= 2 and (leaf.startswith(_RECURRENT) or leaf.endswith("weight"))


def plain_masks(
    loaded: object, source: object, known: Iterable[str] = ()
) -> dict[str, torch.Tensor]:
    """Bool masks from what `torch.load` gave: a dict of tensors of zeros and ones, of any dtype.

    Names may end in `_mask` or `.mask`: `fc.weight_mask`, `fc.weight.mask` and `fc.mask` all speak
    of `fc.weight`.

    Args:
        loaded: the dict.
        source: what an error calls it.
        known: names to leave as they are.

    Raises:
        DataError: it is something else, or a tensor has other values.
    """
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and _is_plain(mask) for name, mask in loaded.items()
    ):
        raise DataError(
            f"{source}: a mask file holds plain bool tensors by parameter name, "
            "or tensors of zeros and ones"
        )
    masks: dict[str, torch.Tensor] = {}
    for key, mask in loaded.items():
        name = key if key in known else _parameter_name(canonical_name(key))
        if name in masks:
            raise DataError(f"{source}: holds two masks of {name!r}")
        if not _has_only_zeros_and_ones(mask):
            raise DataError(
                f"{source}: {key!r} has values other than 0 and 1, so it is no mask; for weights "
                "with zeros in them use PruningMask.from_state_dict"
            )
        masks[name] = mask != 0
    return masks


def _parameter_name(key: str) -> str:
    if key.endswith("_mask"):
        return key.removesuffix("_mask") or key
    base = key.removesuffix(".mask")
    return base if base == key or base.endswith(("weight", "bias")) else f"{base}.weight"


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.dtype in _REAL
        and value.layout == torch.strided
        and value.device.type == "cpu"  # a meta tensor has no values
    )


def _kept(name: str, mask: torch.Tensor) -> torch.Tensor:
    if not _has_only_zeros_and_ones(mask):
        raise UsageError(f"the mask of {name!r} has values other than 0 and 1")
    return mask.detach() != 0


def _has_only_zeros_and_ones(mask: torch.Tensor) -> bool:
    return bool(((mask == 0) | (mask == 1)).all())
