"""The verdict of each level, as a strip."""

from typing import Unpack

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from lottery_ticket.analysis import MISSING, SHORT, Verdict, alpha_text
from lottery_ticket.charts import VERDICT_STYLE, percent_label
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._look import Look, LookOptions, look_on
from lottery_ticket.plots._render import check_axes, draw_legend
from lottery_ticket.plots._style import dress, finish, new_figure

__all__ = ["verdict_figure"]


def verdict_figure(
    verdict: Verdict,
    *,
    title: str = "",
    run: str = "",
    ax: Axes | None = None,
    **look: Unpack[LookOptions],
) -> Figure:
    """A cell per level, from dense to sparse, in the colour of its verdict.

    Args:
        verdict: of the run.
        title, run, ax, look: as of `density_figure`.

    Returns:
        The figure; levels that the run claims together are filled.

    Raises:
        UsageError: no level was judged.
    """
    if not verdict.levels:
        raise UsageError("no level below dense is finished; nothing to draw")
    seen = look_on(ax, **look)
    with seen.applied():
        if ax is None:
            return _own_figure(verdict, title, run, seen)
        check_axes(ax, "verdict")
        dress(ax, seen)
        _draw_strip(ax, verdict, seen)
        return ax.figure.figure


def _own_figure(verdict: Verdict, title: str, run: str, look: Look) -> Figure:
    # without words it is as high as its cells, and the legend of their signs
    height = look.tall(1.9 if look.has_words else 1.5)
    figure, (ax,) = new_figure(height=height, look=look)
    _draw_strip(ax, verdict, look)
    labels = {found.label for found in verdict.levels}
    legend = [f"{style.sign} {label}" for label, style in VERDICT_STYLE.items() if label in labels]
    claimed = (
        f"; filled: claimed together, at {alpha_text(verdict)} in all"
        if verdict.level is not None
        else ""
    )
    caption = f"{', '.join(legend)}. Each level judged by itself{claimed}."
    num_rows = 1
    if not look.has_words:  # nothing else says what the signs are
        num_rows = draw_legend(ax, [_sign(found) for found in SHORT if found in labels], look)
    finish(figure, title=title, what=verdict.label, caption=caption, run=run,
           num_rows=num_rows, look=look)  # fmt: skip
    return figure


def _sign(label: str) -> Patch:
    """What stands for a verdict in a legend."""
    color, sign = VERDICT_STYLE[label]
    name = label if SHORT[label] == MISSING else SHORT[label]
    return Patch(facecolor=color, label=f"{sign} {name}")


def _draw_strip(ax: Axes, verdict: Verdict, look: Look) -> None:
    for place, found in enumerate(verdict.levels):
        color, sign = VERDICT_STYLE[found.label]
        face = {"facecolor": color, "alpha": 1.0 if found.is_claimed else 0.22}
        ax.add_patch(Rectangle((place + 0.04, 0), 0.92, 1, linewidth=0, **face))
        ink = "white" if found.is_claimed else color
        ax.text(place + 0.5, 0.5, sign, ha="center", va="center", color=ink, fontsize=look.title)
    most = max(2, min(11, int(ax.bbox.width * 72 / ax.figure.dpi / (2.8 * look.tick))))
    every = -(-len(verdict.levels) // most)
    shown = range(0, len(verdict.levels), every)
    ax.set_xlim(0, len(verdict.levels))
    ax.set_ylim(0, 1)
    ax.set_yticks([])
    names = [percent_label(100 * verdict.levels[i].density) for i in shown]
    ax.set_xticks([i + 0.5 for i in shown], names)
    _name_levels(ax, verdict, look, every)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def _name_levels(ax: Axes, verdict: Verdict, look: Look, every: int) -> None:
    """The number of each level below its cell, in a row above the weights kept; where cells are
    narrow, of those whose weights are named."""
    numbers = [found.level for found in verdict.levels]
    wide = ax.bbox.width * 72 / ax.figure.dpi / len(numbers)
    step = 1 if wide > (0.65 * len(str(numbers[-1])) + 0.4) * look.small else every
    shown = range(0, len(numbers), step)
    words = [f"{numbers[i]}" for i in shown]
    ax.xaxis.remove_overlapping_locs = False
    ax.set_xticks([i + 0.5 for i in shown], words, minor=True)
    row = 1.25 * look.small
    ax.tick_params(which="minor", length=0, pad=2, labelsize=look.small, labelcolor=look.grey)
    ax.tick_params(which="major", pad=row + 3)
    ax.set_xlabel("level, and weights kept (%)")
