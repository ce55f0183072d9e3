"""What `train_fn` left behind: whether the model can be rewound, and was trained under its mask.

Looked at is the model as it is, by its names; nothing is repaired.
"""

import math
from collections.abc import Mapping
from typing import NoReturn

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Attachment

__all__ = ["check_can_be_rewound", "metric_problems", "training_problems"]

State = Mapping[str, torch.Tensor]


def check_can_be_rewound(before: State, after: State) -> None:
    """Compare a model's state with what it was before `train_fn`, on the CPU, tied where it was.

    Raises:
        UsageError: its names, shapes or ties are other ones.
    """
    for name in before:
        if name not in after:
            _refuse(f"the model has no {name!r} any more")
        if before[name].shape != after[name].shape:
            shapes = [tuple(state[name].shape) for state in (before, after)]
            _refuse(f"{name!r} has shape {shapes[1]}, it had {shapes[0]}")
    for name in after:
        if name not in before:
            _refuse(f"the model has {name!r}, which it had not")
    first_before, first_after = _first_names(before), _first_names(after)
    for name in before:
        if first_before[name] != first_after[name]:
            was, now = (
                f"tied to {first[name]!r}" if first[name] != name else "a tensor of its own"
                for first in (first_before, first_after)
            )
            _refuse(f"{name!r} is {now}, it was {was}")


def training_problems(
    model: nn.Module,
    attached: Attachment,
    *,
    start: State,
    before: State,
    after: State,
    returned: object,
    who: str = "train_fn",
) -> tuple[str, ...]:
    """Why a training is not one under its mask, of the model given; empty when it is.

    Args:
        model: as `train_fn` left it.
        attached: the mask on it.
        start: what it was rewound to.
        before, after: its state before and after `train_fn`.
        returned: what `train_fn` returned.
        who: what trained, in messages.
    """
    found = _pruned_weights(attached, who)
    names = [name for name, _ in model.named_parameters() if name in after]
    if all(_is_same(before[name], after[name]) for name in names):
        found.append(f"{who} changed no parameter of the model it was given")
    if isinstance(returned, nn.Module) and not _share_parameters(returned, model):
        found.append(
            f"train_fn returned another model (a {type(returned).__name__}); what counts is the "
            "one it was given, trained in place"
        )
    found += [
        f"{who} left {name!r} in {after[name].dtype}; it is rewound to {start[name].dtype}"
        for name in after
        if name in start and after[name].dtype != start[name].dtype
    ][:1]
    broken = [n for n in after if _is_finite(before[n]) and not _is_finite(after[n])]
    if broken:
        found.append(f"after {who} {broken[0]!r} holds values that are not finite")
    return tuple(found)


def metric_problems(metric: float) -> tuple[str, ...]:
    """Why a metric makes a result invalid; empty when it does not."""
    return () if math.isfinite(metric) else (f"eval_fn returned {metric}",)


def _pruned_weights(attached: Attachment, who: str) -> list[str]:
    try:
        revived = attached.revived()
    except UsageError as error:  # a parameter that is a buffer now, say
        return [f"after {who} {error}"]
    found = []
    if revived:
        found.append(
            f"{who} wrote pruned weights: {revived[0]!r} is not zero where the mask prunes"
            + (f" (nor are {len(revived) - 1} others)" if revived[1:] else "")
        )
    elif attached.written:
        found.append(
            f"{who} wrote pruned weights: {attached.written[0]!r} was not zero where the mask "
            "prunes, before a step of an optimizer or after load_state_dict"
        )
    if replaced := [name for name in attached.overwritten if name not in revived]:
        found.append(
            f"{who} replaced {replaced[0]!r} by a parameter that was not zero where the mask "
            "prunes, so that it did not train the ticket's weights"
        )
    return found


def _refuse(what: str) -> NoReturn:
    raise UsageError(
        f"after train_fn {what}: it cannot be rewound; give the search the model as it is to be "
        "trained, and let train_fn leave its parameters and buffers in their places"
    )


def _first_names(state: State) -> dict[str, str]:
    first: dict[int, str] = {}
    return {name: first.setdefault(id(value), name) for name, value in state.items()}


def _is_same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def _is_finite(value: torch.Tensor) -> bool:
    return bool(value.isfinite().all())


def _share_parameters(one: nn.Module, other: nn.Module) -> bool:
    return not {id(p) for p in one.parameters()}.isdisjoint(id(p) for p in other.parameters())
