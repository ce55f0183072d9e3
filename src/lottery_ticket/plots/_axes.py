"""Axes of density, and limits that keep small differences visible."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

__all__ = ["density_axis", "fit_limits", "log_percent_axis", "percent_label", "spread_ticks"]


def percent_label(percent: float) -> str:
    """Three significant digits, without an exponent.

    >>> percent_label(51.2), percent_label(100.0), percent_label(0.01234)
    ('51.2', '100', '0.0123')
    """
    decimals = max(0, 2 - math.floor(math.log10(percent))) if percent > 0 else 0
    text = f"{percent:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def spread_ticks(percents: Iterable[float], *, most: int = 9) -> list[float]:
    """Of the densities there are, from the largest down: few, and apart on a log axis."""
    left = sorted(set(percents), reverse=True)
    if not left:
        return []
    gap = max(math.log(left[0] / left[-1]) / most, 0.05)
    ticks = [left[0]]
    for percent in left[1:]:
        if math.log(ticks[-1] / percent) >= gap * 0.999:
            ticks.append(percent)
    return ticks


def density_axis(ax: Axes, percents: Sequence[float], *, is_linear: bool) -> None:
    """Weights kept in percent, sparser to the right."""
    ax.set_xlabel("weights kept (%)")
    if is_linear:
        sparsest = min(percents)
        ax.set_xlim(103, sparsest - 3)
        apart = 10 if sparsest > 30 else 20
        ticks = [tick for tick in range(100, -1, -apart) if tick >= sparsest - 3]
        ax.xaxis.set_major_locator(FixedLocator(ticks))
        return
    ax.set_xscale("log")
    margin = max((max(percents) / min(percents)) ** 0.03, 1.03)
    ax.set_xlim(max(percents) * margin, min(percents) / margin)
    ax.xaxis.set_major_locator(FixedLocator(spread_ticks(percents)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: percent_label(x)))


def log_percent_axis(ax: Axes, percents: Sequence[float]) -> None:
    """A log y axis in percent with a handful of round ticks."""
    low, high = min(percents), max(percents)
    ax.set_yscale("log")
    ax.set_ylim(low / 1.25, high * 1.25)
    ratio = high / low
    steps = range(1, 10) if ratio < 4 else (1, 2, 5) if ratio < 1e3 else (1,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    ax.yaxis.set_major_locator(FixedLocator([t for t in ticks if low / 1.25 <= t <= high * 1.25]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: percent_label(y)))


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
