"""A metric against density, one line per arm."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lottery_ticket.analysis import Metric, check_one_run, level_statistics
from lottery_ticket.arms import TICKET
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._arms import draw_arms, fit_y, hidden_note
from lottery_ticket.plots._axes import density_axis
from lottery_ticket.plots._style import GREY, finish, legend_above, new_figure, num_replicates

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
    draw_arms(ax, stats)
    has_dense = _draw_dense(ax, stats)
    density_axis(ax, list(stats["percent"]), is_linear=is_linear)
    ax.set_ylabel(metric.axis_label)
    hidden = fit_y(ax, stats, metric)
    legend_above(ax)
    finish(figure, title=f"{title}: {metric.label}", caption=_caption(stats, has_dense, hidden))
    return figure


def _draw_dense(ax: Axes, stats: pd.DataFrame) -> bool:
    dense = stats.loc[(stats["arm"] == TICKET) & (stats["level"] == 0), "mean"]
    for value in dense:
        ax.axhline(value, color=GREY, linestyle="--", linewidth=1.2, label="dense", zorder=2)
    return not dense.empty


def _caption(stats: pd.DataFrame, has_dense: bool, hidden: list[float]) -> str:
    has_band = bool(stats["sd"].notna().any())
    parts = [f"Mean over {num_replicates(stats['n'])}" + (", band ±1 sd" if has_band else "")]
    if has_dense:
        parts.append("dashed: dense (ticket, level 0)")
    if hidden:
        parts.append(hidden_note(hidden))
    return "; ".join(parts) + "."
