"""The table of criteria."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from lottery_ticket.registry import Registry

__all__ = ["CRITERIA", "Criterion"]

Scores = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Criterion:
    """How weights are scored (higher is kept).

    Args:
        score: (weights by name, a generator for criteria that draw) → scores of the same shapes.
        numerics: raised when the scores of the same weights change, so that masks get new names.
        needs_weights: whether the scores depend on the weights at all.
    """

    score: Callable[[Mapping[str, torch.Tensor], torch.Generator], Scores]
    numerics: int = 1
    needs_weights: bool = True


CRITERIA: Registry[Criterion] = Registry("criterion")
