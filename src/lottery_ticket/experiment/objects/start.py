"""Initial weights from a file: θ₀ of a model that was trained elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load
from torch import nn

from lottery_ticket.data import content_digest
from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.names import near
from lottery_ticket.tensor_files import made_sense_of

__all__ = ["check_start", "read_start", "start_digest"]

_PLAIN = (".pt", ".pth", ".bin")
_WITHIN = ("state_dict", "model_state_dict", "model")


def read_start(path: str | Path) -> dict[str, torch.Tensor]:
    """The weights in a file: safetensors, or what `torch.save` wrote of a `state_dict`.

    Raises:
        DataError: there is none, it is damaged, would run code, or holds no tensors by name.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError(f"{file}: no such file; model.init.path names a file of weights")
    with made_sense_of(file, "file of weights", "; save it again"):
        if file.suffix in _PLAIN:
            found = torch.load(file, map_location="cpu", weights_only=True)
        else:
            found = load(file.read_bytes())
    for key in _WITHIN:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    return _tensors(file, found)


def _tensors(file: Path, found: Any) -> dict[str, torch.Tensor]:
    if not isinstance(found, Mapping) or not found:
        raise DataError(f"{file}: holds no tensors by name; save model.state_dict()")
    tensors = {}
    for name, value in found.items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            raise DataError(f"{file}: {name!r} is no dense tensor; save model.state_dict()")
        tensors[str(name)] = value.detach().contiguous()
    return tensors


def start_digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """What names the weights, wherever they lie and however they were saved."""
    views = {name: value.view(torch.int16) if value.dtype == torch.bfloat16 else value
             for name, value in tensors.items()}  # fmt: skip
    return content_digest(views)


def check_start(path: object, tensors: Mapping[str, torch.Tensor], model: nn.Module) -> None:
    """See that a model can start from the weights.

    Raises:
        UsageError: names differ, shapes or types do, or a weight is no number.
    """
    own = model.state_dict()
    for name in own:
        if name not in tensors:
            raise UsageError(f"model.init: {path} has no {name!r}{near(name, tensors)}")
    for name, value in tensors.items():
        if name not in own:
            raise UsageError(f"model.init: {path} has {name!r}, the model not{near(name, own)}")
        got, wanted = (tuple(value.shape), value.dtype), (tuple(own[name].shape), own[name].dtype)
        if got != wanted:
            raise UsageError(
                f"model.init: {name!r} is {got[1]} {got[0]} in {path}, the model has "
                f"{wanted[1]} {wanted[0]}"
            )
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UsageError(f"model.init: {name!r} holds NaN or infinity in {path}")
