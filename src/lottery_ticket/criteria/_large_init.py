"""Large init: magnitude before any training."""

from collections.abc import Mapping

import torch

from lottery_ticket.criteria._criterion import Criterion
from lottery_ticket.criteria._registry import CRITERIA

__all__ = ["large_init"]


def large_init(initial: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`|w_i|`: keep the largest initial weights.

    Args:
        initial: initial weights by name.

    >>> large_init({"w": torch.tensor([-2.0, 1.0])})
    {'w': tensor([2., 1.])}

    Source: Zhou et al. 2019, "Deconstructing Lottery Tickets", mask criterion `large_init`.
    """
    return {name: weight.abs() for name, weight in initial.items()}


CRITERIA.register("large_init")(Criterion(large_init))
