"""Small final: the opposite of magnitude, to show that it matters."""

from collections.abc import Mapping

import torch

from lottery_ticket.criteria._criterion import Criterion
from lottery_ticket.criteria._registry import CRITERIA

__all__ = ["small_final"]


def small_final(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`−|w|`: keep the smallest trained weights.

    Args:
        weights: trained weights by name.

    >>> small_final({"w": torch.tensor([-2.0, 1.0])})
    {'w': tensor([-2., -1.])}

    Source: Zhou et al. 2019, "Deconstructing Lottery Tickets", mask criterion `small_final`.
    """
    return {name: -weight.abs() for name, weight in weights.items()}


CRITERIA.register("small_final")(Criterion(small_final))
