"""What every figure shares: the look of an arm, an empty figure, a caption, saving."""

import io
import math
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lottery_ticket.analysis import sort_arms
from lottery_ticket.arms import ARMS, Arm
from lottery_ticket.files import make_folder, write_file

__all__ = [
    "ARM_STYLE",
    "GREY",
    "ArmStyle",
    "finish",
    "legend_above",
    "new_figure",
    "num_replicates",
    "save",
    "style_arms",
]

# a figure that is shrunk to the column of a paper, two thirds of its size, can still be read
WIDTH, HEIGHT = 5.4, 4.0
DPI = 200
GREY = "#555555"


class ArmStyle(NamedTuple):
    """How an arm is drawn, in every figure."""

    color: str
    marker: str


# Okabe and Ito's colours, which colour-blind readers tell apart, and others as far from them and
# from one another as so many can be; the marker says it again.
ARM_STYLE = {name: ArmStyle(arm.color, arm.marker) for name, arm in ARMS.items()}
"""How the library's own arms are drawn."""

_OTHERS = (
    ArmStyle("#882255", "*"),
    ArmStyle("#999933", "<"),
    ArmStyle("#332288", ">"),
    ArmStyle("#777777", "h"),
)


def style_arms(arms: Iterable[str]) -> dict[str, ArmStyle]:
    """Each arm with its style, in the order of `sort_arms`; those without one share a few more."""
    names = sort_arms(arms)
    rows = {name: ARMS.get(name, Arm()) for name in names}
    plain = [name for name in names if not (rows[name].color and rows[name].marker)]
    extra = {name: _OTHERS[i % len(_OTHERS)] for i, name in enumerate(plain)}
    return {
        name: ArmStyle(
            rows[name].color or extra[name].color, rows[name].marker or extra[name].marker
        )
        for name in names
    }


def new_figure(
    num_rows: int = 1,
    *,
    num_columns: int = 1,
    width: float = WIDTH,
    height: float = HEIGHT,
    share_y: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure of panels, row by row, with a light grid; panels of a column share their x axis."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
    grid = figure.subplots(num_rows, num_columns, sharex="col", sharey=share_y, squeeze=False)
    axes = list(grid.flat)
    for ax in axes:
        ax.grid(True, which="major", color="#e8e8e8", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=9.5)
        ax.xaxis.label.set_size(10.5)
        ax.yaxis.label.set_size(10.5)
    return figure, axes


def legend_above(ax: Axes, *, title: str | None = None, num_columns: int = 5) -> None:
    """The legend above the data, where it can cover nothing."""
    handles, labels = ax.get_legend_handles_labels()
    num_rows = max(1, math.ceil(len(labels) / num_columns))
    ax.legend(
        handles,
        labels,
        title=title,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=math.ceil(len(labels) / num_rows),
        alignment="left",
        title_fontsize=9.5,
        frameon=False,
        fontsize=9.5,
        columnspacing=1.2,
        handlelength=1.6,
        handletextpad=0.5,
        borderaxespad=0.2,
    )


def finish(figure: Figure, *, title: str, caption: str) -> None:
    """Put the title above and the caption below, wrapped to the width of the figure."""
    width = figure.get_figwidth()
    wrapped = textwrap.fill(title, int(10.4 * width))
    figure.suptitle(wrapped, fontsize=11, fontweight="bold", x=0.015, ha="left")
    text = textwrap.fill(caption, int(16.5 * width))
    figure.supxlabel(text, fontsize=8, color=GREY, x=0.015, ha="left")


def num_replicates(counts: Iterable[int]) -> str:
    """`"n = 3 replicates"`, or the range where the counts differ."""
    found = sorted({int(count) for count in counts})
    if not found:
        return "n = 0 replicates"
    text = str(found[0]) if len(found) == 1 else f"{found[0]}–{found[-1]}"
    return f"n = {text} replicate{'' if found == [1] else 's'}"


def save(figure: Figure, path: Path) -> Path:
    """Write a figure in the format of its suffix and return its path; the folder is made.

    Raises:
        UsageError: a link, a device or a folder is there.
    """
    make_folder(path.parent)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    image = io.BytesIO()
    figure.savefig(image, format=path.suffix[1:] or None, dpi=DPI, metadata=metadata)
    write_file(path, image.getvalue())
    return path
