"""A chart of trainings that are in progress."""

from collections.abc import Mapping, Sequence
from typing import Any

from lottery_ticket.analysis import Metric
from lottery_ticket.charts._chart import Axis, Chart, Series, Stop
from lottery_ticket.charts._limits import fit_limits
from lottery_ticket.charts._style import level_colors
from lottery_ticket.charts._text import is_known, value_text

__all__ = ["progress_chart"]

_MOST_STEPS = 120


def progress_chart(
    histories: Mapping[str, Sequence[Mapping[str, Any]]], metric: Metric
) -> Chart | None:
    """The metric over the step of trainings that are not finished.

    Args:
        histories: what a training is called → what was measured of it so far, by rising step.
        metric: what is drawn.

    Returns:
        None while nothing was measured.

    >>> from lottery_ticket.analysis import ACCURACY
    >>> chart = progress_chart({"ticket level 1": [{"step": 5, "test_accuracy": 0.9}]}, ACCURACY)
    >>> [series.y for series in chart.series]
    [[90.0]]
    """
    curves = {
        name: {
            int(row["step"]): metric.scale * float(row[metric.column])
            for row in rows
            if is_known(row.get(metric.column))
        }
        for name, rows in histories.items()
    }
    curves = {name: curve for name, curve in curves.items() if curve}
    if not curves:
        return None
    steps = _thinned(sorted({step for curve in curves.values() for step in curve}))
    values = [value for curve in curves.values() for value in curve.values()]
    low, high = fit_limits(values, higher_is_better=metric.higher_is_better) or (0.0, 1.0)
    colors = level_colors(list(range(len(curves))))
    return Chart(
        "progress",
        "trainings in progress",
        f"The {metric.label} so far, of trainings that are being made now.",
        Axis("training step", "linear", 0.0, float(max(steps[-1], 1))),
        Axis(metric.axis_label, "linear", low, high),
        [Stop(float(step), f"step {step:,}") for step in steps],
        [_line(name, colors[i], curve, steps, metric) for i, (name, curve) in
         enumerate(curves.items())],
    )  # fmt: skip


def _line(
    name: str, color: str, curve: Mapping[int, float], steps: Sequence[int], metric: Metric
) -> Series:
    values = [curve.get(step) for step in steps]
    text = ["" if value is None else value_text(value, metric) for value in values]
    return Series(name, color, values, text)


def _thinned(steps: list[int]) -> list[int]:
    """As many as can be told apart, the last among them."""
    every = -(-len(steps) // _MOST_STEPS)
    return sorted({*steps[::every], steps[-1]})
