"""When to look whether an optimiser moves pruned weights: each look waits for the device.

One that does so shows it as soon as it moves anything, which need not be at its first step: a
warm-up begins with a learning rate of zero. Others do so only now and then, as those that average
weights every few steps. So there is a look before and after each step until one has moved
something, and before and after the steps 1, 2, 4, 8, …
"""

from collections.abc import Iterable

import torch

from lottery_ticket.masks._enforce import as_bits

__all__ = ["Looks"]


class Looks:
    """The looks at one optimiser's steps."""

    def __init__(self) -> None:
        self._num_steps = 0
        self._has_moved = False
        self._before: list[int] | None = None

    def begin(self, parameters: Iterable[torch.Tensor]) -> bool:
        """A step of these parameters is about to be made: whether to look now."""
        self._num_steps += 1
        if self._has_moved:
            return self._is_at_power_of_two()
        self._before = _sums(parameters)
        return True

    def end(self, parameters: Iterable[torch.Tensor]) -> bool:
        """It has been made: whether to look now."""
        if not self._has_moved and self._before is not None:
            self._has_moved = _sums(parameters) != self._before
            self._before = None
            return True
        return self._is_at_power_of_two()

    def _is_at_power_of_two(self) -> bool:
        return self._num_steps & (self._num_steps - 1) == 0


def _sums(parameters: Iterable[torch.Tensor]) -> list[int]:
    """Of the bits of those that have a gradient: no optimiser of torch moves another."""
    sums = [as_bits(p.detach()).sum(dtype=torch.int64) for p in parameters if p.grad is not None]
    return [int(each) for each in sums]
