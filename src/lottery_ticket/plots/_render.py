"""A chart as a figure: its lines, rules, axes and legend, drawn by matplotlib."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.markers import CARETDOWN, CARETUP
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import Transform, offset_copy

from lottery_ticket.charts import Chart, Series, percent_label
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._look import DEFAULT, Look
from lottery_ticket.plots._style import dress, finish, new_figure

__all__ = ["chart_figure", "draw_chart", "draw_legend", "log_ticks", "spread_ticks"]

_LINES = {"solid": "-", "dashed": "--", "dotted": ":"}
_ROOM = 0.04  # beyond the first and the last stop, of the width
_HEIGHT, _PANEL_INCHES = 4.0, 2.1  # of a figure of one panel, and of each further one
_KEY, _LETTER = 34, 5.8  # points of a legend's key, and of a letter, about
_MOST_LINES = 4  # of a name in a legend
_MOST_VALUES = 8  # at the edges of an axis; more would lie on one another


def chart_figure(
    charts: Sequence[Chart],
    *,
    title: str,
    run: str = "",
    ax: Axes | None = None,
    look: Look = DEFAULT,
) -> Figure:
    """Charts as the panels of a figure, one below the other.

    Args:
        charts: of the panels; their x axes are alike.
        title: of what is drawn; empty for no title.
        run: the run's id, for the small print.
        ax: where to draw a single chart, without title and small print; None for a figure of its
            own.
        look: of the figure.

    Returns:
        The figure, or the one that `ax` is in.

    Raises:
        UsageError: `ax` is no axes, or there are several charts for it.
    """
    with look.applied():
        if ax is None:
            return _own_figure(charts, title, run, look)
        check_axes(ax, charts[0].title, len(charts))
        dress(ax, look)
        draw_chart(ax, charts[0], look)
        return ax.figure.figure


def check_axes(ax: object, what: str, num_panels: int = 1) -> None:
    """Raise `UsageError` unless a figure can be drawn there."""
    if not isinstance(ax, Axes):
        raise UsageError(
            f"ax: got {type(ax).__name__}, wanted the axes of matplotlib, such as "
            "Figure().subplots() returns"
        )
    if num_panels > 1:
        raise UsageError(f"ax: {what!r} has {num_panels} panels, and axes are room for one")


def _own_figure(charts: Sequence[Chart], title: str, run: str, look: Look) -> Figure:
    height = look.tall(_HEIGHT + _PANEL_INCHES * (len(charts) - 1))
    figure, axes = new_figure(len(charts), height=height, look=look)
    drawn: list[list[str]] = []
    num_rows = 0
    for ax, chart in zip(axes, charts, strict=True):
        names = [line.name for line in chart.series]
        num_rows += draw_chart(ax, chart, look, has_legend=names not in drawn)
        drawn.append(names)
        if ax is not axes[-1]:
            ax.set_xlabel("")
        if chart.panel:
            size = look.label if look.changed else None
            ax.annotate(
                chart.panel, (0.99, 0.05), xycoords="axes fraction", ha="right",
                fontweight="bold", fontsize=size,
            )  # fmt: skip
    caption = " ".join(dict.fromkeys(chart.caption for chart in charts))
    finish(figure, title=title, what=charts[0].title, caption=caption, run=run,
           num_rows=num_rows, look=look)  # fmt: skip
    return figure


def draw_chart(ax: Axes, chart: Chart, look: Look = DEFAULT, *, has_legend: bool = True) -> int:
    """Draw a chart on axes; returns how many rows its legend has."""
    _x_axis(ax, chart, look)
    _y_axis(ax, chart, look)
    placed = zip(chart.series, _shifts(ax, chart), strict=True)
    lines = [_draw_series(ax, chart, series, shift, look) for series, shift in placed]
    rules = [
        ax.axhline(
            rule.y,
            color=look.grey,
            linestyle=_LINES[rule.line],
            linewidth=(1.0 if rule.line == "solid" else 1.2) * look.line / DEFAULT.line,
            label=rule.name or None,
            zorder=2,
        )
        for rule in chart.rules
    ]
    if not has_legend:
        return 0
    named = [rule for rule, of in zip(rules, chart.rules, strict=True) if of.name]
    if not chart.ramp:
        return draw_legend(ax, [*lines, *named], look)
    inks = [line for line, of in zip(lines, chart.series, strict=True) if of.is_ink]
    return _draw_ramp(ax, chart, [*inks, *named], look)


def _draw_series(ax: Axes, chart: Chart, series: Series, shift: float, look: Look) -> Artist:
    """A line with its spread and its marks; returns what stands for it in a legend."""
    where = offset_copy(ax.transData, ax.figure.figure, x=shift, units="points")
    points = chart.points(series)
    x, y = [x for _, x, _ in points], [y for _, _, y in points]
    color, marker = look.color(series.color), series.marker or ("o" if len(points) == 1 else "")
    if chart.spread(series):
        _draw_spread(ax, chart, series, where, look)
    (line,) = ax.plot(
        x, y, color=color, marker=marker, markersize=look.mark, linewidth=look.line,
        label=series.name,
        linestyle="" if series.is_points else "--" if series.is_ink else "-",
        zorder=4 if series.is_ink else 3, transform=where,
    )  # fmt: skip
    if series.open is not None:
        hollow = [(x, y) for stop, x, y in points if series.open[stop]]
        style = {
            "markersize": look.mark,
            "markerfacecolor": look.paper,
            "markeredgecolor": color,
        }
        ax.plot(*np.reshape(hollow, (-1, 2)).T, marker, transform=where, zorder=4, **style)
    for x, edge in chart.cut(series):
        head = CARETDOWN if edge == chart.y.low else CARETUP
        style = {"color": color, "markersize": look.mark * 5 / DEFAULT.mark, "clip_on": False}
        ax.plot(x, edge, marker=head, transform=where, zorder=4, linestyle="", **style)
    if series.marker and chart.outside(series):
        _mark_outside(ax, chart, series, where, look)
    return line


def _draw_spread(ax: Axes, chart: Chart, series: Series, where: Transform, look: Look) -> None:
    x, low, high = np.reshape(chart.spread(series), (-1, 3)).T
    color = look.color(series.color)
    if series.is_bars:
        width = 1.1 * look.line / DEFAULT.line
        ax.vlines(x, low, high, color=color, linewidth=width, alpha=0.75, transform=where)
    else:
        ax.fill_between(x, low, high, color=color, alpha=0.16, linewidth=0)


def _mark_outside(ax: Axes, chart: Chart, series: Series, where: Transform, look: Look) -> None:
    """What the axis does not reach stands at its edge, hollow; while few, with their values."""
    outside = {line.name: chart.outside(line) for line in chart.series}
    row = [name for name, points in outside.items() if points].index(series.name)
    is_told = sum(map(len, outside.values())) <= _MOST_VALUES
    color, size = look.color(series.color), max(7.0, look.small * 7.5 / 8)
    big = look.mark * 6 / DEFAULT.mark
    # where stops are near one another, every other value stands a line further in
    is_tight = _gap(ax, chart) < 2.9 * size and sum(map(bool, outside.values())) == 1
    for place, (_, x, y) in enumerate(chart.outside(series)):
        is_below = y < chart.y.low
        edge, marker = (chart.y.low, "v") if is_below else (chart.y.high, "^")
        style = {"color": color, "markerfacecolor": look.paper, "markersize": big}
        ax.plot(x, edge, marker, clip_on=False, zorder=4, transform=where, **style)
        if is_told:
            text = ("−" if y < 0 else "") + percent_label(abs(y))
            inwards = 1 if is_below else -1
            ax.annotate(
                text, (x, edge), (0, inwards * size / 7.5 * (7 + 9 * (row + is_tight * place % 2))),
                textcoords="offset points",
                color=color, fontsize=size, ha="center", va="bottom" if is_below else "top",
                zorder=6,  # on the bars of other lines
                path_effects=[withStroke(linewidth=3.5, foreground=look.paper)],
            )  # fmt: skip


def _shifts(ax: Axes, chart: Chart) -> list[float]:
    """Points by which each series is moved, so that bars at one stop stand side by side."""
    bars = [line.name for line in chart.series if line.is_bars]
    step = min(3.0, 0.7 * _gap(ax, chart) / max(len(bars), 1))
    return [
        step * (bars.index(line.name) - (len(bars) - 1) / 2) if line.is_bars else 0.0
        for line in chart.series
    ]


def _gap(ax: Axes, chart: Chart) -> float:
    """Points between those two stops of one line that are nearest to one another."""
    places = np.array([stop.x for stop in chart.stops])
    if chart.x.scale == "density":
        places = np.log(places)
    own = (places[[stop for stop, _, _ in chart.points(line)]] for line in chart.series)
    gap = min((np.min(np.abs(np.diff(found)), initial=np.inf) for found in own), default=np.inf)
    return float(gap) / (np.ptp(places) or 1.0) * _points(ax)[0]


def _points(ax: Axes) -> tuple[float, float]:
    """How wide and how high axes are, in points, before they make room for their letters."""
    scale = 72 / ax.figure.dpi
    return scale * ax.bbox.width, scale * ax.bbox.height


def _x_axis(ax: Axes, chart: Chart, look: Look) -> None:
    axis = chart.x
    ax.set_xlabel(axis.label)
    if axis.scale == "density":
        ax.set_xscale("log")
        room = max(_ROOM * math.log(axis.low / axis.high), math.log(1.03))
        ax.set_xlim(axis.low * math.exp(room), axis.high / math.exp(room))
        places = spread_ticks([stop.x for stop in chart.stops], most=_most_ticks(ax, look))
        ax.xaxis.set_major_locator(FixedLocator(places))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(_percent_tick))
        return
    room = _ROOM * (axis.high - axis.low) or 0.5
    ax.set_xlim(axis.low - room, axis.high + room)
    if axis.scale == "names":
        ax.set_xticks([stop.x for stop in chart.stops], [stop.tick for stop in chart.stops])
        letters = sum(len(stop.tick) + 2 for stop in chart.stops)
        is_crowded = letters > 60 * _points(ax)[0] / 301 * DEFAULT.tick / look.tick
        ax.tick_params(axis="x", labelrotation=90 if is_crowded else 0)
        return
    low, high = sorted((axis.low - room, axis.high + room))
    ticks = MaxNLocator(nbins=5, integer=True, min_n_ticks=1).tick_values(low, high)
    inside = [float(tick) for tick in ticks if low <= tick <= high]
    ax.set_xticks(inside if axis.low < axis.high else inside[::-1])


def _most_ticks(ax: Axes, look: Look) -> int:
    """So many densities as stand beside one another: nine on a figure as it is by default."""
    return max(2, min(9, int(_points(ax)[0] / (3.45 * look.tick))))


def _y_axis(ax: Axes, chart: Chart, look: Look) -> None:
    low, high = chart.y.low, chart.y.high
    letters = int(1.45 * _points(ax)[1] / look.label)
    wrapped = textwrap.wrap(chart.y.label, max(10, min(30, letters)), break_long_words=False)
    ax.set_ylabel("\n".join(wrapped))
    if chart.y.scale == "log":
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_major_formatter(FuncFormatter(_percent_tick))
    ax.set_ylim(low, high)


def _percent_tick(value: float, _: int) -> str:  # a function of the module, so that figures pickle
    return percent_label(value)


def spread_ticks(percents: Sequence[float], *, most: int = 9) -> list[float]:
    """Of the densities there are, from the largest down: few, and apart on a log axis."""
    left = sorted(set(percents), reverse=True)
    if not left:
        return []
    gap = max(math.log(left[0] / left[-1]) / most, 0.05)
    ticks = [left[0]]
    for percent in left[1:]:
        if math.log(ticks[-1] / percent) >= gap * 0.999:
            ticks.append(percent)
    return ticks


def log_ticks(low: float, high: float) -> list[float]:
    """A handful of round ticks of a log axis."""
    ratio = high / low
    steps = range(1, 10) if ratio < 4 else (1, 2, 5) if ratio < 1e3 else (1,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def draw_legend(
    ax: Axes, handles: Sequence[Artist], look: Look = DEFAULT, *, start: float = 0.0
) -> int:
    """The legend above the data, where it can cover nothing; returns its number of rows."""
    labels = [str(handle.get_label()) for handle in handles]
    room = (1.1 - start) * _points(ax)[0] * DEFAULT.legend / look.legend
    num_columns = len(labels)
    while num_columns > 1 and _legend_points(labels, num_columns) > room:
        num_columns -= 1
    num_rows = math.ceil(len(labels) / max(num_columns, 1))
    shown = labels
    if num_columns == 1:  # a name that is longer than a line goes on in the next
        shown = [_wrapped(label, room) for label in labels]
        num_rows = sum(1 + label.count("\n") for label in shown)
    ax.legend(
        handles,
        shown,
        loc="lower left",
        bbox_to_anchor=(start, 1.0),
        ncols=max(1, math.ceil(len(labels) / max(num_rows, 1))),  # as few as make as many rows
        alignment="left",
        frameon=False,
        fontsize=look.legend,
        columnspacing=1.2,
        handlelength=1.6,
        handletextpad=0.5,
        borderaxespad=0.2,
    )
    return num_rows


def _legend_points(labels: Sequence[str], num_columns: int) -> float:
    """About how wide a legend is, in points: a column is as wide as its longest name."""
    columns = np.array_split(np.array(labels, dtype=object), num_columns)
    return sum(_KEY + _LETTER * max(map(len, column)) for column in columns)


def _wrapped(label: str, room: float) -> str:
    letters = max(12, int((room - _KEY) / _LETTER))
    style = {"break_on_hyphens": False, "max_lines": _MOST_LINES, "placeholder": " …"}
    return textwrap.fill(label, letters, **style)


def _draw_ramp(ax: Axes, chart: Chart, handles: Sequence[Artist], look: Look) -> int:
    """The colours of many series as a bar above the data, its ends named."""
    series = [line for line in chart.series if not line.is_ink]
    bar = ax.inset_axes((0, 1.1, 0.6, 0.035))
    colors = ListedColormap([line.color for line in series])
    bar.imshow([range(len(series))], cmap=colors, aspect="auto", extent=(0, 1, 0, 1))
    bar.set(xticks=[], yticks=[])
    bar.spines[:].set_visible(False)
    for x, align, name in (
        (0.0, "left", series[0].name),
        (1.0, "right", series[-1].name),
    ):
        style = {"textcoords": "offset points", "ha": align, "va": "top", "size": look.small}
        bar.annotate(name, (x, 0), (0, -2), **style)
    style = {"textcoords": "offset points", "size": look.small}
    bar.annotate(f"{chart.ramp}, first to last", (0, 1), (0, 2), **style)
    draw_legend(ax, handles, look, start=0.62)
    return 2
