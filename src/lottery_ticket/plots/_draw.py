"""Every figure of a run, written into a folder."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lottery_ticket.analysis import LOSS, Metric, RunTables, Verdict, metric_of
from lottery_ticket.plots._curves import curves_figure
from lottery_ticket.plots._density import density_figure
from lottery_ticket.plots._difference import difference_figure
from lottery_ticket.plots._early_stop import early_stop_figure
from lottery_ticket.plots._inputs import input_images, inputs_figure
from lottery_ticket.plots._layers import layers_figure
from lottery_ticket.plots._overlap import overlap_figure
from lottery_ticket.plots._signs import signs_figure
from lottery_ticket.plots._style import save
from lottery_ticket.plots._verdict import verdict_figure

__all__ = ["draw_all", "draw_summary_figure"]


def draw_all(
    tables: RunTables,
    out: Path,
    *,
    title: str,
    verdict: Verdict | None = None,
    formats: Sequence[str] = ("png", "svg"),
) -> list[Path]:
    """Write every figure that the tables have values for.

    Args:
        tables: of one run; rows may be missing, and all but the result table may be empty.
        out: the folder to write into; it is made.
        title: the run's name.
        verdict: of the run; without it there is no figure of it.
        formats: suffixes that matplotlib can write.

    Returns:
        The files written: `accuracy`, `loss`, `verdict`, `difference`, `early_stop`, `layers`,
        `learning_curves`, `inputs`, `overlap`, `signs` and, of a regression, `imp_recovery`, each
        in every format.

    Raises:
        UsageError: the table has neither accuracies nor losses, or holds several runs.
    """
    paths = []
    for name, draw in _drawable(tables, verdict, title).items():
        figure = draw()
        paths += [save(figure, out / f"{name}.{suffix}") for suffix in formats]
    return paths


def _drawable(
    tables: RunTables, verdict: Verdict | None, title: str
) -> dict[str, Callable[[], Figure]]:
    """The figures that there is something to draw in, by file name."""
    table, metric = tables.table, metric_of(tables.table)
    draw: dict[str, Callable[[], Figure]] = {}
    if metric.higher_is_better:
        draw["accuracy"] = partial(density_figure, table, metric, title=title)
    if _has(table, LOSS) or not draw:
        draw["loss"] = partial(density_figure, table, LOSS, title=title)
    if verdict is not None and verdict.levels:
        draw["verdict"] = partial(verdict_figure, verdict, title=title)
        draw["difference"] = partial(difference_figure, verdict, title=title)
        if not verdict.speed.empty:
            draw["early_stop"] = partial(early_stop_figure, verdict.speed, table, title=title)
    if not tables.layers.empty:
        draw["layers"] = partial(layers_figure, tables.layers, title=title)
    if _has(tables.history, metric):
        draw["learning_curves"] = partial(curves_figure, tables.history, table, metric, title=title)
    if input_images(tables.inputs):
        draw["inputs"] = partial(inputs_figure, tables.inputs, title=title)
    if not tables.overlap.empty and max(tables.overlap["level"]) > 0:
        draw["overlap"] = partial(overlap_figure, tables.overlap, title=title)
    if not tables.kept_weights.empty:
        draw["signs"] = partial(signs_figure, tables.kept_weights, table, title=title)
    if not metric.higher_is_better:
        draw["imp_recovery"] = partial(density_figure, table, metric, title=title, is_linear=True)
    return draw


def draw_summary_figure(table: pd.DataFrame, path: Path, *, title: str) -> Path:
    """Write the one figure that says it all: the metric against the weights kept, per arm.

    Args:
        table: the result table of one run; rows may be missing.
        path: the file to write, its format by its suffix; its folder is made.
        title: the run's name.

    Returns:
        The path.

    Raises:
        UsageError: there is nothing to draw, or the table holds several runs.
    """
    return save(density_figure(table, metric_of(table), title=title), path)


def _has(frame: pd.DataFrame, metric: Metric) -> bool:
    return metric.column in frame and bool(frame[metric.column].notna().any())
