"""Magnitude pruning."""

from collections.abc import Mapping

import torch

from lottery_ticket.criteria._registry import CRITERIA, Criterion

__all__ = ["magnitude"]


def magnitude(
    weights: Mapping[str, torch.Tensor], generator: torch.Generator | None = None
) -> dict[str, torch.Tensor]:
    """`|w|`: keep the largest trained weights (Zhou et al.'s `large_final`).

    >>> magnitude({"w": torch.tensor([-2.0, 1.0])})["w"].tolist()
    [2.0, 1.0]

    Source: Han et al. 2015; Frankle & Carbin 2019.
    """
    return {name: weight.detach().abs() for name, weight in weights.items()}


CRITERIA.register("magnitude")(Criterion(magnitude))
