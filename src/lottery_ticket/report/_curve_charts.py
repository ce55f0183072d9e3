"""Learning curves, an arm to a chart."""

import pandas as pd

from lottery_ticket.analysis import Metric, RunTables, curve_means, metric_of
from lottery_ticket.plots import curve_limits, level_colors, percent_label, select_curves
from lottery_ticket.report._chart import Axis, Chart, Series, Stop, nulls
from lottery_ticket.report._levels import Levels
from lottery_ticket.report._numbers import num_replicates, value_text

__all__ = ["curve_charts"]

_MOST_STEPS = 120


def curve_charts(tables: RunTables) -> list[Chart]:
    """The metric while training: a chart for the ticket, and one for reinit beside it."""
    metric = metric_of(tables.table)
    if metric.column not in tables.history:
        return []
    curves = curve_means(tables.history, metric.column)
    if curves.empty:
        return []
    curves = curves.assign(mean=metric.scale * curves["mean"])
    drawn, arms, levels = select_curves(curves)
    colors = level_colors(levels)
    return [_chart(drawn, arm, colors, tables, metric) for arm in arms]


def _chart(
    drawn: pd.DataFrame, arm: str, colors: dict[int, str], tables: RunTables, metric: Metric
) -> Chart:
    rows = drawn.loc[drawn["arm"] == arm]
    steps, thinned = _steps(rows)
    levels = Levels(tables.table)
    densities = dict(zip(levels.numbers, levels.densities, strict=True))
    series = []
    for level, color in colors.items():
        own = rows.loc[rows["level"] == level].set_index("step").reindex(steps)
        text = [value_text(mean, metric) for mean in own["mean"]]
        name = f"{percent_label(100 * densities[level])} % kept"
        series.append(Series(name, color, nulls(own["mean"]), text))
    low, high = curve_limits(drawn, metric) or (0.0, 1.0)
    return Chart(
        f"curves_{arm}",
        f"While training: {arm}",
        f"Mean of {metric.label} over {num_replicates(rows['n'])} at up to six densities; the "
        f"first steps may lie outside the axis.{thinned}",
        f"Learning curves of {arm}, one for each of {len(series)} densities.",
        Axis("training step", "linear", 0.0, float(max(drawn["step"]))),
        Axis(metric.axis_label, "linear", low, high),
        [Stop(float(step), f"step {step:,}") for step in steps],
        series,
    )


def _steps(rows: pd.DataFrame) -> tuple[list[int], str]:
    """The steps that are drawn, and what to say where they are not all."""
    steps = sorted({int(step) for step in rows["step"]})
    every = -(-len(steps) // _MOST_STEPS)
    if every == 1:
        return steps, ""
    kept = sorted({*steps[::every], steps[-1]})
    return kept, f" Every {every}th measurement is drawn."
