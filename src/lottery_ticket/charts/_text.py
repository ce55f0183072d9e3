"""Numbers as figures and reports print them."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from lottery_ticket.analysis import MISSING, Metric, Verdict, number_text

__all__ = [
    "interval_text",
    "is_known",
    "mean_text",
    "num_replicates",
    "outside_note",
    "percent_label",
    "reference_of",
    "signed_text",
    "value_text",
]


def is_known(value: Any) -> bool:
    """Whether there is a number."""
    return value is not None and not math.isnan(value)


def percent_label(percent: float) -> str:
    """Three significant digits, without an exponent.

    >>> percent_label(51.2), percent_label(100.0), percent_label(0.01234)
    ('51.2', '100', '0.0123')
    """
    decimals = max(0, 2 - math.floor(math.log10(percent))) if percent > 0 else 0
    text = f"{percent:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def mean_text(row: Mapping[str, Any], metric: Metric) -> str:
    """`"98.38 ± 0.02 (3)"`: mean, standard deviation where there is one, n.

    >>> from lottery_ticket.analysis import ACCURACY
    >>> mean_text({"mean": 0.98, "sd": float("nan"), "n": 1}, ACCURACY)
    '98.00 (1)'
    """
    if not is_known(row.get("mean")):
        return MISSING
    spread = f" ± {number_text(row['sd'], row['mean'], metric)}" if is_known(row["sd"]) else ""
    return f"{number_text(row['mean'], row['mean'], metric)}{spread} ({row['n']})"


def signed_text(value: Any, reference: float, metric: Metric) -> str:
    """A difference with its sign; zero has none."""
    if not is_known(value):
        return MISSING
    text = number_text(value, reference, metric, sign="+")
    return (text.lstrip("+-") if float(text) == 0 else text).replace("-", "−")


def interval_text(row: Mapping[str, Any], metric: Metric, reference: float) -> str:
    """`"+0.41 [+0.30, +0.52]"`: a difference and its pooled 95 % interval, where there is one."""
    difference, low, high = (
        signed_text(row.get(name), reference, metric)
        for name in ("difference", "pooled_low", "pooled_high")
    )
    return difference if low == MISSING else f"{difference} [{low}, {high}]"


def value_text(value: Any, metric: Metric) -> str:
    """A value that is in the printed unit already, with its unit."""
    if not is_known(value):
        return MISSING
    own = float(value) / metric.scale
    return number_text(own, own, metric) + (f" {metric.unit}" if metric.unit else "")


def reference_of(verdict: Verdict) -> float:
    """What the differences of a verdict are small or large beside: it decides their decimals."""
    return float(verdict.arms["mean"].to_numpy().mean())


def num_replicates(counts: Iterable[Any]) -> str:
    """`"n = 3 replicates"`, or the range where the counts differ."""
    found = sorted({int(count) for count in counts})
    if not found:
        return "n = 0 replicates"
    text = str(found[0]) if len(found) == 1 else f"{found[0]}–{found[-1]}"
    return f"n = {text} replicate{'' if found == [1] else 's'}"


def outside_note(values: Iterable[Any], low: float, high: float) -> str:
    """How many values an axis does not reach, and where they are; empty if it reaches them all.

    >>> outside_note([1.0, 5.0, float("nan")], 0.0, 2.0)
    ' 1 point is outside the axis (5).'
    """
    hidden = [value for value in values if is_known(value) and not low <= value <= high]
    if not hidden:
        return ""
    points = "1 point is" if len(hidden) == 1 else f"{len(hidden)} points are"
    ends = dict.fromkeys(f"{value:.4g}" for value in (min(hidden), max(hidden)))
    return f" {points} outside the axis ({' to '.join(ends).replace('-', '−')})."
