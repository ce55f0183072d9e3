"""What the masks of replicates have in common, beside chance."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lottery_ticket.analysis import overlap_means
from lottery_ticket.arms import TICKET
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._axes import density_axis, log_percent_axis
from lottery_ticket.plots._layers import layer_colors, layer_legend
from lottery_ticket.plots._style import ARM_STYLE, finish, legend_above, new_figure

__all__ = ["overlap_figure"]


def overlap_figure(overlap: pd.DataFrame, *, title: str) -> Figure:
    """The share of weights that two replicates both keep, and how many times that is chance.

    Args:
        overlap: what `structure.overlap_table` returned, across replicates; of one arm.
        title: the run's name.

    Returns:
        The figure: above, all layers together, with the lowest and the highest pair as a band;
        below, layer by layer.

    Raises:
        UsageError: there is no pair of pruned masks.
    """
    pairs = overlap_means(overlap)
    if pairs.empty:
        raise UsageError("no two replicates have a mask of one level; nothing to compare")
    whole = pairs.loc[pairs["layer"] == "all"]
    figure, (above, below) = new_figure(2, height=6.0)
    _draw_shares(above, whole)
    _draw_times_chance(figure, below, pairs, whole)
    counts = sorted(set(whole["num_pairs"]))
    count = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
    caption = (
        "Shared: weights that two replicates both keep, of those that one keeps; mean over "
        f"{count} pairs of replicates, band from the lowest to the highest. Chance: independent "
        "masks with the same number of weights in every layer."
    )
    finish(figure, title=f"{title}: do replicates find the same mask?", caption=caption)
    return figure


def _draw_shares(ax: Axes, whole: pd.DataFrame) -> None:
    x, color = 100 * whole["density"], ARM_STYLE[TICKET].color
    ax.plot(x, 100 * whole["share"], "o-", color=color, markersize=3.5, label="shared")
    ax.fill_between(x, 100 * whole["low"], 100 * whole["high"], color=color, alpha=0.2, lw=0)
    ax.plot(x, 100 * whole["expected"], "k--", linewidth=1.2, label="chance")
    ax.set_ylabel("shared weights (%)")
    drawn = 100 * whole[["low", "high", "expected"]].to_numpy().ravel()
    log_percent_axis(ax, [value for value in drawn if value > 0] or [100])
    legend_above(ax)


def _draw_times_chance(figure: Figure, ax: Axes, pairs: pd.DataFrame, whole: pd.DataFrame) -> None:
    percents = dict(zip(whole["level"], 100 * whole["density"], strict=True))
    names = [name for name in dict.fromkeys(pairs["layer"]) if name != "all"]
    for name, color in layer_colors(names).items():
        rows = pairs.loc[pairs["layer"] == name]
        style = {"color": color, "markersize": 3.5, "linewidth": 1.5}
        ax.plot(
            rows["level"].map(percents), rows["share"] / rows["expected"], "o-", label=name, **style
        )
    ax.axhline(1, color="k", linestyle="--", linewidth=1.2, label="chance")
    ax.set_ylabel("times chance")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}×"))
    density_axis(ax, list(percents.values()), is_linear=False)
    layer_legend(figure, ax, len(names))
