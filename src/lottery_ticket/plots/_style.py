"""What every figure shares: an empty figure, a title, small print, saving."""

import io
import textwrap
import warnings
from itertools import pairwise
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lottery_ticket.errors import UsageError
from lottery_ticket.files import make_folder, write_file
from lottery_ticket.plots._look import DEFAULT, Look
from lottery_ticket.plots._settings import SCREEN, settings
from lottery_ticket.plots._shown import ShownFigure

__all__ = ["check_suffix", "dress", "finish", "new_figure", "save"]

DPI = 200
# letters as outlines that a publisher takes (TrueType, not Type 3), and the same bytes every time
_WRITING = {
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.hashsalt": "lottery-ticket",
    "savefig.bbox": None,  # as wide as was asked for
}
_LINE_INCHES, _ROW_INCHES = 0.15, 0.19  # of small print, and of a legend


def new_figure(
    num_rows: int = 1,
    *,
    num_columns: int = 1,
    width: float | None = None,
    height: float | None = None,
    share_y: bool = False,
    look: Look = DEFAULT,
) -> tuple[Figure, list[Axes]]:
    """A figure of panels, row by row, with a light grid; panels of a column share their x axis.

    Args:
        num_rows, num_columns: of panels.
        width, height: in inches; None for the look's.
        share_y: whether panels of a row share their y axis.
        look: of all of it.
    """
    size = (look.width if width is None else width, look.height if height is None else height)
    figure = ShownFigure(figsize=size)
    FigureCanvasAgg(figure)
    pad = 0.06 if look.has_words else 0.02
    figure.set_layout_engine("constrained", w_pad=pad, h_pad=pad)
    grid = figure.subplots(num_rows, num_columns, sharex="col", sharey=share_y, squeeze=False)
    axes = list(grid.flat)
    for ax in axes:
        dress(ax, look)
    return figure, axes


def dress(ax: Axes, look: Look = DEFAULT) -> None:
    """The look of all axes: a light grid, no box, letters that can be read."""
    ax.tick_params(labelsize=look.tick)
    ax.xaxis.label.set_fontsize(look.label)
    ax.yaxis.label.set_fontsize(look.label)
    if look.fonts:
        ax.tick_params(labelfontfamily=[*look.fonts])
    if look.is_dressed:
        grid = {**SCREEN, **look.changed}
        line = {"color": grid["grid.color"], "linewidth": grid["grid.linewidth"]}
        ax.grid(bool(grid["axes.grid"]), which="major", **(line if grid["axes.grid"] else {}))
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)


def finish(
    figure: Figure,
    *,
    title: str,
    what: str,
    caption: str,
    run: str = "",
    num_rows: int = 1,
    look: Look = DEFAULT,
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
        look: of the figure; some have neither title nor small print.
    """
    width, num_lines, num_titles = figure.get_figwidth(), 0, 1
    if title and look.has_words:
        wrapped = f"{title}: {what}" if what else title
        wrapped = textwrap.fill(wrapped, int(10.4 * width * 11 / look.title))
        num_titles = wrapped.count("\n") + 1
        figure.suptitle(wrapped, fontsize=look.title, fontweight="bold", x=0.015, ha="left")
    if look.has_words:
        caption += f" Run {run}." if run else ""
        columns = int(16.5 * width * 8 / look.small)
        lines = textwrap.wrap(caption, columns, break_on_hyphens=False)
        num_lines = len(lines)
        figure.supxlabel("\n".join(lines), fontsize=look.small, color=look.grey, x=0.015, ha="left")
    if not look.is_tall:
        more = _LINE_INCHES * max(0, num_lines - 2) * look.small / 8
        more += _ROW_INCHES * max(0, num_rows - 1) * look.legend / 9.5
        if not look.is_default:
            more += (num_titles - 1) * 1.3 * look.title / 72
        figure.set_figheight(figure.get_figheight() + more)
    if not look.is_default:
        _settle(figure, what)


def _settle(figure: Figure, what: str) -> None:
    """Lay a figure out, so that what is made when it is first drawn has its look too.

    Raises:
        UsageError: there is no room for the data beside the letters.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        figure.draw_without_rendering()
    is_flat = any("collapsed to zero" in str(one.message) for one in said)
    if is_flat or any(map(_is_overprinted, figure.axes)):
        width, height = figure.get_size_inches()
        raise UsageError(
            f"{what}: a figure of {width:.3g} × {height:.3g} inches has no room for data beside "
            "its letters; make it larger"
        )


def _is_overprinted(ax: Axes) -> bool:
    """Whether names of the y axis, as it was laid out, stand on one another."""
    low, high = sorted(ax.get_ylim())
    ticks = zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
    names = [name for y, name in ticks if low <= y <= high and name.get_text()]
    boxes = sorted((name.get_window_extent() for name in names), key=lambda box: box.y0)
    return any(low.y1 > high.y0 for low, high in pairwise(boxes))


def check_suffix(suffix: str, got: str) -> str:
    """The format of a suffix; `UsageError`, which begins with what was got, if it is of none."""
    known = set(FigureCanvasAgg.get_supported_filetypes()) - {"pgf"}  # which wants TeX
    if suffix[1:].lower() not in known:
        wanted = ", ".join(f".{name}" for name in sorted(known))
        raise UsageError(f"{got}, wanted one of {wanted}")
    return suffix[1:].lower()


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure in the format of its suffix and return its path; the folder is made.

    It is as large as the figure is. The same figure gives the same bytes, without a date; a PDF
    holds its letters as TrueType.

    Raises:
        UsageError: the suffix is that of no format; a link, a device or a folder is there.
    """
    path = Path(path)
    suffix = check_suffix(path.suffix, f"{path}: got the suffix {path.suffix!r}")
    make_folder(path.parent)
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    image = io.BytesIO()
    with settings(_WRITING):
        figure.savefig(image, format=suffix, dpi=DPI, metadata=undated.get(suffix))
    write_file(path, image.getvalue())
    return path
