"""From where to where an axis goes, so that what matters can be told apart."""

import math
from collections.abc import Iterable

import numpy as np

from lottery_ticket.charts._text import is_known

__all__ = ["fit_limits", "log_limits", "padded"]


def fit_limits(values: Iterable[float], *, higher_is_better: bool) -> tuple[float, float] | None:
    """Limits that show everything, unless a few values have collapsed.

    How far a value is from the best decides: when the worst is more than 12 times as far as the
    median value, the axis ends at 8 times the median, so that the rest can be told apart.

    Args:
        values: what is drawn.
        higher_is_better: whether collapsing is falling.

    Returns:
        The lower and the upper limit, or None when there is nothing to draw.

    >>> fit_limits([98.0, 97.0, 96.0, 97.5, 11.0], higher_is_better=True)
    (89.5, 98.5)
    """
    found = np.asarray([value for value in values if math.isfinite(value)])
    if found.size == 0:
        return None
    sign = 1 if higher_is_better else -1
    best = sign * float(np.max(sign * found))
    loss = np.abs(best - found)
    typical, worst = float(np.median(loss)), float(np.max(loss))
    room = 8 * typical if worst > 12 * typical > 0 else worst
    if room == 0:
        half = 0.01 * abs(best) or 1.0
        return best - half, best + half
    pad = 0.0625 * room
    low, high = sorted((best - sign * (room + pad), best + sign * pad))
    return low, high


def padded(values: Iterable[float]) -> tuple[float, float]:
    """Limits that hold all known values, with a little room.

    >>> padded([0.0, 10.0, float("nan")])
    (-0.5, 10.5)
    """
    known = [float(value) for value in values if is_known(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def log_limits(percents: Iterable[float]) -> tuple[float, float]:
    """Limits of a log axis that hold all percentages above zero, with a little room.

    >>> log_limits([0.0, 2.0, 80.0])
    (1.6, 100.0)
    """
    known = [float(value) for value in percents if is_known(value) and value > 0] or [100.0]
    return min(known) / 1.25, max(known) * 1.25
