"""The level step of every search: trained weights + mask → next mask + rewound weights.

The engine calls it on stored cells; a user's own loop can call it on a live model.
"""

from collections.abc import Mapping

import torch
from torch import nn

from lottery_ticket.criteria import CRITERIA
from lottery_ticket.masks import Budget, PruningMask, select

__all__ = ["next_mask", "rewind_"]


def next_mask(
    criterion: str,
    weights: Mapping[str, torch.Tensor],
    mask: PruningMask,
    budget: Budget,
    generator: torch.Generator,
) -> PruningMask:
    """The mask of the next level: the `budget` best of what `mask` keeps.

    Args:
        criterion: name of the criterion that scores the weights.
        weights: trained weights by parameter name; others than those of `mask` are ignored.
        mask: what is kept now; the result is nested in it.
        budget: how many weights to keep.
        generator: for criteria that draw.

    Raises:
        UsageError: an unknown criterion; a NaN score; more asked for than is kept.
    """
    scores = CRITERIA[criterion].score({name: weights[name] for name in mask}, generator)
    return select(scores, mask, budget)


@torch.no_grad()
def rewind_(
    model: nn.Module, weights: Mapping[str, torch.Tensor], mask: PruningMask | None
) -> None:
    """Put `weights` (θ₀ or θ_k; buffers too) into `model` in place, exactly zero where pruned."""
    model.load_state_dict(dict(weights))
    if mask is not None:
        mask.apply(model)
