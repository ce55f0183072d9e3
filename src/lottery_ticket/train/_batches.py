"""Batches are gathered from tensors that already live on the device."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from lottery_ticket.data import Augmentation, Features, Split, take
from lottery_ticket.seeds import generator
from lottery_ticket.steps import steps_per_epoch

__all__ = ["Batch", "Batches"]


@dataclass(frozen=True)
class Batch:
    """Which examples a step trains on, before anything is copied.

    Args:
        rows: numbers of the examples, int64 on the device.
        draws: what augmentation drew for them; None without augmentation.
    """

    rows: torch.Tensor
    draws: torch.Tensor | None = None


@dataclass(frozen=True)
class Batches:
    """The batches of a training: their order is a pure function of (seed, epoch).

    Args:
        split: the training examples, on the device.
        batch_size: examples per batch; the last one of an epoch may be smaller.
        order_seed: the stream that permutes the examples, anew in each epoch.
        augment: batched augmentation, or None.
        augment_seed: the stream that augmentation draws from, anew in each epoch.
    """

    split: Split
    batch_size: int
    order_seed: int
    augment: Augmentation | None = None
    augment_seed: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over the examples."""
        return steps_per_epoch(len(self.split), self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Features, torch.Tensor]]:
        """The examples and targets of one epoch's batches, from batch number `start` on."""
        return (self.take(batch) for batch in self.order(epoch, start))

    def order(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The same, not gathered yet."""
        num_examples, device = len(self.split), self.split.device
        order = torch.randperm(num_examples, generator=generator(self.order_seed, "epoch", epoch))
        order = order.to(device)
        draws = None
        if self.augment is not None:
            stream = generator(self.augment_seed, "epoch", epoch)
            draws = self.augment.draw(num_examples, stream).to(device)
        for rows in order.split(self.batch_size)[start:]:
            yield Batch(rows, None if draws is None else draws.index_select(0, rows))

    def take(self, batch: Batch) -> tuple[Features, torch.Tensor]:
        """A batch's examples, augmented, and their targets."""
        x = take(self.split.x, batch.rows)
        if self.augment is not None and batch.draws is not None:
            x = self.augment.apply(x, batch.draws)  # pyright: ignore[reportArgumentType]
        return x, self.split.y.index_select(0, batch.rows)
