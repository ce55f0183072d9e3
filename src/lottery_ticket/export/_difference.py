"""How far two forms of a model are apart."""

from collections.abc import Mapping
from typing import Any

import torch

from lottery_ticket.errors import LotteryError, UsageError

__all__ = ["largest_difference"]

_ROUNDINGS = 1000  # of the outputs' precision; sums in another order, layer after layer
_SMALLEST = 0.01  # outputs, whose sums may be of larger values


def largest_difference(wanted: Any, found: Any) -> float:
    """The largest absolute difference of outputs: tensors, or sequences or mappings of them.

    Raises:
        UsageError: what is wanted is NaN.
        LotteryError: it is more than rounding explains, or the shapes differ.
    """
    if not isinstance(wanted, torch.Tensor):
        pairs = zip(_parts(wanted), _parts(found), strict=True)
        return max((largest_difference(one, other) for one, other in pairs), default=0.0)
    if not isinstance(found, torch.Tensor) or found.shape != wanted.shape:
        got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise LotteryError(
            f"the new model's outputs have the shape {got}, not {tuple(wanted.shape)}: does the "
            "model do other things to larger batches?"
        )
    if not wanted.numel() or not wanted.is_floating_point():
        return 0.0
    if wanted.isnan().any():
        raise UsageError("the model's outputs for the example are NaN: are its weights?")
    difference = float((wanted.double() - found.double()).abs().max())
    allowed = _ROUNDINGS * torch.finfo(wanted.dtype).eps * max(_SMALLEST, float(wanted.abs().max()))
    if not difference <= allowed:
        raise LotteryError(
            f"the new model's outputs differ by {difference:.2g}, more than the "
            f"{allowed:.2g} that rounding explains: does the model draw random numbers, or depend "
            "on what is not among its inputs?"
        )
    return difference


def _parts(outputs: Any) -> list[Any]:
    if isinstance(outputs, Mapping):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, (tuple, list)) else []
