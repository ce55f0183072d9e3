"""The controls of a ticket: which mask, and from which weights."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from lottery_ticket.arms import ARMS
from lottery_ticket.finder._method import Method
from lottery_ticket.finder._search import Search
from lottery_ticket.masks import Budget, PruningMask, input_dims, shuffle
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
    if not level:  # every control of the dense net keeps all of it
        return mask
    how: dict[str, Any] = {"structure": method.structure, "input_dims": input_dims(model, mask)}
    if arm == "shuffled":
        return shuffle(mask, generator(method.seed, "control", "shuffled", draw, level), **how)
    if arm == "random":
        scores = generator(method.seed, "control", "random", draw)
        is_free = method.structure == "unstructured"
        keep = Budget(mask.num_kept) if is_free else _layer_counts(mask)
        return next_mask("random", search.masks[0], keep, generator=scores, **how)
    if arm == "oneshot":
        model.load_state_dict(search.dense)
        return method.next_mask(model, search.masks[0], _counts(mask, method), search.initial)
    return mask


def _counts(mask: PruningMask, method: Method) -> Budget:
    return Budget(mask.num_kept) if method.scope == "global" else _layer_counts(mask)


def _layer_counts(mask: PruningMask) -> Budget:
    """As many of each layer: of groups of weights, another total need not be to be had."""
    return Budget(mask.num_kept, tuple((name, int(kept.sum())) for name, kept in mask.items()))
