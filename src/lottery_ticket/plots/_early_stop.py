"""How soon each arm has learnt."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lottery_ticket.errors import UsageError
from lottery_ticket.plots._arms import draw_arms
from lottery_ticket.plots._axes import density_axis
from lottery_ticket.plots._style import finish, legend_above, new_figure, num_replicates, style_arms

__all__ = ["early_stop_figure"]


def early_stop_figure(speed: pd.DataFrame, table: pd.DataFrame, *, title: str) -> Figure:
    """The step of the lowest validation loss against the weights kept, per arm.

    Args:
        speed: what `learning_speed` returned.
        table: the result table, which knows the densities.
        title: the run's name.

    Returns:
        The figure; a hollow mark is a lower bound.

    Raises:
        UsageError: the run has no validation split.
    """
    if speed.empty:
        raise UsageError("early stops are chosen on a validation split, and there is none")
    densities = table.astype({"arm": "str", "level": "int64"})
    densities = densities.groupby(["arm", "level"], as_index=False).agg(density=("density", "mean"))
    stats = speed.merge(densities, on=["arm", "level"])
    stats = stats.assign(percent=100 * stats["density"], mean=stats["step"])
    figure, (ax,) = new_figure()
    draw_arms(ax, stats)
    _hollow(ax, stats.loc[stats["num_censored"] > 0])
    ax.set_ylabel("early-stop step")
    ax.set_ylim(bottom=0)
    density_axis(ax, list(stats["percent"]), is_linear=False)
    legend_above(ax)
    caption = (
        f"Step of the lowest validation loss, mean over {num_replicates(stats['n'])}, band ±1 sd."
    )
    if (stats["num_censored"] > 0).to_numpy().any():
        caption += " Hollow: a lower bound, the loss was still falling in at least one replicate."
    finish(figure, title=f"{title}: early stop", caption=caption)
    return figure


def _hollow(ax: Axes, stats: pd.DataFrame) -> None:
    for arm, (color, marker) in style_arms(stats["arm"]).items():
        rows = stats.loc[stats["arm"] == arm]
        style = {"markersize": 4.5, "markerfacecolor": "white", "markeredgecolor": color}
        ax.plot(rows["percent"], rows["mean"], marker, zorder=4, **style)
