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
    """Set the y limits to what is drawn; return the means that lie outside of them.

    Each of these stands at the edge of the axis, hollow and with its value: nothing that was
    measured is hidden.
    """
    sd = stats["sd"].fillna(0.0)
    edges = [*(stats["mean"] - sd), *stats["mean"], *(stats["mean"] + sd)]
    limits = fit_limits(edges, higher_is_better=metric.higher_is_better)
    if limits is None:
        return []
    ax.set_ylim(*limits)
    hidden = stats.loc[~stats["mean"].between(*limits)]
    _mark_at_edge(ax, hidden.dropna(subset=["mean"]), limits)
    return [float(mean) for mean in hidden["mean"].dropna()]


def _mark_at_edge(ax: Axes, hidden: pd.DataFrame, limits: tuple[float, float]) -> None:
    for place, (arm, rows) in enumerate(hidden.groupby("arm", sort=False)):
        color, _ = style_arms([str(arm)])[str(arm)]
        for x, value in rows[["percent", "mean"]].to_numpy(dtype="float64"):
            is_below = value < limits[0]
            edge = limits[0] if is_below else limits[1]
            marker, inwards = ("v", 1) if is_below else ("^", -1)
            ax.plot(
                x, edge, marker, color=color, mfc="white", markersize=6, clip_on=False, zorder=4
            )
            ax.annotate(
                f"{value:.4g}", (x, edge), (0, inwards * (7 + 9 * place)), color=color,
                textcoords="offset points", fontsize=7.5, ha="center",
                va="bottom" if is_below else "top",
            )  # fmt: skip


def hidden_note(hidden: list[float]) -> str:
    """How many points lie outside the axis, and where; empty if none do."""
    if not hidden:
        return ""
    points = "1 point is" if len(hidden) == 1 else f"{len(hidden)} points are"
    extremes = sorted({f"{value:.4g}" for value in (min(hidden), max(hidden))}, key=float)
    return f"{points} outside the axis ({' to '.join(extremes)})"
