"""What a model reads of examples: one tensor, or several by name, as `model(**x)` takes them."""

from collections.abc import Callable, Iterator, Mapping

import torch

__all__ = ["Features", "count", "each", "pieces", "shapes_of", "take", "tensors_of"]

Features = torch.Tensor | Mapping[str, torch.Tensor]
"""(N, …), or name → (N, …)."""


def each(x: Features, change: Callable[[torch.Tensor], torch.Tensor]) -> Features:
    """The same of changed tensors."""
    if isinstance(x, torch.Tensor):
        return change(x)
    return {name: change(value) for name, value in x.items()}


def tensors_of(x: Features) -> list[torch.Tensor]:
    """The tensors, in order."""
    return [x] if isinstance(x, torch.Tensor) else list(x.values())


def take(x: Features, rows: torch.Tensor) -> Features:
    """The examples of these numbers.

    >>> take({"ids": torch.tensor([[1], [2], [3]])}, torch.tensor([2]))
    {'ids': tensor([[3]])}
    """
    return each(x, lambda value: value.index_select(0, rows))


def pieces(x: Features, size: int) -> Iterator[Features]:
    """The examples in turn, so many at a time."""
    for start in range(0, count(x), size):
        yield each(x, lambda value, start=start: value[start : start + size])


def count(x: Features) -> int:
    """How many examples there are."""
    return len(tensors_of(x)[0])


def shapes_of(x: Features) -> object:
    """The shape of one example: a tuple, or one for each name."""
    if isinstance(x, torch.Tensor):
        return tuple(x.shape[1:])
    return {name: tuple(value.shape[1:]) for name, value in x.items()}
