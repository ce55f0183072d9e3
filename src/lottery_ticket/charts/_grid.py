"""Charts of a sweep: what each arm comes to at each point of the grid, and where it is held."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lottery_ticket.analysis import Sweep, format_percent
from lottery_ticket.charts._chart import Axis, Chart, Series, Stop, cut_note
from lottery_ticket.charts._levels import pick_levels
from lottery_ticket.charts._limits import fit_limits
from lottery_ticket.charts._style import DENSE_STYLE, ArmStyle, style_arms
from lottery_ticket.charts._text import is_known, mean_text, num_replicates, outside_note
from lottery_ticket.spec import short_names, value_text

__all__ = ["GridMap", "grid_charts", "grid_limits", "grid_maps"]

Row = Mapping[Any, Any]

_DENSE = "dense"
_MOST_PANELS = 4
_ROOM = 2.5  # from the best of the chosen points on, as often as to the worst of them
_PAD = 0.06
_BESIDE = 0.005  # of the width, for each of the marks that stand side by side at a stop
_FILLED = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "H", "d", "8", "h", "*")
_LOG_RATIO = 4  # from the smallest to the largest value of a key, where their axis is logarithmic


@dataclass(frozen=True)
class GridMap:
    """An arm at a level over two keys of a grid.

    Args:
        arm: `"dense"` for level 0.
        level, density: which.
        values: (values of the first key, values of the second), in the unit that is printed; not a
            number where trainings are missing.
        chosen: the place of the point that was chosen; None where none was.
    """

    arm: str
    level: int
    density: float
    values: NDArray[np.float64]
    chosen: tuple[int, int] | None

    @property
    def title(self) -> str:
        """The arm, and in a line of its own the level: `"level 2 · 4.00 %"`."""
        if not self.level:
            return self.arm
        return f"{self.arm}\nlevel {self.level} · {format_percent(self.density)}"


def grid_charts(found: Sweep, levels: Sequence[int] | None = None) -> list[Chart]:
    """The mean on validation over a key of the grid, or over its points: a panel per level, a line
    per arm with those of the dense nets; what is not chosen is hollow.

    Args:
        found: the sweep.
        levels: which; None for up to four, evenly.
    """
    rows = found.points
    shown = levels or pick_levels([n for n in rows["level"] if n > 0], most=_MOST_PANELS)
    low, high = _focus(found)
    stops, axis = _stops(found)
    drawn = rows.loc[rows["level"].isin([0, *shown])]
    styles = {_DENSE: DENSE_STYLE, **_filled(a for a in drawn["arm"] if a != _DENSE)}
    lines = {
        level: [_line(found, arm, level, styles[arm]) for arm in _arms_at(drawn, level)]
        for level in shown
    }
    values = [found.metric.scale * value for value in drawn["mean"]]
    caption = (
        f"Mean over {num_replicates(drawn['n'])}, bars ±1 sd. Filled: the point that was chosen on "
        f"validation; the verdict on test is of these.{outside_note(values, low, high)}"
        f"{cut_note(itertools.chain(*lines.values()), low, high)}"
    )
    charts = []
    for level, series in lines.items():
        density = drawn.loc[drawn["level"] == level, "density"].iloc[0]
        label = f"level {level} · {format_percent(density)}: {found.metric.axis_label}"
        y = Axis(label, "linear", low, high)
        title = "each arm over the grid"
        charts.append(Chart(f"grid_{level}", title, caption, axis, y, stops, series))
    return charts


def _arms_at(rows: pd.DataFrame, level: int) -> list[str]:
    """Dense, and those that have the level."""
    return [_DENSE, *dict.fromkeys(rows.loc[rows["level"] == level, "arm"])]


def _filled(arms: Iterable[str]) -> dict[str, ArmStyle]:
    """The styles of arms; where a marker cannot be filled, another that can, and no arm has."""
    styles = style_arms(arms)
    taken = {style.marker for style in styles.values()} | {DENSE_STYLE.marker}
    free = (marker for marker in _FILLED * 2 if marker not in taken)
    return {
        arm: style if style.marker in _FILLED else style._replace(marker=next(free, "o"))
        for arm, style in styles.items()
    }


def _focus(found: Sweep) -> tuple[float, float]:
    """Limits that tell the chosen points apart; what is far worse than these lies outside."""
    low, high = grid_limits(found)
    chosen = (found.metric.scale * found.choice["mean"]).tolist()
    least, most = min(chosen), max(chosen)
    if least == most:
        return low, high
    if found.metric.higher_is_better:
        low = max(low, most - _ROOM * (most - least))
        return low, most + _PAD * (most - low)
    high = min(high, least + _ROOM * (most - least))
    return least - _PAD * (high - least), high


def grid_maps(found: Sweep, levels: Sequence[int] | None = None) -> list[GridMap]:
    """The mean on validation over the two keys of a grid: a map per arm and level, dense first.

    Args:
        found: a sweep over two keys.
        levels: which; None for up to four, evenly.
    """
    shown = levels or pick_levels([n for n in found.points["level"] if n > 0], most=_MOST_PANELS)
    rows, columns = (len(values) for values in found.grid.values())
    chosen, maps = _chosen(found), []
    places = found.points[["arm", "level"]].drop_duplicates()
    for arm, level in zip(places["arm"], places["level"], strict=True):
        if level and level not in shown:
            continue
        own = found.points.loc[(found.points["arm"] == arm) & (found.points["level"] == level)]
        complete = own.loc[own["is_complete"]]
        values = np.full(rows * columns, np.nan)
        values[complete["point"]] = found.metric.scale * complete["mean"]
        point = chosen.get((arm, level))
        place = None if point is None else divmod(point, columns)
        density = float(own["density"].iloc[0])
        maps.append(GridMap(arm, int(level), density, values.reshape(rows, columns), place))
    return maps


def grid_limits(found: Sweep) -> tuple[float, float]:
    """From where to where values of a sweep are told apart."""
    rows = found.points.loc[found.points["is_complete"]]
    values = found.metric.scale * rows["mean"]
    return fit_limits(values, higher_is_better=found.metric.higher_is_better) or (0.0, 1.0)


def _chosen(found: Sweep) -> dict[tuple[str, int], int]:
    rows = found.choice.to_dict("records")
    return {(row["arm"], row["level"]): row["point"] for row in rows}


def _line(found: Sweep, arm: str, level: int, style: ArmStyle) -> Series:
    """An arm over all points; of points that are one and the same all have its value."""
    rows, scale = found.points, found.metric.scale
    level = level if arm != _DENSE else 0
    rows = rows.loc[(rows["arm"] == arm) & (rows["level"] == level)]
    own = {row["point"]: row for row in rows.to_dict("records")}
    chosen = _chosen(found).get((arm, level))
    same = {point for point, row in own.items() if row["same_as"] == chosen}
    y, low, high, text = [], [], [], []
    for point in range(len(found.labels)):
        row = own.get(point)
        is_there = row is not None and row["is_complete"]
        mean = scale * row["mean"] if is_there and row else None
        sd = scale * row["sd"] if is_there and row and is_known(row["sd"]) else None
        y.append(mean)
        low.append(None if mean is None or sd is None else mean - sd)
        high.append(None if mean is None or sd is None else mean + sd)
        text.append("" if row is None else _text(row, found, point in same))
    has_bars = any(end is not None for end in low)
    return Series(
        arm, style.color, y, text, marker=style.marker, is_bars=has_bars,
        low=low if has_bars else None, high=high if has_bars else None,
        open=[point not in same for point in range(len(y))],
        is_points=len(found.grid) > 1,
    )  # fmt: skip


def _text(row: Row, found: Sweep, is_chosen: bool) -> str:
    return mean_text(row, found.metric) + (" · chosen" if is_chosen else "")


def _stops(found: Sweep) -> tuple[list[Stop], Axis]:
    """Where the points lie: at their values where these are numbers of one key."""
    ((key, values), *more) = found.grid.items()
    if more:
        texts = [[value_text(v, name) for v in vs] for name, vs in found.grid.items()]
        ticks = [", ".join(each) for each in itertools.product(*texts)]
        stops = [
            Stop(float(i), label, tick)
            for i, (label, tick) in enumerate(zip(found.labels, ticks, strict=True))
        ]
        name = ", ".join(short_names(found.grid).values())
        return stops, Axis(name, "names", 0.0, float(len(stops) - 1))
    texts = [value_text(value, key) for value in values]
    stops = [Stop(x, f"{key} = {text}", text) for x, text in zip(_x(values), texts, strict=True)]
    low, high = (end(stop.x for stop in stops) for end in (min, max))
    room = _BESIDE * len(set(found.points["arm"])) * (high - low)
    return stops, Axis(key, "names", low - room, high + room)


def _x(values: Sequence[Any]) -> list[float]:
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        if min(values) > 0 and max(values) >= _LOG_RATIO * min(values):
            return [math.log10(value) for value in values]
        return [float(value) for value in values]
    return [float(i) for i in range(len(values))]
