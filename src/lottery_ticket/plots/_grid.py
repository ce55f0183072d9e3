"""The figure of a sweep: lines over the grid, or a heat map where it has two keys."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lottery_ticket.analysis import Sweep, sort_arms
from lottery_ticket.charts import (
    GridMap,
    grid_charts,
    grid_limits,
    grid_maps,
    input_colors,
    num_replicates,
)
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._look import DEFAULT, Look, LookOptions, look_of, look_on
from lottery_ticket.plots._render import chart_figure
from lottery_ticket.plots._style import finish, new_figure
from lottery_ticket.spec import short_names, value_text

__all__ = ["grid_figure"]

_MISSING, _FRAME = "#ffffff", "#D55E00"
_MOST_TEXTS = 64  # cells of a map with a number in each
_CELL_INCHES, _TITLE_INCHES, _WORD_INCHES = 0.3, 0.45, 1.1


def grid_figure(
    found: Sweep,
    *,
    levels: Sequence[int] | None = None,
    title: str = "",
    run: str = "",
    ax: Axes | None = None,
    **look: Unpack[LookOptions],
) -> Figure:
    """What each arm comes to at each point of a sweep, on validation, and where it is held.

    Of a grid of one key lines over its values, a panel per level; numbers from small to large lie
    on a log axis. Of two keys heat maps, a row per arm and a column per level. Of more, lines over
    the points. What was chosen is filled, or framed.

    Args:
        found: from `lottery_ticket.sweep`.
        levels: which; by default up to four, evenly.
        title, run, ax, look: as of `density_figure`; heat maps take no `ax`.

    Raises:
        UsageError: there is no such level; the look makes no sense.
    """
    known = sorted({int(level) for level in found.points["level"]} - {0})
    if missing := sorted({*(levels or ())} - {*known}):
        there = ", ".join(map(str, known))
        raise UsageError(f"levels: got {missing[0]}, wanted some of {there}")
    if len(found.grid) != 2:
        charts = grid_charts(found, levels)
        return chart_figure(charts, title=title, run=run, ax=ax, look=look_on(ax, **look))
    if ax is not None:
        raise UsageError("ax: heat maps are several panels, and axes are room for one")
    seen = look_of(**look)
    with seen.applied():
        return _maps(found, grid_maps(found, levels), title, run, seen)


def _maps(found: Sweep, maps: Sequence[GridMap], title: str, run: str, look: Look) -> Figure:
    arms = sort_arms(each.arm for each in maps if each.level)
    columns = [0, *sorted({each.level for each in maps} - {0})]
    of = {(each.arm if each.level else arms[0], each.level): each for each in maps}
    num_rows = len(next(iter(found.grid.values())))
    height = look.tall(_WORD_INCHES + (_TITLE_INCHES + _CELL_INCHES * num_rows) * len(arms))
    figure, axes = new_figure(len(arms), num_columns=len(columns), height=height, look=look)
    low, high = grid_limits(found)
    for i, ax in enumerate(axes):
        place = arms[i // len(columns)], columns[i % len(columns)]
        if place not in of:
            ax.set_visible(False)
            continue
        _draw_map(ax, of[place], found, (low, high), look)
    metric, n = found.metric, num_replicates(found.points["n"])
    caption = (
        f"{metric.axis_label[:1].upper()}{metric.axis_label[1:]}, mean over {n}, from dark (low) "
        "to bright (high). Framed: the point that was chosen, of equal ones the first; "
        "the verdict on test is of these. "
        f"dense: level 0 of all arms.{' White: not all trained.' if _has_gaps(maps) else ''}"
    )
    finish(figure, title=title, what="each arm over the grid", caption=caption, run=run, look=look)
    return figure


def _has_gaps(maps: Sequence[GridMap]) -> bool:
    return any(bool(np.isnan(each.values).any()) for each in maps)


def _draw_map(
    ax: Axes, shown: GridMap, found: Sweep, limits: tuple[float, float], look: Look
) -> None:
    shades, (low, high) = input_colors(256), limits
    colors = ListedColormap(shades).with_extremes(bad=_MISSING)
    ax.imshow(shown.values, cmap=colors, vmin=low, vmax=high, aspect="auto")
    ax.set_title(shown.title, fontsize=look.small * 8.5 / 8, loc="left")
    ax.grid(False)
    _name_sides(ax, shown, found)
    if shown.values.size <= _MOST_TEXTS:
        for (row, column), value in np.ndenumerate(shown.values):
            if not np.isnan(value):
                color = (
                    "white" if _is_dark(shades[round(255 * _share(value, low, high))]) else "black"
                )
                weight = "bold" if (row, column) == shown.chosen else "normal"
                text = f"{value:.1f}" if found.metric.unit == "%" else f"{value:.3g}"
                style = {"fontsize": look.small, "fontweight": weight, "color": color}
                ax.text(column, row, text, ha="center", va="center", **style)
    if shown.chosen is not None:
        row, column = shown.chosen
        frame = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, zorder=4, clip_on=False)
        frame.set(edgecolor=_FRAME, linewidth=2.2 * look.line / DEFAULT.line)
        ax.add_patch(frame)


def _name_sides(ax: Axes, shown: GridMap, found: Sweep) -> None:
    """The values of both keys; where a panel stands beside or above another, once."""
    names = short_names(found.grid)
    (y_key, y_values), (x_key, x_values) = found.grid.items()
    ax.set_xticks(range(len(x_values)), [value_text(value, x_key) for value in x_values])
    spec = ax.get_subplotspec()
    assert spec is not None
    is_first = not shown.level or spec.colspan.start == 1
    is_last = not shown.level or spec.is_last_row()
    texts = [value_text(value, y_key) if is_first else "" for value in y_values]
    ax.set_yticks(range(len(y_values)), texts)
    ax.tick_params(labelbottom=is_last, length=0)
    ax.set_ylabel(names[y_key] if is_first else "")
    ax.set_xlabel(names[x_key] if is_last else "")


def _share(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _is_dark(color: str) -> bool:
    red, green, blue = to_rgb(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5
