"""Batches of any form, on the model's device."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lottery_ticket.errors import UsageError

__all__ = ["DeviceBatches", "example_shape", "first", "num_examples"]


@dataclass(frozen=True)
class DeviceBatches:
    """Batches as they come, their tensors on one device.

    Args:
        source: a list, a DataLoader, …
        device: where tensors in tuples, lists and mappings are moved to; None leaves them.
    """

    source: Iterable[Any]
    device: torch.device | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.source, Iterable):
            kind = type(self.source).__name__
            raise UsageError(f"batches: got a {kind}, wanted an iterable such as [(x, y)]")

    def __iter__(self) -> Iterator[Any]:
        for batch in self.source:
            yield _moved(batch, self.device)


def first(batches: Iterable[Any]) -> Any:
    """The first batch; raises `UsageError` if there is none."""
    for batch in batches:
        return batch
    raise UsageError("batches is empty; pass at least one batch (an iterator may be used up)")


def num_examples(batch: Any) -> int:
    """The length of the first tensor in a batch; 1 if there is none.

    >>> num_examples({"input_ids": torch.zeros(8, 128)})
    8
    """
    tensor = next(_tensors(batch), None)
    return len(tensor) if tensor is not None and tensor.ndim else 1


def example_shape(batch: Any) -> tuple[int, ...] | None:
    """The shape of one x of an (x, y) batch of numbers; None for other batches."""
    x = batch[0] if isinstance(batch, tuple | list) and batch else None
    return tuple(x.shape[1:]) if isinstance(x, torch.Tensor) and x.is_floating_point() else None


def _moved(batch: Any, device: torch.device | None) -> Any:
    if device is None or all(tensor.device == device for tensor in _tensors(batch)):
        return batch  # the object itself: it may have attributes
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: _moved(value, device) for key, value in batch.items()}
    values = [_moved(value, device) for value in batch]
    return type(batch)(*values) if hasattr(batch, "_fields") else type(batch)(values)


def _tensors(batch: Any) -> Iterator[torch.Tensor]:
    if isinstance(batch, torch.Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for value in batch.values():
            yield from _tensors(value)
    elif isinstance(batch, tuple | list):
        for value in batch:
            yield from _tensors(value)
