"""What the first layer still looks at."""

import math
from collections.abc import Mapping, Sequence
from typing import Unpack

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
from lottery_ticket.plots._look import Look, LookOptions, look_of
from lottery_ticket.plots._style import finish, new_figure

__all__ = ["inputs_figure"]


def inputs_figure(
    inputs: pd.DataFrame, *, title: str = "", run: str = "", **look: Unpack[LookOptions]
) -> Figure:
    """Maps of the inputs at up to six levels: how many weights of the first layer read each.

    Args:
        inputs: what `structure.input_density` returned, of one arm.
        title, run, look: as of `density_figure`.

    Returns:
        The figure: means over replicates; inputs that nothing reads are grey.

    Raises:
        UsageError: the inputs are not as many as the pixels of a square image.
    """
    images = {image.level: image for image in input_images(inputs)}
    if not images:
        raise UsageError("the inputs are no square image; nothing to draw")
    chosen = pick_levels([level for level in images if level > 0] or list(images))
    seen = look_of(**look)
    with seen.applied():
        return _drawn(inputs, images, chosen, title=title, run=run, look=seen)


def _drawn(
    inputs: pd.DataFrame,
    images: Mapping[int, InputImage],
    chosen: Sequence[int],
    *,
    title: str,
    run: str,
    look: Look,
) -> Figure:
    num_columns = min(3, len(chosen))
    num_rows = math.ceil(len(chosen) / num_columns)
    words = 0.9 if look.has_words else 0.2
    height = look.tall(words + 2.05 * num_rows)
    figure, axes = new_figure(num_rows, num_columns=num_columns, height=height, look=look)
    for ax, level in zip(axes, chosen, strict=False):
        _draw_map(ax, images[level], look)
    for ax in axes[len(chosen) :]:
        ax.set_visible(False)
    side = len(images[chosen[0]].pixels)
    n = num_replicates(inputs.groupby("level")["replicate"].nunique())
    caption = (
        f"The net's inputs as an image of {side} × {side}, each panel from dark (few) to bright "
        f"(its most): weights of the first layer that read them, mean over {n}. White: no weight "
        "in any replicate."
    )
    what = "what the first layer looks at"
    finish(figure, title=title, what=what, caption=caption, run=run, look=look)
    return figure


def _draw_map(ax: Axes, image: InputImage, look: Look) -> None:
    colors = ListedColormap(input_colors(256)).with_extremes(bad=UNREAD)
    pixels = np.ma.masked_equal(image.pixels, 0)
    ax.imshow(pixels, cmap=colors, vmin=0, interpolation="nearest")
    kept = percent_label(100 * image.pixels.mean())
    text = f"{kept} % of layer\n{image.num_read:.0f} inputs read"
    ax.set_title(text, fontsize=look.small * 8.5 / 8, loc="left")
    ax.grid(False)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=look.grey, linewidth=0.5)  # of white cells, too
