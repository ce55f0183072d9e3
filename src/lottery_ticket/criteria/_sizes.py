"""Criteria of the size of weights, trained or initial: the mask criteria of Zhou et al. 2019."""

from collections.abc import Mapping

import torch

from lottery_ticket.criteria._criterion import Criterion
from lottery_ticket.criteria._registry import CRITERIA

__all__ = ["large_init", "magnitude", "magnitude_increase", "movement", "small_final"]


def magnitude(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`|w|`: keep the largest trained weights. Also registered as `large_final`.

    Args:
        weights: trained weights by name.

    >>> magnitude({"w": torch.tensor([-2.0, 1.0])})
    {'w': tensor([2., 1.])}

    Source: Han et al. 2015; Frankle & Carbin 2019; `large_final` in Zhou et al. 2019.
    """
    return {name: weight.abs() for name, weight in weights.items()}


def small_final(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`−|w|`: keep the smallest trained weights.

    Args:
        weights: trained weights by name.

    >>> small_final({"w": torch.tensor([-2.0, 1.0])})
    {'w': tensor([-2., -1.])}

    Source: Zhou et al. 2019, "Deconstructing Lottery Tickets", mask criterion `small_final`.
    """
    return {name: -weight.abs() for name, weight in weights.items()}


def large_init(initial: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`|w_i|`: keep the largest initial weights.

    Args:
        initial: initial weights by name.

    >>> large_init({"w": torch.tensor([-2.0, 1.0])})
    {'w': tensor([2., 1.])}

    Source: Zhou et al. 2019, "Deconstructing Lottery Tickets", mask criterion `large_init`.
    """
    return {name: weight.abs() for name, weight in initial.items()}


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


for _function in (large_init, magnitude, magnitude_increase, movement, small_final):
    CRITERIA.add(_function.__name__, Criterion(_function))
CRITERIA.add("large_final", CRITERIA["magnitude"])
