"""Every figure of a run, written into a folder."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lottery_ticket.analysis import LOSS, Metric, metric_of
from lottery_ticket.plots._curves import curves_figure
from lottery_ticket.plots._density import density_figure
from lottery_ticket.plots._layers import layers_figure
from lottery_ticket.plots._style import save

__all__ = ["draw_all", "draw_summary_figure"]


def draw_all(
    table: pd.DataFrame, layers: pd.DataFrame, history: pd.DataFrame, out: Path, *, title: str
) -> list[Path]:
    """Write every figure that the tables have values for.

    Args:
        table: the result table of one run; rows may be missing.
        layers: the density of each layer; may be empty.
        history: metrics while training; may be empty.
        out: the folder to write into; it is made.
        title: the run's name.

    Returns:
        The PNG files written: `accuracy.png` (or, without accuracies, `imp_recovery.png`),
        `loss.png`, `layers.png`, `learning_curves.png`.

    Raises:
        UsageError: the table has neither accuracies nor losses, or holds several runs.
    """
    metric = metric_of(table)
    draw: dict[str, Callable[[], Figure]] = {}
    if metric.higher_is_better:
        draw["accuracy"] = partial(density_figure, table, metric, title=title)
    if _has(table, LOSS) or not draw:
        draw["loss"] = partial(density_figure, table, LOSS, title=title)
    if not layers.empty:
        draw["layers"] = partial(layers_figure, layers, title=title)
    if _has(history, metric):
        draw["learning_curves"] = partial(curves_figure, history, table, metric, title=title)
    if not metric.higher_is_better:
        draw["imp_recovery"] = partial(density_figure, table, metric, title=title, is_linear=True)
    return [save(figure(), out / f"{name}.png") for name, figure in draw.items()]


def draw_summary_figure(table: pd.DataFrame, path: Path, *, title: str) -> Path:
    """Write the one figure that says it all: the metric against the weights kept, per arm.

    Args:
        table: the result table of one run; rows may be missing.
        path: the PNG file to write; its folder is made.
        title: the run's name.

    Returns:
        The path.

    Raises:
        UsageError: there is nothing to draw, or the table holds several runs.
    """
    return save(density_figure(table, metric_of(table), title=title), path)


def _has(frame: pd.DataFrame, metric: Metric) -> bool:
    return metric.column in frame and bool(frame[metric.column].notna().any())
