"""The learning rate as a pure function of the step, so that resuming needs no state."""

import math
from collections.abc import Callable, Sequence

__all__ = ["SCHEDULES", "learning_rate"]


def _constant(step: int, total_steps: int, milestones: Sequence[int], gamma: float) -> float:
    return 1.0


def _step(step: int, total_steps: int, milestones: Sequence[int], gamma: float) -> float:
    return gamma ** sum(step >= milestone for milestone in milestones)


def _cosine(step: int, total_steps: int, milestones: Sequence[int], gamma: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * step / total_steps))


SCHEDULES: dict[str, Callable[[int, int, Sequence[int], float], float]] = {
    "constant": _constant,
    "step": _step,
    "cosine": _cosine,
}


def learning_rate(
    step: int,
    *,
    base: float,
    schedule: str,
    total_steps: int,
    warmup_steps: int = 0,
    milestones: Sequence[int] = (),
    gamma: float = 0.1,
) -> float:
    """The learning rate of the update that follows `step` finished ones.

    Warm-up is linear from `base / warmup_steps` and multiplies the schedule:
    `base · min(1, (step + 1) / warmup_steps) · schedule(step)`.

    >>> [learning_rate(s, base=0.1, schedule="step", total_steps=9, milestones=[3]) for s in (2, 3)]
    [0.1, 0.010000000000000002]
    """
    warmup = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    return base * warmup * SCHEDULES[schedule](step, total_steps, milestones, gamma)
