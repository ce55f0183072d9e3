"""What the first layer still looks at."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lottery_ticket.analysis import input_means
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._axes import percent_label
from lottery_ticket.plots._curves import pick_levels
from lottery_ticket.plots._style import finish, new_figure, num_replicates

__all__ = ["UNREAD", "InputImage", "input_colors", "input_images", "inputs_figure"]

UNREAD = "#d9d9d9"
"""The colour of an input that no weight reads."""


class InputImage(NamedTuple):
    """The inputs of a net as an image, at one level.

    Args:
        level: of the masks.
        pixels: (side, side), the share of the first layer's weights that read each input, mean
            over replicates; over colours too, where an image has them.
        num_read: how many inputs any weight reads, mean over replicates.
    """

    level: int
    pixels: NDArray[np.float64]
    num_read: float


def input_images(inputs: pd.DataFrame) -> list[InputImage]:
    """The inputs at each level as images; empty where they are not the pixels of a square.

    Args:
        inputs: what `structure.input_density` returned, of one arm.
    """
    size = len(set(inputs["input"])) if not inputs.empty else 0
    channels = num_channels(size)
    if channels is None:
        return []
    side = math.isqrt(size // channels)
    means = input_means(inputs)
    return [
        InputImage(
            int(str(level)),
            rows["density"].to_numpy("float64").reshape(channels, side, side).mean(axis=0),
            float(rows["num_read"].iloc[0]),
        )
        for level, rows in means.groupby("level")
    ]


def input_colors(num_colors: int) -> list[str]:
    """Colours from few to many."""
    return [to_hex(color) for color in colormaps["cividis"](np.linspace(0, 1, num_colors))]


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
    images = {image.level: image for image in input_images(inputs)}
    if not images:
        raise UsageError("the inputs are no square image; nothing to draw")
    chosen = pick_levels([level for level in images if level > 0] or list(images))
    num_columns = min(3, len(chosen))
    num_rows = math.ceil(len(chosen) / num_columns)
    figure, axes = new_figure(num_rows, num_columns=num_columns, height=0.9 + 2.05 * num_rows)
    for ax, level in zip(axes, chosen, strict=False):
        _draw_map(ax, images[level])
    for ax in axes[len(chosen) :]:
        ax.set_visible(False)
    side = len(images[chosen[0]].pixels)
    n = num_replicates(inputs.groupby("level")["replicate"].nunique())
    caption = (
        f"The net's inputs as an image of {side} × {side}, each panel from dark (few) to bright "
        f"(its most): weights of the first layer that read them, mean over {n}. Grey: no weight in "
        "any replicate."
    )
    finish(figure, title=f"{title}: what the first layer looks at", caption=caption)
    return figure


def _draw_map(ax: Axes, image: InputImage) -> None:
    colors = colormaps["cividis"].with_extremes(bad=UNREAD)
    pixels = np.ma.masked_equal(image.pixels, 0)
    ax.imshow(pixels, cmap=colors, vmin=0, interpolation="nearest")
    kept = percent_label(100 * image.pixels.mean())
    ax.set_title(f"{kept} % of layer\n{image.num_read:.0f} inputs read", fontsize=8.5, loc="left")
    ax.grid(False)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
