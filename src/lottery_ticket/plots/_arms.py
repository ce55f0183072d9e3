"""Lines of arms, with their bands: what every figure over density has in common."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lottery_ticket.analysis import Metric
from lottery_ticket.plots._axes import fit_limits
from lottery_ticket.plots._style import style_arms

__all__ = ["draw_arms", "fit_y", "hidden_note"]


def draw_arms(ax: Axes, stats: pd.DataFrame) -> None:
    """A line and a band of ±1 sd per arm.

    Args:
        ax: what to draw on.
        stats: arm, percent (weights kept), mean and sd, in the units of the axes.
    """
    for arm, (color, marker) in style_arms(stats["arm"]).items():
        rows = stats.loc[stats["arm"] == arm, ["percent", "mean", "sd"]]
        x, mean, sd = rows.to_numpy(dtype="float64").T
        style = {"color": color, "marker": marker, "markersize": 4.5, "linewidth": 1.5}
        ax.plot(x, mean, label=arm, zorder=3, **style)
        if np.isfinite(sd).any():
            ax.fill_between(x, mean - sd, mean + sd, color=color, alpha=0.16, linewidth=0)


def fit_y(ax: Axes, stats: pd.DataFrame, metric: Metric) -> list[float]:
    """Set the y limits to what is drawn; return the means that lie outside of them."""
    sd = stats["sd"].fillna(0.0)
    edges = [*(stats["mean"] - sd), *stats["mean"], *(stats["mean"] + sd)]
    limits = fit_limits(edges, higher_is_better=metric.higher_is_better)
    if limits is None:
        return []
    ax.set_ylim(*limits)
    return [float(mean) for mean in stats["mean"] if not limits[0] <= mean <= limits[1]]


def hidden_note(hidden: list[float]) -> str:
    """How many points lie outside the axis, and where; empty if none do."""
    if not hidden:
        return ""
    points = "1 point is" if len(hidden) == 1 else f"{len(hidden)} points are"
    extremes = sorted({f"{value:.4g}" for value in (min(hidden), max(hidden))}, key=float)
    return f"{points} outside the axis ({' to '.join(extremes)})"
