"""Movement: how far training carried a weight."""

from collections.abc import Mapping

import torch

from lottery_ticket.criteria._criterion import Criterion
from lottery_ticket.criteria._registry import CRITERIA

__all__ = ["movement"]


def movement(
    weights: Mapping[str, torch.Tensor], initial: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """`|w_f − w_i|`: keep the weights that moved farthest in training, in either direction.

    Not the "movement pruning" of Sanh et al. 2020, which learns its scores during training.

    Args:
        weights: trained weights by name (w_f).
        initial: initial weights by name (w_i).

    >>> movement({"w": torch.tensor([-2.0, 1.0])}, {"w": torch.tensor([-1.5, -3.0])})
    {'w': tensor([0.5000, 4.0000])}

    Source: Zhou et al. 2019, "Deconstructing Lottery Tickets", mask criterion `movement`.
    """
    return {
        name: (weight - initial[name].to(weight.device)).abs() for name, weight in weights.items()
    }


CRITERIA.register("movement")(Criterion(movement))
