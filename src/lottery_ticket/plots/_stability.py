"""Figures of stability."""

from typing import Unpack

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lottery_ticket.analysis import Stability
from lottery_ticket.charts import barrier_charts, path_charts
from lottery_ticket.plots._look import LookOptions, look_on
from lottery_ticket.plots._render import chart_figure

__all__ = ["paths_figure", "stability_figure"]


def stability_figure(
    found: Stability,
    *,
    title: str = "",
    run: str = "",
    ax: Axes | None = None,
    **look: Unpack[LookOptions],
) -> Figure:
    """Mean barriers between copies, with 95 % intervals: against k, or of one k against the level.

    Args:
        found: from `lottery_ticket.stability`.
        title, run, ax, look: as of `density_figure`.

    Returns:
        The figure: a panel per arm where there are several k.
    """
    look_for = look_on(ax, **look)
    return chart_figure(barrier_charts(found), title=title, run=run, ax=ax, look=look_for)


def paths_figure(
    found: Stability,
    step: int | None = None,
    *,
    title: str = "",
    run: str = "",
    ax: Axes | None = None,
    **look: Unpack[LookOptions],
) -> Figure:
    """Mean errors along the lines between copies that part at a step: a panel per arm.

    Args:
        found: from `lottery_ticket.stability`.
        step: k; by default the first.
        title, run, ax, look: as of `density_figure`.
    """
    step = min(found.runs) if step is None else step
    look_for = look_on(ax, **look)
    return chart_figure(path_charts(found, step), title=title, run=run, ax=ax, look=look_for)
