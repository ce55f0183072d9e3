"""A chart as plain values: what matplotlib draws in a figure, and a script in the report's page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lottery_ticket.charts._text import is_known

__all__ = ["Axis", "Chart", "Rule", "Series", "Stop", "cut_note", "nulls"]


@dataclass(frozen=True)
class Stop:
    """A place on the x axis where there are values, and what it is called.

    Args:
        x: where.
        text: what the hover calls it.
        tick: what the axis calls it, where its scale is `names`.
    """

    x: float
    text: str
    tick: str = ""


@dataclass(frozen=True)
class Axis:
    """What an axis says, and from where to where it goes.

    Args:
        label: with the unit.
        scale: `linear`, `log`, `density` (log, its ticks at the stops), or `names` (those of the
            stops).
        low: the end on the left, or below.
        high: the other end, which is the smaller one where values fall to the right.
    """

    label: str
    scale: str
    low: float
    high: float


@dataclass(frozen=True)
class Rule:
    """A horizontal line that others are held against: `solid`, `dashed` or `dotted`."""

    y: float
    name: str
    line: str = "dashed"


@dataclass(frozen=True)
class Series:
    """A line. Its lists have an entry for each stop, None where there is no value.

    Args:
        name: in the legend; equal names are switched together in all charts of a run.
        color: hex.
        y: the values.
        text: what the hover says of each.
        x: where they lie; None for at the stops.
        marker: as matplotlib names them; empty for none.
        low, high: the ends of a band, or of bars; None for none.
        open: which marks are hollow; None for none.
        is_bars: intervals as bars instead of a band; those of several series stand side by side.
        is_points: marks without a line between them.
        is_ink: dashed, in the colour of the text, whatever the theme.
    """

    name: str
    color: str
    y: Sequence[float | None]
    text: Sequence[str]
    x: Sequence[float | None] | None = None
    marker: str = ""
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    open: Sequence[bool] | None = None
    is_bars: bool = False
    is_points: bool = False
    is_ink: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over stops.

    Args:
        name: unique in its run; the end of the figure's id in a page.
        title: what it shows, without the run.
        caption: what one has to know to read it, and what lies outside its axes.
        x, y: the axes.
        stops: where there are values.
        series: the lines.
        rules: what they are held against.
        panel: which it is of several charts under one title.
        ramp: what its series are from the first to the last, where they are too many for a legend
            of names: `"22 layers"`. Their colours are a bar then, its ends named.
    """

    name: str
    title: str
    caption: str
    x: Axis
    y: Axis
    stops: Sequence[Stop]
    series: Sequence[Series]
    rules: Sequence[Rule] = ()
    panel: str = ""
    ramp: str = ""

    @property
    def heading(self) -> str:
        """The title as a heading of its own, and of which panel it is."""
        title = self.title[:1].upper() + self.title[1:]
        return f"{title}: {self.panel}" if self.panel else title

    @property
    def summary(self) -> str:
        """What it shows, in words, for those who cannot see it."""
        names = ", ".join(series.name for series in self.series if not self.ramp or series.is_ink)
        lines = f"{self.ramp}, {names}" if self.ramp and names else self.ramp or names
        return f"{self.y.label} over {self.x.label}: {lines}."

    def points(self, series: Series) -> list[tuple[int, float, float]]:
        """Where a series has values: stop, x and y of each."""
        places = series.x or [stop.x for stop in self.stops]
        return [
            (stop, x, y)
            for stop, (x, y) in enumerate(zip(places, series.y, strict=True))
            if x is not None and y is not None
        ]

    def outside(self, series: Series) -> list[tuple[int, float, float]]:
        """Those of its points that the y axis does not reach."""
        return [point for point in self.points(series) if not self.y.low <= point[2] <= self.y.high]

    def cut(self, series: Series) -> list[tuple[float, float]]:
        """Where its bars go on beyond the y axis: x, and the end of the axis that they pass."""
        return [
            (x, end) for x, end, _ in _cut(series, self.points(series), self.y.low, self.y.high)
        ]

    def spread(self, series: Series) -> list[tuple[float, float, float]]:
        """The spread around a series: x, low and high where there is one."""
        low, high = series.low or (), series.high or ()
        known = [(x, low[stop], high[stop]) for stop, x, _ in self.points(series) if low]
        return [(x, one, other) for x, one, other in known if one is not None and other is not None]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the page's script; words that the page itself has are left out."""
        shown = ("x", "y", "stops", "series", "rules", "ramp")
        values = asdict(self)
        return {name: _rounded(values[name]) for name in shown}


def _cut(
    series: Series, points: Iterable[tuple[int, float, float]], low: float, high: float
) -> list[tuple[float, float, float]]:
    """Ends of bars that an axis does not reach, though their mark: x, its end, and theirs."""
    found: list[tuple[float, float, float]] = []
    for stop, x, y in points if series.is_bars and series.low and series.high else ():
        first, last = (ends[stop] for ends in (series.low or (), series.high or ()))
        if first is not None and first < low <= y:
            found.append((x, low, first))
        if last is not None and last > high >= y:
            found.append((x, high, last))
    return found


def cut_note(series: Iterable[Series], low: float, high: float) -> str:
    """How many ends of bars an axis does not reach, and where they are; empty if it reaches all.

    Args:
        series: the lines.
        low, high: the ends of the axis.

    >>> bar = Series("a", "#000000", [1.0], [""], low=[-1.5], high=[1.5], is_bars=True)
    >>> cut_note([bar], -1.0, 2.0)
    ' 1 bar goes on beyond the axis, at an arrowhead (to −1.5).'
    """
    ends = [
        end
        for line in series
        for _, _, end in _cut(
            line, [(i, 0.0, y) for i, y in enumerate(line.y) if y is not None], low, high
        )
    ]
    if not ends:
        return ""
    bars = "1 bar goes" if len(ends) == 1 else f"{len(ends)} bars go"
    told = dict.fromkeys(f"{end:.4g}" for end in (min(ends), max(ends)))
    return f" {bars} on beyond the axis, at an arrowhead (to {' and '.join(told)}).".replace(
        "-", "−"
    )


def _rounded(value: Any) -> Any:
    """Floats with six significant digits, which is more than a screen shows."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value


def nulls(values: Iterable[Any]) -> list[float | None]:
    """Floats; None for NaN.

    >>> nulls([1, float("nan")])
    [1.0, None]
    """
    return [float(value) if is_known(value) else None for value in values]
