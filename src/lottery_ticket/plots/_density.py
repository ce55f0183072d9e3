"""A metric against density, one line per arm."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lottery_ticket.analysis import Metric, check_one_run, level_statistics
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._axes import density_axis, fit_limits
from lottery_ticket.plots._style import (
    GREY,
    ArmStyle,
    finish,
    new_figure,
    num_replicates,
    style_arms,
)

__all__ = ["density_figure"]


def density_figure(
    table: pd.DataFrame, metric: Metric, *, title: str, is_linear: bool = False
) -> Figure:
    """The metric's mean against the weights kept, per arm, with dense as a dashed line.

    Args:
        table: a result table of one run; rows may be missing.
        metric: what is drawn.
        title: the run's name.
        is_linear: a linear axis from 100 to 0 instead of a log axis.

    Returns:
        The figure; save it with `savefig`.

    Raises:
        UsageError: the table has no value of the metric, or holds several runs.
    """
    check_one_run(table)
    stats = level_statistics(table, metric.column).dropna(subset=["density"])
    if stats.empty:
        raise UsageError(f"no row of the table has a {metric.label}; nothing to draw")
    stats = stats.assign(
        percent=100 * stats["density"],
        mean=metric.scale * stats["mean"],
        sd=metric.scale * stats["sd"],
    )
    figure, (ax,) = new_figure()
    for arm, style in style_arms(stats["arm"]).items():
        _draw_arm(ax, stats.loc[stats["arm"] == arm], arm, style)
    has_dense = _draw_dense(ax, stats)
    density_axis(ax, list(stats["percent"]), is_linear=is_linear)
    ax.set_ylabel(metric.axis_label)
    hidden = _limit_y(ax, stats, metric)
    _legend(figure, ax)
    finish(figure, title=f"{title}: {metric.label}", caption=_caption(stats, has_dense, hidden))
    return figure


def _draw_arm(ax: Axes, rows: pd.DataFrame, arm: str, style: ArmStyle) -> None:
    color, marker = style
    x, mean, sd = (rows[name].to_numpy(dtype="float64") for name in ("percent", "mean", "sd"))
    ax.plot(x, mean, color=color, marker=marker, markersize=5, linewidth=1.6, label=arm, zorder=3)
    if np.isfinite(sd).any():
        ax.fill_between(x, mean - sd, mean + sd, color=color, alpha=0.16, linewidth=0)


def _draw_dense(ax: Axes, stats: pd.DataFrame) -> bool:
    dense = stats.loc[(stats["arm"] == "ticket") & (stats["level"] == 0), "mean"]
    for value in dense:
        ax.axhline(value, color=GREY, linestyle="--", linewidth=1.2, label="dense", zorder=2)
    return not dense.empty


def _limit_y(ax: Axes, stats: pd.DataFrame, metric: Metric) -> list[float]:
    """Set the y limits; return the means that lie outside of them."""
    sd = stats["sd"].fillna(0.0)
    edges = [*(stats["mean"] - sd), *stats["mean"], *(stats["mean"] + sd)]
    limits = fit_limits(edges, higher_is_better=metric.higher_is_better)
    if limits is None:
        return []
    ax.set_ylim(*limits)
    return [float(mean) for mean in stats["mean"] if not limits[0] <= mean <= limits[1]]


def _legend(figure: Figure, ax: Axes) -> None:
    """Above the data, where it can cover nothing."""
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=min(6, math.ceil(len(labels) / math.ceil(len(labels) / 6))),
        frameon=False,
        fontsize=9.5,
        columnspacing=1.4,
        handlelength=1.8,
        borderaxespad=0.2,
    )


def _caption(stats: pd.DataFrame, has_dense: bool, hidden: list[float]) -> str:
    has_band = bool(stats["sd"].notna().any())
    parts = [f"Mean over {num_replicates(stats['n'])}" + (", band ±1 sd" if has_band else "")]
    if has_dense:
        parts.append("dashed: dense (ticket, level 0)")
    if hidden:
        points = "1 point is" if len(hidden) == 1 else f"{len(hidden)} points are"
        extremes = sorted({f"{value:.4g}" for value in (min(hidden), max(hidden))}, key=float)
        parts.append(f"{points} outside the axis ({' to '.join(extremes)})")
    return "; ".join(parts) + "."
