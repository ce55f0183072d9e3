"""Charts of a sweep: what each arm comes to at each point of the grid, and where it is held."""

import itertools
import math
from collections.abc import Mapping, Sequence
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
_ROOM = 0.15  # for the name of a panel, as a share of its height
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
    low, high = grid_limits(found)
    low -= _ROOM * (high - low)
    stops, axis = _stops(found)
    charts = []
    for level in shown:
        own = rows.loc[rows["level"].isin([0, level])]
        own = own.loc[(own["level"] > 0) | (own["arm"] == _DENSE)]
        styles = {_DENSE: DENSE_STYLE, **style_arms(a for a in own["arm"] if a != _DENSE)}
        series = [_line(found, own, arm, level, style) for arm, style in styles.items()]
        density = own.loc[own["level"] == level, "density"].iloc[0]
        y = Axis(found.metric.axis_label, "linear", low, high)
        values = [found.metric.scale * value for value in own["mean"]]
        charts.append(
            Chart(
                f"grid_{level}",
                "each arm over the grid",
                f"Mean over {num_replicates(own['n'])}, bars ±1 sd. Filled: the point that was "
                "chosen on validation; the verdict on test is of these."
                f"{outside_note(values, low, high)}{cut_note(series, low, high)}",
                axis,
                y,
                stops,
                series,
                panel=f"level {level} · {format_percent(density)}",
            )
        )
    return charts


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


def _line(found: Sweep, rows: pd.DataFrame, arm: str, level: int, style: ArmStyle) -> Series:
    """An arm over all points; of points that are one and the same all have its value."""
    own = {row["point"]: row for row in rows.loc[rows["arm"] == arm].to_dict("records")}
    scale = found.metric.scale
    chosen = _chosen(found).get((arm, level if arm != _DENSE else 0))
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
    return stops, Axis(key, "names", min(s.x for s in stops), max(s.x for s in stops))


def _x(values: Sequence[Any]) -> list[float]:
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        if min(values) > 0 and max(values) >= _LOG_RATIO * min(values):
            return [math.log10(value) for value in values]
        return [float(value) for value in values]
    return [float(i) for i in range(len(values))]
