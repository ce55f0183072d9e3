"""The controls of a ticket: which mask, and from which weights."""

from collections.abc import Mapping

import torch
from torch import nn

from lottery_ticket.arms import ARMS
from lottery_ticket.finder._method import Method
from lottery_ticket.finder._search import Search
from lottery_ticket.masks import Budget, PruningMask, shuffle
from lottery_ticket.pruning import next_mask
from lottery_ticket.seeds import generator

__all__ = ["CONTROLS", "control_mask"]

CONTROLS: Mapping[str, bool] = {
    arm: ARMS[arm].has_draws for arm in ("reinit", "shuffled", "random", "oneshot")
}
"""Control → whether several draws of it make sense."""


def control_mask(
    arm: str, search: Search, method: Method, model: nn.Module, draw: int
) -> PruningMask:
    """The mask of a control at the level of the search's ticket.

    Args:
        model: for `oneshot`, any model of the search's; it is left with dense trained weights.
    """
    level = search.best_level
    mask = search.masks[level]
    if arm == "shuffled":
        return shuffle(mask, generator(method.seed, "control", "shuffled", draw, level))
    if arm == "random":
        scores = generator(method.seed, "control", "random", draw)
        return next_mask("random", search.masks[0], Budget(mask.num_kept), generator=scores)
    if arm == "oneshot":
        model.load_state_dict(search.dense)
        return method.next_mask(model, search.masks[0], _counts(mask, method), search.initial)
    return mask


def _counts(mask: PruningMask, method: Method) -> Budget:
    per_layer = None
    if method.scope != "global":
        per_layer = tuple((name, int(torch.sum(kept))) for name, kept in mask.items())
    return Budget(mask.num_kept, per_layer)
