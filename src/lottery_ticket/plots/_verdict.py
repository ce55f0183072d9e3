"""The verdict of each level, as a strip."""

from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lottery_ticket.analysis import (
    MATCHING,
    NO_VERDICT,
    NOT_A_TICKET,
    NOT_DECIDED,
    WINNING,
    Verdict,
)
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._axes import percent_label
from lottery_ticket.plots._style import finish, new_figure

__all__ = ["VERDICT_STYLE", "VerdictStyle", "verdict_figure"]


class VerdictStyle(NamedTuple):
    """How a verdict is drawn: a colour, and a sign that says it again."""

    color: str
    sign: str


VERDICT_STYLE = {
    WINNING: VerdictStyle("#00795A", "✓"),
    MATCHING: VerdictStyle("#B98300", "="),
    NOT_A_TICKET: VerdictStyle("#B04A00", "✗"),
    NOT_DECIDED: VerdictStyle("#777777", "?"),
    NO_VERDICT: VerdictStyle("#BBBBBB", "·"),
}


def verdict_figure(verdict: Verdict, *, title: str) -> Figure:
    """A cell per level, from dense to sparse, in the colour of its verdict.

    Args:
        verdict: of the run.
        title: the run's name.

    Returns:
        The figure; levels that the run claims together are filled.

    Raises:
        UsageError: no level was judged.
    """
    if not verdict.levels:
        raise UsageError("no level below dense is finished; nothing to draw")
    figure, (ax,) = new_figure(height=1.9)
    for place, found in enumerate(verdict.levels):
        color, sign = VERDICT_STYLE[found.label]
        face = {"facecolor": color, "alpha": 1.0 if found.is_claimed else 0.22}
        ax.add_patch(Rectangle((place + 0.04, 0), 0.92, 1, linewidth=0, **face))
        ink = "white" if found.is_claimed else color
        ax.text(place + 0.5, 0.5, sign, ha="center", va="center", color=ink, fontsize=11)
    every = -(-len(verdict.levels) // 11)
    shown = range(0, len(verdict.levels), every)
    ax.set_xlim(0, len(verdict.levels))
    ax.set_ylim(0, 1)
    ax.set_yticks([])
    names = [percent_label(100 * verdict.levels[i].density) for i in shown]
    ax.set_xticks([i + 0.5 for i in shown], names)
    ax.set_xlabel("weights kept (%)")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    labels = {found.label for found in verdict.levels}
    legend = [f"{style.sign} {label}" for label, style in VERDICT_STYLE.items() if label in labels]
    claimed = "; filled: claimed together, at 5 % in all" if verdict.level is not None else ""
    caption = f"{', '.join(legend)}. Each level judged by itself{claimed}."
    finish(figure, title=f"{title}: {verdict.label}", caption=caption)
    return figure
