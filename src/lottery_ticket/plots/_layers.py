"""How much of each layer is left."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lottery_ticket.analysis import layer_means, sort_arms
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._axes import density_axis, log_percent_axis
from lottery_ticket.plots._style import finish, legend_above, new_figure, num_replicates

__all__ = ["layer_colors", "layer_legend", "layers_figure"]

_FEW = 5


def layer_colors(names: Sequence[str]) -> dict[str, str]:
    """A colour per layer, from the first to the last."""
    shades = colormaps["viridis"](np.linspace(0, 0.88, len(names)))
    return {name: to_hex(shade) for name, shade in zip(names, shades, strict=True)}


def layer_legend(figure: Figure, ax: Axes, num_layers: int) -> None:
    """Above the data while layers are few, else beside it, in a figure that is made wider."""
    if num_layers <= _FEW:
        legend_above(ax, num_columns=4)
        return
    width, height = figure.get_size_inches()
    figure.set_size_inches(width + 2.0 * (1 + num_layers // 26), height)
    handles, labels = ax.get_legend_handles_labels()
    style = {"fontsize": 7.5, "frameon": False, "ncols": 1 + num_layers // 26}
    figure.legend(handles, labels, loc="outside right center", **style)


def layers_figure(layers: pd.DataFrame, *, title: str) -> Figure:
    """Density of each layer against that of all: the ticket arm, mean over replicates.

    Args:
        layers: arm, level, replicate, draw, layer, num_kept, num_prunable; layers in model
            order. Without a ticket arm the first arm of `sort_arms` is drawn.
        title: the run's name.

    Returns:
        The figure; overall density is dashed.

    Raises:
        UsageError: the table is empty.
    """
    if layers.empty:
        raise UsageError("the table of layers is empty; nothing to draw")
    arm = sort_arms(layers["arm"])[0]
    means = layer_means(layers)
    percents = 100 * means.pivot(index="level", columns="layer", values="density")
    names = list(dict.fromkeys(means["layer"]))[:-1]
    num_empty = int((percents == 0).sum().sum())
    percents = percents.replace(0.0, np.nan)
    overall = percents["all"]
    figure, (ax,) = new_figure()
    for name, color in layer_colors(names).items():
        style = {"color": color, "markersize": 3.5, "linewidth": 1.5}
        ax.plot(overall, percents[name], "o-", label=name, **style)
    ax.plot(overall, overall, "k--", linewidth=1.3, label="all layers", zorder=4)
    ax.set_ylabel("weights kept in the layer (%)")
    log_percent_axis(ax, [value for value in percents.to_numpy().ravel() if value > 0] or [100])
    density_axis(ax, list(overall.dropna()) or [100.0], is_linear=False)
    layer_legend(figure, ax, len(names))
    n = num_replicates(means["n"])
    empty = f"; {num_empty} empty layers cannot be drawn on a log axis" if num_empty else ""
    caption = f"Masks of the {arm} arm, mean over {n}; dashed: all prunable weights{empty}."
    finish(figure, title=f"{title}: density per layer", caption=caption)
    return figure
