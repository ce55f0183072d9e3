"""Gradients over several batches."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from lottery_ticket.criteria._batches import first, num_examples
from lottery_ticket.errors import UsageError

__all__ = ["gradients", "mean_over_batches"]


def gradients(
    value: torch.Tensor, parameters: Sequence[torch.Tensor], *, is_differentiable: bool = False
) -> list[torch.Tensor]:
    """∂value/∂parameters, zero for those it does not depend on; `.grad` is not touched.

    Args:
        value: a scalar.
        parameters: with respect to what.
        is_differentiable: whether the gradients are differentiated in turn.

    Raises:
        UsageError: `value` is not a scalar tensor.

    >>> w = torch.tensor([1.0, 3.0], requires_grad=True)
    >>> gradients(w.square().sum(), [w])
    [tensor([2., 6.])]
    """
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        got = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise UsageError(f"the loss is {got}, wanted a scalar tensor; take its mean over the batch")
    if not value.requires_grad:  # it depends on nothing that is trained
        return [torch.zeros_like(parameter) for parameter in parameters]
    found = torch.autograd.grad(
        value, parameters, create_graph=is_differentiable, materialize_grads=True
    )
    return list(found)


def mean_over_batches(
    batches: Iterable[Any], values: Callable[[Any], Sequence[torch.Tensor]]
) -> list[torch.Tensor]:
    """The mean of what `values` gives for each batch, weighted by the batches' examples.

    Of gradients of a mean loss this is the gradient over all examples at once, however they are
    cut into batches (batch norms, which normalise each batch by itself, aside). In float32 at
    least. Raises `UsageError` if there is no batch.
    """
    means: list[torch.Tensor] = []
    num_seen = 0
    for batch in batches:
        found = [_at_least_float32(value.detach()) for value in values(batch)]
        count = num_examples(batch)
        num_seen += count
        if not means:
            means = found
        else:
            means = [
                torch.lerp(mean, value, count / num_seen)
                for mean, value in zip(means, found, strict=True)
            ]
    if not num_seen:
        first(batches)  # says that there is none
    return means


def _at_least_float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
