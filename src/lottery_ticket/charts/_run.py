"""Every chart of a run."""

import pandas as pd

from lottery_ticket.analysis import LOSS, Metric, RunTables, Verdict, metric_of
from lottery_ticket.charts._arms import early_stop_chart, metric_chart, sign_chart
from lottery_ticket.charts._chart import Chart
from lottery_ticket.charts._curves import curve_charts
from lottery_ticket.charts._differences import difference_chart
from lottery_ticket.charts._masks import layer_chart, overlap_charts

__all__ = ["run_charts"]


def run_charts(tables: RunTables, verdict: Verdict | None = None) -> dict[str, list[Chart]]:
    """The charts that the tables have values for: figure → its panels.

    Args:
        tables: of one run; rows may be missing.
        verdict: of the run; without it there are no differences and no early stops.

    Returns:
        Of the metric that the run is judged by `accuracy`; `loss`, where that is the loss;
        `metric`, where it is one of its own that is better lower. Then `loss`, `difference`,
        `early_stop`, `layers`, `learning_curves`, `overlap` and `signs`.

    Raises:
        UsageError: the table holds several runs.
    """
    table, metric = tables.table, metric_of(tables.table)
    charts: dict[str, list[Chart]] = {}
    if _has(table, metric.column):
        charts[_name(metric)] = [metric_chart(table, metric, verdict=verdict)]
    if metric != LOSS and _has(table, LOSS.column):
        charts["loss"] = [metric_chart(table, LOSS)]
    if verdict is not None and _has(verdict.contrasts, "difference"):
        charts["difference"] = [difference_chart(verdict)]
    if verdict is not None and not verdict.speed.empty:
        charts["early_stop"] = [early_stop_chart(verdict.speed, table)]
    if not tables.layers.empty:
        charts["layers"] = [layer_chart(tables.layers)]
    if _has(tables.history, metric.column):
        charts["learning_curves"] = curve_charts(tables.history, table, metric)
    if not tables.overlap.empty and max(tables.overlap["level"]) > 0:
        charts["overlap"] = overlap_charts(tables.overlap)
    if not tables.kept_weights.empty:
        charts["signs"] = [sign_chart(tables.kept_weights, table)]
    return charts


def _name(metric: Metric) -> str:
    if metric.higher_is_better:
        return "accuracy"
    return "loss" if metric == LOSS else "metric"


def _has(frame: pd.DataFrame, column: str) -> bool:
    return column in frame and bool(frame[column].notna().any())
