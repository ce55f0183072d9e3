"""How many kept weights end with the sign they began with."""

import pandas as pd
from matplotlib.figure import Figure

from lottery_ticket.analysis import sign_statistics
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._arms import draw_arms
from lottery_ticket.plots._axes import density_axis
from lottery_ticket.plots._style import GREY, finish, legend_above, new_figure, num_replicates

__all__ = ["signs_figure"]


def signs_figure(kept_weights: pd.DataFrame, table: pd.DataFrame, *, title: str) -> Figure:
    """The share of kept weights whose sign training did not change, per arm.

    Args:
        kept_weights: what `structure.run_kept_weights` returned.
        table: the result table, which knows the densities.
        title: the run's name.

    Returns:
        The figure: mean over replicates, with a band of ±1 sd.

    Raises:
        UsageError: there is no row.
    """
    if kept_weights.empty:
        raise UsageError("no training has both its first and its last weights; nothing to draw")
    stats = sign_statistics(kept_weights, table)
    stats = stats.assign(
        percent=100 * stats["density"], mean=100 * stats["mean"], sd=100 * stats["sd"]
    )
    figure, (ax,) = new_figure()
    draw_arms(ax, stats)
    ax.axhline(50, color=GREY, linestyle="--", linewidth=1.2, label="a coin's toss")
    ax.set_ylabel("signs kept (%)")
    density_axis(ax, list(stats["percent"]), is_linear=False)
    legend_above(ax)
    n = num_replicates(stats["n"])
    caption = (
        f"Of the weights that the mask keeps, those whose sign after training is that of the "
        f"initial weight; mean over {n}, band ±1 sd."
    )
    finish(figure, title=f"{title}: signs kept in training", caption=caption)
    return figure
