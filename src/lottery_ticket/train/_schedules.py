"""The learning rate as a pure function of the step, so that resuming needs no state."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lottery_ticket.errors import UsageError
from lottery_ticket.registry import Registry, options_of

__all__ = ["SCHEDULES", "Schedule", "learning_rate", "register_schedule", "schedule_options"]

Schedule = Callable[..., float]

SCHEDULES: Registry[Schedule] = Registry("schedule")
"""Schedules by name: (step, total_steps, **options) → what the learning rate is multiplied by."""

_Made = TypeVar("_Made", bound=Schedule)


def register_schedule(name: str) -> Callable[[_Made], _Made]:
    """Decorator that lets specs say `schedule: name` of a schedule of one's own.

    Args:
        name: what specs call it.

    Returns:
        A decorator for a function `(step, total_steps, …) → factor` of the learning rate after
        `step` finished steps; a pure one, since trainings are continued in the middle. What it
        takes beside these two are its options.

    Raises:
        UsageError: the name is taken, or it does not take both.

    >>> @register_schedule("linear")
    ... def linear(step, total_steps, end=0.0):
    ...     return 1 - (1 - end) * step / total_steps
    >>> learning_rate(5, base=0.1, schedule="linear", total_steps=10)
    0.05
    """

    def file(schedule: _Made) -> _Made:
        if list(options_of(schedule))[:2] != ["step", "total_steps"]:
            raise UsageError(f"schedule {name!r} must be a function (step, total_steps, …)")
        SCHEDULES.add(name, schedule, is_user=True)
        return schedule

    return file


@SCHEDULES.register("constant")
def _constant(step: int, total_steps: int) -> float:
    return 1.0


@SCHEDULES.register("step")
def _step(step: int, total_steps: int, milestones: Sequence[int] = (), gamma: float = 0.1) -> float:
    return gamma ** sum(step >= milestone for milestone in milestones)


@SCHEDULES.register("cosine")
def _cosine(step: int, total_steps: int) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * step / total_steps))


def schedule_options(name: str) -> frozenset[str]:
    """The options of a schedule."""
    return _options_of(SCHEDULES[name])


@functools.cache
def _options_of(schedule: Schedule) -> frozenset[str]:
    return frozenset(options_of(schedule, given=2))


def learning_rate(
    step: int,
    *,
    base: float,
    schedule: str,
    total_steps: int,
    warmup_steps: int = 0,
    milestones: Sequence[int] = (),
    gamma: float = 0.1,
    **options: Any,
) -> float:
    """The learning rate of the update that follows `step` finished ones.

    Warm-up is linear from `base / warmup_steps` and multiplies the schedule:
    `base · min(1, (step + 1) / warmup_steps) · schedule(step)`.

    >>> [learning_rate(s, base=0.1, schedule="step", total_steps=9, milestones=[3]) for s in (2, 3)]
    [0.1, 0.010000000000000002]
    """
    warmup = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    function = SCHEDULES[schedule]
    given = {"milestones": milestones, "gamma": gamma, **options}
    given = {name: value for name, value in given.items() if name in _options_of(function)}
    return base * warmup * function(step, total_steps, **given)
