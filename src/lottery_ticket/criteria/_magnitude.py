"""Magnitude: the criterion of the lottery ticket hypothesis."""

from collections.abc import Mapping

import torch

from lottery_ticket.criteria._criterion import Criterion
from lottery_ticket.criteria._registry import CRITERIA

__all__ = ["magnitude"]


def magnitude(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`|w|`: keep the largest trained weights. Also registered as `large_final`.

    Args:
        weights: trained weights by name.

    >>> magnitude({"w": torch.tensor([-2.0, 1.0])})
    {'w': tensor([2., 1.])}

    Source: Han et al. 2015; Frankle & Carbin 2019; `large_final` in Zhou et al. 2019.
    """
    return {name: weight.abs() for name, weight in weights.items()}


CRITERIA.register("magnitude")(Criterion(magnitude))
CRITERIA.register("large_final")(CRITERIA["magnitude"])
