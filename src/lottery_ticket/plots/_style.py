"""What every figure shares: an empty figure, a title, small print, saving."""

import io
import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lottery_ticket.errors import UsageError
from lottery_ticket.files import make_folder, write_file
from lottery_ticket.plots._shown import ShownFigure

__all__ = ["GREY", "HEIGHT", "WIDTH", "dress", "finish", "new_figure", "save"]

# a figure that is shrunk to the column of a paper, two thirds of its size, can still be read
WIDTH, HEIGHT = 5.4, 4.0
DPI = 200
GREY = "#555555"
_LINE_INCHES, _ROW_INCHES = 0.15, 0.19  # of small print, and of a legend


def new_figure(
    num_rows: int = 1,
    *,
    num_columns: int = 1,
    width: float = WIDTH,
    height: float = HEIGHT,
    share_y: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure of panels, row by row, with a light grid; panels of a column share their x axis."""
    figure = ShownFigure(figsize=(width, height))
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
    grid = figure.subplots(num_rows, num_columns, sharex="col", sharey=share_y, squeeze=False)
    axes = list(grid.flat)
    for ax in axes:
        dress(ax)
    return figure, axes


def dress(ax: Axes) -> None:
    """The look of all axes: a light grid, no box, letters that can be read when shrunk."""
    ax.grid(True, which="major", color="#e8e8e8", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=9.5)
    ax.xaxis.label.set_fontsize(10.5)
    ax.yaxis.label.set_fontsize(10.5)


def finish(
    figure: Figure, *, title: str, what: str, caption: str, run: str = "", num_rows: int = 1
) -> None:
    """Put the title above and the small print below, wrapped to the width of the figure.

    Args:
        figure: what it is put on; it grows by what is more than two lines of small print and one
            row of legend, so that the data keep their room.
        title: of what is drawn; empty for no title at all.
        what: is drawn, which the title ends with.
        caption: what one has to know to read it.
        run: the run's id, if it is one's.
        num_rows: of the legends.
    """
    width = figure.get_figwidth()
    if title:
        wrapped = textwrap.fill(f"{title}: {what}" if what else title, int(10.4 * width))
        figure.suptitle(wrapped, fontsize=11, fontweight="bold", x=0.015, ha="left")
    caption += f" Run {run}." if run else ""
    lines = textwrap.wrap(caption, int(16.5 * width), break_on_hyphens=False)
    figure.supxlabel("\n".join(lines), fontsize=8, color=GREY, x=0.015, ha="left")
    more = _LINE_INCHES * max(0, len(lines) - 2) + _ROW_INCHES * max(0, num_rows - 1)
    figure.set_figheight(figure.get_figheight() + more)


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure in the format of its suffix and return its path; the folder is made.

    Raises:
        UsageError: the suffix is that of no format; a link, a device or a folder is there.
    """
    path = Path(path)
    suffix = path.suffix[1:].lower()
    known = set(figure.canvas.get_supported_filetypes()) - {"pgf"}  # which wants TeX
    if suffix not in known:
        wanted = ", ".join(f".{name}" for name in sorted(known))
        raise UsageError(f"{path}: got the suffix {path.suffix!r}, wanted one of {wanted}")
    make_folder(path.parent)
    metadata = {"Date": None} if suffix == "svg" else None
    image = io.BytesIO()
    figure.savefig(image, format=suffix, dpi=DPI, metadata=metadata)
    write_file(path, image.getvalue())
    return path
