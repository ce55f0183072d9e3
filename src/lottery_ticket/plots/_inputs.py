"""What the first layer still looks at."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from lottery_ticket.charts import (
    UNREAD,
    InputImage,
    input_colors,
    input_images,
    num_replicates,
    percent_label,
    pick_levels,
)
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._style import finish, new_figure

__all__ = ["inputs_figure"]


def inputs_figure(inputs: pd.DataFrame, *, title: str = "", run: str = "") -> Figure:
    """Maps of the inputs at up to six levels: how many weights of the first layer read each.

    Args:
        inputs: what `structure.input_density` returned, of one arm.
        title, run: as of `density_figure`.

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
    finish(figure, title=title, what="what the first layer looks at", caption=caption, run=run)
    return figure


def _draw_map(ax: Axes, image: InputImage) -> None:
    colors = ListedColormap(input_colors(256)).with_extremes(bad=UNREAD)
    pixels = np.ma.masked_equal(image.pixels, 0)
    ax.imshow(pixels, cmap=colors, vmin=0, interpolation="nearest")
    kept = percent_label(100 * image.pixels.mean())
    ax.set_title(f"{kept} % of layer\n{image.num_read:.0f} inputs read", fontsize=8.5, loc="left")
    ax.grid(False)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
