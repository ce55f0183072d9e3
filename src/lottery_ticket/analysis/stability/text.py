"""How barriers and levels are written."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["barrier_interval_text", "barrier_text", "ranges_text"]


def barrier_text(value: float, is_error: bool) -> str:
    """A barrier: points of error, or a loss.

    >>> barrier_text(0.0123, True), barrier_text(0.0123, False), barrier_text(float("nan"), True)
    ('1.23', '0.0123', '–')
    """
    if value != value:
        return "–"
    return (f"{100 * value:.2f}" if is_error else f"{value:.4g}").replace("-", "−")


def barrier_interval_text(row: Mapping[Any, Any], is_error: bool) -> str:
    """Both ends of a mean barrier's interval, if there is one.

    >>> barrier_interval_text({"low": -0.01, "high": 0.02}, True)
    '−1.00 to 2.00'
    """
    if row["low"] != row["low"]:
        return "–"
    return f"{barrier_text(row['low'], is_error)} to {barrier_text(row['high'], is_error)}"


def ranges_text(numbers: Sequence[int]) -> str:
    """Numbers, those that follow one another together.

    >>> ranges_text([1, 2, 3, 7])
    '1–3, 7'
    """
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    return ", ".join(f"{s[0]}–{s[-1]}" if len(s) > 1 else str(s[0]) for s in spans)
