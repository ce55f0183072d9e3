"""What goes into a scoring and what comes out of it fits the mask."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.names import check_shape, find_parameters

__all__ = ["NaNScoresError", "check_mask", "check_tensors", "checked_scores"]

Tensors = Mapping[str, torch.Tensor]


class NaNScoresError(UsageError):
    """A criterion's scores are no numbers: of these weights, and of others perhaps not."""


def check_mask(mask: Any, model: nn.Module | None) -> None:
    """Bool tensors by parameter name, of parameters that `model` (if any) has in that shape."""
    if not isinstance(mask, Mapping):
        raise UsageError(f"mask: got a {type(mask).__name__}, wanted {{name: bool tensor}}")
    if not mask:
        raise UsageError("mask: it names no parameter, so there is nothing to score")
    for name, kept in mask.items():
        if not isinstance(kept, torch.Tensor) or kept.dtype != torch.bool:
            got = kept.dtype if isinstance(kept, torch.Tensor) else type(kept).__name__
            raise UsageError(f"mask: {name!r} is {got}, wanted a bool tensor (True = kept)")
    if model is not None:
        if not isinstance(model, nn.Module):
            raise UsageError(f"model: got a {type(model).__name__}, wanted an nn.Module")
        check_tensors("model", find_parameters(model, mask), mask)


def check_tensors(what: str, tensors: Any, mask: Tensors) -> None:
    """`tensors` has a tensor of the right shape for every name in `mask`; more are no fault."""
    if not isinstance(tensors, Mapping):
        raise UsageError(f"{what}: got a {type(tensors).__name__}, wanted {{name: tensor}}")
    for name, kept in mask.items():
        if name not in tensors:
            raise UsageError(f"{what}: no {name!r}, which is to be scored{nearest(name, tensors)}")
        tensor = tensors[name]
        if not isinstance(tensor, torch.Tensor):
            raise UsageError(f"{what}: {name!r} is a {type(tensor).__name__}, wanted a tensor")
        check_shape(f"{what}: {name!r}", tensor.shape, kept.shape, "its mask")


def checked_scores(criterion: str, scores: Any, mask: Tensors) -> dict[str, torch.Tensor]:
    """The scores in the mask's order and on its device, without a graph.

    Raises:
        UsageError: they are not exactly one tensor of real numbers (no NaN) per name and shape.
    """
    what = f"criterion {criterion!r}: scores"
    check_tensors(what, scores, mask)
    for name in scores:
        if name not in mask:
            raise UsageError(
                f"{what} for {name!r}, which is not to be scored; return only those "
                f"of {', '.join(map(repr, mask))}"
            )
    return {
        name: _checked(what, name, scores[name]).detach().to(kept.device)
        for name, kept in mask.items()
    }


def _checked(what: str, name: str, score: torch.Tensor) -> torch.Tensor:
    if score.dtype == torch.bool or score.is_complex():
        raise UsageError(f"{what} of {name!r} are {score.dtype}, wanted real numbers")
    if num_nan := int(score.isnan().sum()):
        raise NaNScoresError(
            f"{what} of {name!r} contain NaN ({num_nan:,} of {score.numel():,}); look for a "
            "division by zero, or weights or a loss that are not finite"
        )
    return score
