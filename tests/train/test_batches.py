from dataclasses import dataclass

import pytest
import torch

from lottery_ticket.data import PadCropFlip, Split
from lottery_ticket.seeds import generator
from lottery_ticket.train import Batches

# example i is an image full of i + 1, so that a batch tells which examples it holds
SPLIT = Split(
    torch.arange(1.0, 24).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous(), torch.arange(23)
)


def check_order(make):
    """Each epoch holds every example once, in an order that (seed, epoch) decide alone."""
    batches = make(SPLIT, 5, order_seed=1)
    orders = {}
    for epoch in (0, 1, 2):
        epoch_batches = list(batches.epoch(epoch))
        assert [len(x) for x, _ in epoch_batches] == [5, 5, 5, 5, 3]
        assert all(torch.equal(x[:, 0, 0, 0], y + 1.0) for x, y in epoch_batches)
        orders[epoch] = torch.cat([y for _, y in epoch_batches]).tolist()
        assert sorted(orders[epoch]) == list(range(23))
    assert len({tuple(order) for order in orders.values()}) == 3
    torch.rand(7)
    again = make(SPLIT, 5, order_seed=1)
    assert torch.cat([y for _, y in again.epoch(2)]).tolist() == orders[2]
    other = make(SPLIT, 5, order_seed=2)
    assert torch.cat([y for _, y in other.epoch(0)]).tolist() != orders[0]


def check_starts_anywhere(make):
    """Starting at a batch gives what the epoch would have given from there, augmentation too."""
    batches = make(SPLIT, 5, order_seed=1, augment=PadCropFlip(2), augment_seed=3)
    whole = list(batches.epoch(4))
    assert any((x == 0).any() for x, _ in whole), "nothing was cropped"
    for start in range(6):
        rest = list(batches.epoch(4, start))
        assert len(rest) == 5 - min(start, 5)
        for (x, y), (wanted_x, wanted_y) in zip(rest, whole[start:], strict=True):
            assert torch.equal(x, wanted_x)
            assert torch.equal(y, wanted_y)


def test_order():
    before = torch.get_rng_state()
    check_order(Batches)
    torch.set_rng_state(before)
    list(Batches(SPLIT, 5, 0, PadCropFlip(1), 0).epoch(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_starts_anywhere():
    check_starts_anywhere(Batches)


@dataclass(frozen=True)
class Ordered(Batches):
    """Batches in some other order."""

    def order(self, epoch):
        return torch.randperm(23)

    def epoch(self, epoch, start=0):
        for index in self.order(epoch).split(self.batch_size)[start:]:
            yield self.split.x[index], self.split.y[index]


class SameEachEpoch(Ordered):
    def order(self, epoch):
        return torch.randperm(23, generator=generator(self.order_seed))


class Unshuffled(Ordered):
    def order(self, epoch):
        return torch.arange(23)


class WithReplacement(Ordered):
    def order(self, epoch):
        return torch.randint(0, 23, (23,), generator=generator(self.order_seed, epoch))


class DropsTheLast(Batches):
    def epoch(self, epoch, start=0):
        yield from (batch for batch in super().epoch(epoch, start) if len(batch[0]) == 5)


@pytest.mark.parametrize(
    "mutant", [Ordered, SameEachEpoch, Unshuffled, WithReplacement, DropsTheLast]
)
def test_other_orders_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_order(mutant)


class ShufflesTheRest(Batches):
    """Each start permutes anew."""

    def epoch(self, epoch, start=0):
        batches = Batches(self.split, self.batch_size, self.order_seed + start, self.augment)
        yield from batches.epoch(epoch, start)


class AugmentsFromTheGlobalState(Batches):
    def epoch(self, epoch, start=0):
        for x, y in Batches(self.split, self.batch_size, self.order_seed).epoch(epoch, start):
            draws = self.augment.draw(len(x), torch.default_generator)
            yield self.augment.apply(x, draws), y


@pytest.mark.parametrize("mutant", [ShufflesTheRest, AugmentsFromTheGlobalState])
def test_other_starts_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_starts_anywhere(mutant)


def test_augmentation_is_anew_in_each_epoch():
    def crops(epoch, augment_seed):
        batches = Batches(SPLIT, 23, 1, PadCropFlip(2), augment_seed)
        x, y = next(batches.epoch(epoch))
        return (x == 0)[y.argsort()].flatten().tolist()

    assert crops(0, 3) == crops(0, 3)
    assert crops(0, 3) != crops(1, 3)
    assert crops(0, 3) != crops(0, 4)


def test_the_split_stays():
    before = SPLIT.x.clone()
    for x, _ in Batches(SPLIT, 5, 0).epoch(0):
        x.zero_()
    assert torch.equal(SPLIT.x, before)
    assert Batches(SPLIT, 5, 0).steps_per_epoch == 5
