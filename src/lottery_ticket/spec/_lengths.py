"""Lengths within a training that would have no effect, compared where they can be: in one unit
always, epochs with iterations once the length of an epoch is known."""

import math
from collections.abc import Sequence
from itertools import pairwise

from lottery_ticket.errors import UsageError
from lottery_ticket.steps import Duration

__all__ = ["check_lengths"]


def check_lengths(
    *,
    duration: str,
    milestones: Sequence[str] = (),
    warmup: str | None = None,
    eval_every: str | None = None,
    rewind: str | None = None,
    steps_per_epoch: int | None = None,
) -> None:
    """Refuse what would never happen, or not as it is written, before the training ends.

    Args:
        duration: how long the training is, such as `"20ep"` or `"500it"`.
        milestones: where the learning rate falls; each is after the one before, all before the end.
        warmup: shorter than the training.
        eval_every: at most as long as the training.
        rewind: the step that weights are rewound to, before the end.
        steps_per_epoch: optimiser steps; None where it is not known, and then lengths in
            different units are taken to fit.

    Raises:
        UsageError: names the first that does not fit.

    >>> check_lengths(duration="4ep", warmup="100it", milestones=["2ep", "3ep"])
    >>> check_lengths(duration="4ep", warmup="100it", steps_per_epoch=25)
    Traceback (most recent call last):
    ...
    lottery_ticket.errors.UsageError: train.warmup: got '100it', wanted less than train.duration, \
'4ep' (100 steps); warm up for less or train longer
    """
    epoch = steps_per_epoch
    end = f"train.duration, {_shown(duration, epoch)}"
    for before, after in pairwise(milestones):
        if _difference(after, before, epoch) <= 0:
            raise UsageError(
                f"train.milestones: got {_shown(before, epoch)} followed by "
                f"{_shown(after, epoch)}, wanted each later than the one before; sort them and "
                "leave out repeats"
            )
    for milestone in milestones:
        if _difference(milestone, duration, epoch) >= 0:
            raise UsageError(
                f"train.milestones: got {_shown(milestone, epoch)}, wanted less than {end}; "
                "leave it out or train longer"
            )
    if warmup is not None and _difference(warmup, duration, epoch) >= 0:
        raise UsageError(
            f"train.warmup: got {_shown(warmup, epoch)}, wanted less than {end}; "
            "warm up for less or train longer"
        )
    if eval_every is not None and _difference(eval_every, duration, epoch) > 0:
        raise UsageError(
            f"train.eval_every: got {_shown(eval_every, epoch)}, wanted at most {end}; "
            "evaluate more often or train longer"
        )
    if rewind is not None and _difference(rewind, duration, epoch) >= 0:
        raise UsageError(
            f"rewind: got {_shown(rewind, epoch)}, wanted less than {end}; "
            "rewind to an earlier step or train longer"
        )


def _difference(one: str, other: str, epoch: int | None) -> float:
    """`one` − `other`; not a number where they cannot be compared, so no comparison is true."""
    lengths = Duration.parse(one), Duration.parse(other)
    if epoch is None and lengths[0].unit != lengths[1].unit:
        return math.nan
    first, second = (length.steps(epoch or 1) for length in lengths)
    return first - second


def _shown(text: str, epoch: int | None) -> str:
    length = Duration.parse(text)
    steps = "" if epoch is None or length.unit == "it" else f" ({length.steps(epoch):,} steps)"
    return f"{text!r}{steps}"
