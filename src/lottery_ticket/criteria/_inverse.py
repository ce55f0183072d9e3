"""The opposite of any criterion."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from lottery_ticket.criteria._criterion import Criterion

__all__ = ["inverse"]


def inverse(criterion: Criterion) -> Criterion:
    """The criterion that keeps what another prunes first: its scores, negated.

    Args:
        criterion: any; the inverse needs the same inputs.

    >>> from lottery_ticket.criteria import CRITERIA, score
    >>> score(inverse(CRITERIA["magnitude"]), weights={"w": torch.tensor([-2.0, 1.0])})
    {'w': tensor([-2., -1.])}

    Source: the inversion of Frankle et al. 2021, "Pruning Neural Networks at Initialization".
    """

    @functools.wraps(criterion.function)  # its parameters say what is needed
    def inverted(*args: Any, **kwargs: Any) -> Mapping[str, torch.Tensor]:
        scores = criterion.function(*args, **kwargs)
        return {name: -value for name, value in scores.items()}

    return replace(criterion, function=inverted)
