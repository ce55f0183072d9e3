"""The verdict of each level, as a strip."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lottery_ticket.analysis import Verdict
from lottery_ticket.charts import VERDICT_STYLE, percent_label
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._style import dress, finish, new_figure

__all__ = ["verdict_figure"]


def verdict_figure(
    verdict: Verdict, *, title: str = "", run: str = "", ax: Axes | None = None
) -> Figure:
    """A cell per level, from dense to sparse, in the colour of its verdict.

    Args:
        verdict: of the run.
        title, run, ax: as of `density_figure`.

    Returns:
        The figure; levels that the run claims together are filled.

    Raises:
        UsageError: no level was judged.
    """
    if not verdict.levels:
        raise UsageError("no level below dense is finished; nothing to draw")
    if ax is not None:
        dress(ax)
        _draw_strip(ax, verdict)
        return ax.figure.figure
    figure, (own,) = new_figure(height=1.9)
    _draw_strip(own, verdict)
    labels = {found.label for found in verdict.levels}
    legend = [f"{style.sign} {label}" for label, style in VERDICT_STYLE.items() if label in labels]
    claimed = "; filled: claimed together, at 5 % in all" if verdict.level is not None else ""
    caption = f"{', '.join(legend)}. Each level judged by itself{claimed}."
    finish(figure, title=title, what=verdict.label, caption=caption, run=run)
    return figure


def _draw_strip(ax: Axes, verdict: Verdict) -> None:
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
