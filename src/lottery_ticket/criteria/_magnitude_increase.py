"""Magnitude increase: what training made larger."""

from collections.abc import Mapping

import torch

from lottery_ticket.criteria._criterion import Criterion
from lottery_ticket.criteria._registry import CRITERIA

__all__ = ["magnitude_increase"]


def magnitude_increase(
    weights: Mapping[str, torch.Tensor], initial: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """`|w_f| − |w_i|`: keep the weights whose magnitude grew most in training.

    Args:
        weights: trained weights by name (w_f).
        initial: initial weights by name (w_i).

    >>> magnitude_increase({"w": torch.tensor([-2.0, 1.0])}, {"w": torch.tensor([-1.5, -3.0])})
    {'w': tensor([ 0.5000, -2.0000])}

    Source: Zhou et al. 2019, "Deconstructing Lottery Tickets", mask criterion `magnitude_increase`.
    """
    return {
        name: weight.abs() - initial[name].to(weight.device).abs()
        for name, weight in weights.items()
    }


CRITERIA.register("magnitude_increase")(Criterion(magnitude_increase))
