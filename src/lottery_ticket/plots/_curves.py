"""Learning curves at a handful of densities."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lottery_ticket.analysis import Metric, curve_means, replicate_means, sort_arms
from lottery_ticket.arms import REINIT
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._axes import fit_limits, percent_label
from lottery_ticket.plots._style import finish, legend_above, new_figure, num_replicates

__all__ = ["curve_limits", "curves_figure", "level_colors", "pick_levels", "select_curves"]


def pick_levels(levels: list[int], *, most: int = 6) -> list[int]:
    """At most `most` of the levels, evenly, the first and the last among them.

    >>> pick_levels(list(range(21)))
    [0, 4, 8, 12, 16, 20]
    """
    levels = sorted(set(levels))
    if len(levels) <= most:
        return levels
    places = np.linspace(0, len(levels) - 1, most).round().astype(int)
    return [levels[place] for place in places]


def curves_figure(
    history: pd.DataFrame, table: pd.DataFrame, metric: Metric, *, title: str
) -> Figure:
    """The metric against the step for up to six levels: the ticket, and reinit beside it.

    Args:
        history: arm, level, replicate, draw, step and the metric's column.
        table: the result table, which knows the densities.
        metric: what is drawn.
        title: the run's name.

    Returns:
        The figure. Without a ticket arm the first arm of `sort_arms` takes its place.

    Raises:
        UsageError: the history has no value of the metric.
    """
    curves = curve_means(history, metric.column)
    curves = curves.assign(mean=metric.scale * curves["mean"])
    if curves.empty:
        raise UsageError(f"no step of the history has a {metric.label}; nothing to draw")
    curves, arms, levels = select_curves(curves)
    height = 2.2 + 2.0 * len(arms)
    figure, axes = new_figure(len(arms), height=height, share_y=True)
    colors = level_colors(levels)
    for ax, arm in zip(axes, arms, strict=True):
        _draw_panel(ax, curves.loc[curves["arm"] == arm], colors, _densities(table, arm))
        ax.set_ylabel(metric.axis_label)
    axes[-1].set_xlabel("training step")
    hidden = _limit_y(axes[0], curves, metric)
    legend_above(axes[0], title="weights kept", num_columns=3)
    caption = f"Mean over {num_replicates(curves['n'])}; the first steps may lie outside the axis"
    caption += f"; {hidden} outside it." if hidden else "."
    finish(figure, title=f"{title}: {metric.label} while training", caption=caption)
    return figure


def select_curves(curves: pd.DataFrame) -> tuple[pd.DataFrame, list[str], list[int]]:
    """The curves that are drawn, their arms and their levels; the first arm picks the levels.

    Args:
        curves: what `curve_means` returned.
    """
    lead, *others = sort_arms(curves["arm"])
    arms = [lead, *(arm for arm in others if arm == REINIT)]
    levels = pick_levels([int(level) for level in curves.loc[curves["arm"] == lead, "level"]])
    kept = curves["arm"].isin(arms) & curves["level"].isin(levels)
    drawn = curves.loc[kept]
    return drawn, sort_arms(drawn["arm"]), levels


def level_colors(levels: Sequence[int]) -> dict[int, str]:
    """A colour per level, darker where sparser."""
    shades = colormaps["viridis_r"](np.linspace(0.08, 1, len(levels)))
    return {level: to_hex(shade) for level, shade in zip(levels, shades, strict=True)}


def curve_limits(curves: pd.DataFrame, metric: Metric) -> tuple[float, float] | None:
    """Limits that fit what comes after the first tenth of the training."""
    late = curves.loc[curves["step"] >= 0.1 * curves["step"].max(), "mean"]
    return fit_limits(late, higher_is_better=metric.higher_is_better)


def _densities(table: pd.DataFrame, arm: str) -> dict[int, float]:
    means = replicate_means(table.loc[table["arm"] == arm], "density")
    by_level = means.groupby("level", as_index=False).agg(density=("density", "mean"))
    return dict(zip(by_level["level"], by_level["density"], strict=True))


def _draw_panel(ax: Axes, curves: pd.DataFrame, colors: dict, densities: dict[int, float]) -> None:
    for level, color in colors.items():
        rows = curves[curves["level"] == level]
        known = level in densities
        label = f"{percent_label(100 * densities[level])} %" if known else f"level {level}"
        marker = "o" if len(rows) == 1 else ""  # a line of one point would be invisible
        ax.plot(rows["step"], rows["mean"], marker=marker, color=color, lw=1.4, label=label)
    arm = str(curves["arm"].iloc[0])
    ax.annotate(arm, (0.99, 0.05), xycoords="axes fraction", ha="right", fontweight="bold")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))


def _limit_y(ax: Axes, curves: pd.DataFrame, metric: Metric) -> str:
    """Fit the axis to the later curves; say how many of them end outside of it."""
    limits = curve_limits(curves, metric)
    if limits is None:
        return ""
    ax.set_ylim(*limits)
    ends = curves.sort_values("step").groupby(["arm", "level"]).agg(mean=("mean", "last"))
    num_hidden = int((~ends["mean"].between(*limits)).sum())
    if num_hidden == 0:
        return ""
    return "1 curve ends" if num_hidden == 1 else f"{num_hidden} curves end"
