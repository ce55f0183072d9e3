"""The controls of a ticket: which mask, and from which weights."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from lottery_ticket.arms import ARMS, TICKET, Arm
from lottery_ticket.criteria import inverse
from lottery_ticket.experiment import (
    change_by_arm_,
    permute_kept_,
    remade_mask,
    scale_to_kept_inputs_,
    signed_constant_,
    signs_of_,
)
from lottery_ticket.finder._method import Method
from lottery_ticket.finder._search import Search
from lottery_ticket.masks import Budget, PruningMask, copied_model, input_dims, shuffle
from lottery_ticket.pruning import next_mask
from lottery_ticket.seeds import generator

__all__ = ["change_weights_", "changes_weights", "control_mask", "controls"]

_MASKS = ("ticket", "shuffled", "random", "oneshot", "inverted")
_WEIGHTS = ("initial", "fresh", "fresh_signed", "fresh_scaled", "permuted", "signed_constant")


def controls() -> dict[str, Arm]:
    """The arms that make sense with anyone's `train_fn`, those that users registered among them.

    Not those whose trainings differ otherwise: a search of their own, another length, a narrower
    net, other data, a mask that changes while it trains.
    """
    return {name: arm for name, arm in ARMS.items() if name != TICKET and _is_control(arm)}


def _is_control(arm: Arm) -> bool:
    has_mask = callable(arm.mask) or arm.mask in _MASKS
    has_weights = callable(arm.weights) or arm.weights in _WEIGHTS
    is_plain = arm.pipeline in (None, "lth") and arm.policy is None
    is_other = arm.mask == "ticket" and arm.weights == "initial"
    return has_mask and has_weights and is_plain and not is_other


def changes_weights(arm: Arm) -> bool:
    """Whether its trainings start elsewhere than the ticket's."""
    return arm.weights != "initial"


def control_mask(
    arm: str, search: Search, method: Method, model: nn.Module, draw: int
) -> PruningMask:
    """The mask of a control at the level of the search's ticket.

    Args:
        model: any model of the search's; `oneshot` and `inverted` leave it with the dense net's
            trained weights.
    """
    level = search.best_level
    mask = search.masks[level]
    if not level:  # every control of the dense net keeps all of it
        return mask
    row, how = ARMS[arm], _structure(model, mask, method)
    if callable(row.mask):
        seed = generator(method.seed, "control", arm, draw, level)
        return remade_mask(arm, mask, seed)
    if row.mask == "shuffled":
        return shuffle(mask, generator(method.seed, "control", "shuffled", draw, level), **how)
    if row.mask == "random":
        scores = generator(method.seed, "control", "random", draw)
        is_free = method.structure == "unstructured"
        keep = Budget(mask.num_kept) if is_free else _layer_counts(mask)
        return next_mask("random", search.masks[0], keep, generator=scores, **how)
    if row.mask in ("oneshot", "inverted"):
        model.load_state_dict(search.dense)
        if row.mask == "inverted":
            method = replace(method, criterion=inverse(method.criterion))
        return method.next_mask(model, search.masks[0], _counts(mask, method), search.initial)
    return mask


def change_weights_(
    arm: str,
    model: nn.Module,
    mask: PruningMask,
    initial: Mapping[str, torch.Tensor],
    seed: int,
    draw: int,
    level: int,
) -> None:
    """Give a model the weights that a control starts from, in place.

    Args:
        model: freshly built for an arm that draws weights; another one is put to θ₀.
        mask: what the control keeps.
        initial: θ₀.
        seed: the search's.
    """
    weights = ARMS[arm].weights
    if not ARMS[arm].draws_weights:
        model.load_state_dict(dict(initial))
    draws = generator(seed, "control", arm, draw, level)
    if callable(weights):
        change_by_arm_(arm, model, mask, draws)
    elif weights == "fresh_signed":
        signed = copied_model(model)
        signed.load_state_dict(dict(initial))
        signs_of_(model, signed)
    elif weights == "fresh_scaled":
        scale_to_kept_inputs_(model, mask, input_dims(model, mask))
    elif weights == "permuted":
        permute_kept_(model, mask, draws)
    elif weights == "signed_constant":
        signed_constant_(model, mask)


def _structure(model: nn.Module, mask: PruningMask, method: Method) -> dict[str, Any]:
    return {"structure": method.structure, "input_dims": input_dims(model, mask)}


def _counts(mask: PruningMask, method: Method) -> Budget:
    return Budget(mask.num_kept) if method.scope == "global" else _layer_counts(mask)


def _layer_counts(mask: PruningMask) -> Budget:
    """As many of each layer: of groups of weights, another total need not be to be had."""
    return Budget(mask.num_kept, tuple((name, int(kept.sum())) for name, kept in mask.items()))
