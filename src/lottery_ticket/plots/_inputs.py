"""What the first layer still looks at."""

import math

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lottery_ticket.analysis import input_means
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._axes import percent_label
from lottery_ticket.plots._curves import pick_levels
from lottery_ticket.plots._style import finish, new_figure, num_replicates

__all__ = ["inputs_figure", "num_channels", "num_inputs"]

UNREAD = "#d9d9d9"


def num_channels(num_inputs: int) -> int | None:
    """1 where the inputs fill a square image, 3 where they fill one of three colours, else None.

    Images of fewer than 5 × 5 are taken for something else.

    >>> num_channels(784), num_channels(3 * 32 * 32), num_channels(9), num_channels(100 * 7)
    (1, 3, None, None)
    """
    for channels in (1, 3):
        side = math.isqrt(num_inputs // channels)
        if side >= 5 and channels * side**2 == num_inputs:
            return channels
    return None


def num_inputs(inputs: pd.DataFrame) -> int:
    """How many inputs a table of them is about."""
    return len(set(inputs["input"])) if not inputs.empty else 0


def inputs_figure(inputs: pd.DataFrame, *, title: str) -> Figure:
    """Maps of the inputs at up to six levels: how many weights of the first layer read each.

    Args:
        inputs: what `structure.input_density` returned, of one arm.
        title: the run's name.

    Returns:
        The figure: means over replicates; inputs that nothing reads are grey.

    Raises:
        UsageError: the inputs are not as many as the pixels of a square image.
    """
    size = num_inputs(inputs)
    channels = num_channels(size)
    if channels is None:
        raise UsageError(f"{size} inputs are no square image; nothing to draw")
    levels = [int(level) for level in inputs["level"].unique()]
    chosen = pick_levels([level for level in levels if level > 0] or levels)
    num_columns = min(3, len(chosen))
    num_rows = math.ceil(len(chosen) / num_columns)
    figure, axes = new_figure(num_rows, num_columns=num_columns, height=0.9 + 2.05 * num_rows)
    means = input_means(inputs)
    for ax, level in zip(axes, chosen, strict=False):
        _draw_map(ax, means.loc[means["level"] == level], channels)
    for ax in axes[len(chosen) :]:
        ax.set_visible(False)
    side = math.isqrt(size // channels)
    n = num_replicates(inputs.groupby("level")["replicate"].nunique())
    caption = (
        f"The {size} inputs as an image of {side} × {side}, each panel from dark (few) to "
        f"bright (its most): weights of the first layer that read them, mean over {n}. Grey: "
        "no weight in any replicate."
    )
    finish(figure, title=f"{title}: what the first layer looks at", caption=caption)
    return figure


def _draw_map(ax: Axes, means: pd.DataFrame, channels: int) -> None:
    image = means["density"].to_numpy(dtype="float64").reshape(channels, -1)
    side = math.isqrt(image.shape[1])
    image = image.mean(axis=0).reshape(side, side)
    colors = colormaps["cividis"].with_extremes(bad=UNREAD)
    ax.imshow(np.ma.masked_equal(image, 0), cmap=colors, vmin=0, interpolation="nearest")
    num_read = float(means["num_read"].iloc[0])
    text = f"{percent_label(100 * image.mean())} % of layer\n{num_read:.0f} inputs read"
    ax.set_title(text, fontsize=8.5, loc="left")
    ax.grid(False)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
