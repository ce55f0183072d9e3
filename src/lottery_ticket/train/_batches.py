"""Batches are gathered from tensors that already live on the device."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from lottery_ticket.data import PadCropFlip, Split
from lottery_ticket.seeds import generator
from lottery_ticket.steps import steps_per_epoch

__all__ = ["Batches"]


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
    augment: PadCropFlip | None = None
    augment_seed: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over the examples."""
        return steps_per_epoch(len(self.split), self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The batches of one epoch from its batch number `start` on."""
        x, y = self.split.x, self.split.y
        num_examples = len(self.split)
        order = torch.randperm(num_examples, generator=generator(self.order_seed, "epoch", epoch))
        order = order.to(x.device)
        draws = None
        if self.augment is not None:
            stream = generator(self.augment_seed, "epoch", epoch)
            draws = self.augment.draw(num_examples, stream).to(x.device)
        for index in order.split(self.batch_size)[start:]:
            batch = x.index_select(0, index)
            if self.augment is not None and draws is not None:
                batch = self.augment.apply(batch, draws.index_select(0, index))
            yield batch, y.index_select(0, index)
