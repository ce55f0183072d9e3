"""What the arguments of `LotteryTicketCallback` mean beside one another, or a checkpoint."""

from collections.abc import Mapping
from typing import Any

import torch

from lottery_ticket.criteria import CriterionLike, as_criterion
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask
from lottery_ticket.pruning import Polynomial

__all__ = ["ELSEWHERE", "check_all_have_effect", "check_has_batches", "check_same_layers"]

ELSEWHERE = {
    "pruning_fn": "criterion= says what a weight is worth, scope= whether layers rank together",
    "use_global_unstructured": 'scope="global" or scope="layerwise" says it',
    "use_lottery_ticket_hypothesis": "it always rewinds: to the start, or to rewind_step=k",
    "resample_parameters": "fresh weights are a control: finder.verify(arms=['reinit'])",
    "parameter_names": 'targets= says it: targets=["Linear"], targets=["fc1.bias"]',
    "make_pruning_permanent": "weights are always plain, with exact zeros",
    "pruning_dim": 'structure="channel" prunes whole channels',
    "pruning_norm": "criterion= says it",
    "apply_pruning": "each fit is a level; leave the callback out where none is",
    "prune_on_train_epoch_end": "policy=polynomial(…) prunes during a fit",
}
_OF_A_SEARCH = (
    "target_sparsity", "pruning_rounds", "schedule", "amount", "rewind_step", "structure",
    "min_layer_density", "batches", "loss", "batch_loss", "monitor", "mode", "name",
)  # fmt: skip
_OF_A_SCHEDULE = ("criterion", "scope")
_OF_A_MODEL = ("targets", "ignore", "min_size")
_USUAL = {
    "criterion": "magnitude", "scope": "global", "structure": "unstructured",
    "min_layer_density": 0.0, "min_size": 0, "seed": 0, "ignore": (),
}  # fmt: skip


def check_all_have_effect(mask: object, policy: object, given: Mapping[str, Any]) -> None:
    """Raises `UsageError` for an argument that a mask or policy in one fit leaves no effect."""
    word = "mask" if policy is None else "policy"
    names = [*_OF_A_SEARCH]
    if not isinstance(policy, Polynomial):
        names += _OF_A_SCHEDULE
    if mask is not None:
        names += _OF_A_MODEL
    if policy is None:
        names.append("seed")
    for name in names:
        usual, value = _USUAL.get(name), given[name]
        is_usual = value is None if usual is None else type(value) is type(usual) and value == usual
        if not is_usual and not (name == "ignore" and not value):
            raise UsageError(
                f"{name} has no effect with {word}, which holds in one fit; leave it out, or leave "
                f"{word} out to find a ticket over several fits"
            )


def check_has_batches(criterion: CriterionLike, batches: object) -> None:
    """Raises `UsageError` for a criterion that needs data where the callback has none."""
    entry = as_criterion(criterion)
    if batches is None and (entry.needs_data or "input_shape" in entry.needs):
        raise UsageError(
            f"criterion {entry.name!r} needs data; pass batches=[(x, y), …] or a loader to "
            "LotteryTicketCallback"
        )


def check_same_layers(mask: Mapping[str, torch.Tensor], saved: Mapping[str, Any]) -> None:
    """Raises `UsageError` if an attachment's saved state prunes other parameters than a mask."""
    there = PruningMask.from_bytes(saved["mask"].numpy().tobytes(), "checkpoint")
    if others := sorted(set(mask) ^ set(there)):
        raise UsageError(
            f"checkpoint: it was trained with other prunable parameters ({others[0]!r} is in one "
            "of the two); pass the same mask, targets, ignore and min_size, or choose another "
            "checkpoint"
        )
