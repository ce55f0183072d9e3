"""How much of each layer is left."""

import math

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lottery_ticket.analysis import sort_arms
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._axes import log_percent_axis
from lottery_ticket.plots._style import finish, new_figure, num_replicates

__all__ = ["layers_figure"]


def layers_figure(layers: pd.DataFrame, *, title: str) -> Figure:
    """Density per layer against level on a log axis: the ticket arm, mean over replicates.

    Args:
        layers: arm, level, replicate, draw, layer, density, num_kept, num_prunable; layers in
            model order. Without a ticket arm the first arm of `sort_arms` is drawn.
        title: the run's name.

    Returns:
        The figure; overall density is dashed.

    Raises:
        UsageError: the table is empty.
    """
    if layers.empty:
        raise UsageError("the table of layers is empty; nothing to draw")
    arm = sort_arms(layers["arm"])[0]
    rows = layers.loc[layers["arm"] == arm]
    percents = 100 * _mean(rows, "layer").unstack("layer")[list(dict.fromkeys(rows["layer"]))]
    overall = 100 * _overall(rows)
    num_empty = int((percents == 0).sum().sum())
    percents, overall = percents.replace(0.0, np.nan), overall.replace(0.0, np.nan)
    figure, (ax,) = new_figure(width=7.8)
    colors = colormaps["viridis"](np.linspace(0, 0.9, len(percents.columns)))
    for (name, values), color in zip(percents.items(), colors, strict=True):
        ax.plot(values.index, values, "o-", color=color, markersize=4, linewidth=1.5, label=name)
    ax.plot(overall.index, overall, "k--", linewidth=1.6, label="all layers", zorder=4)
    ax.set_xlabel("level")
    ax.set_xlim(min(overall.index) - 0.5, max(overall.index) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    ax.set_ylabel("weights kept (%)")
    log_percent_axis(ax, [v for v in [*percents.to_numpy().ravel(), *overall] if v > 0] or [100])
    num_columns = math.ceil((len(percents.columns) + 1) / 16)
    figure.legend(loc="outside right center", fontsize=9, frameon=False, ncols=num_columns)
    n = num_replicates(rows.groupby("level")["replicate"].nunique())
    empty = f"; {num_empty} empty layers cannot be drawn on a log axis" if num_empty else ""
    caption = f"Masks of the {arm} arm, mean over {n}; dashed: all prunable weights{empty}."
    finish(figure, title=f"{title}: density per layer", caption=caption)
    return figure


def _mean(rows: pd.DataFrame, *keys: str) -> pd.Series:
    """Mean density per level and key: over the draws of a replicate, then over replicates."""
    by_replicate = rows.groupby(["level", *keys, "replicate"]).agg(density=("density", "mean"))
    return pd.Series(by_replicate.groupby(["level", *keys]).agg("mean")["density"])


def _overall(rows: pd.DataFrame) -> pd.Series:
    counts = rows.groupby(["level", "replicate", "draw"], dropna=False, as_index=False).agg(
        kept=("num_kept", "sum"), prunable=("num_prunable", "sum")
    )
    return _mean(counts.assign(density=counts["kept"] / counts["prunable"]))
