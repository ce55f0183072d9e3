"""A chart as plain values: what the page's script draws, and what its hover says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lottery_ticket.report._numbers import is_known

__all__ = ["Axis", "Chart", "InputMap", "Rule", "Series", "Stop", "nulls"]


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
    """An axis: `linear`, `log`, or (x alone) `density`, in percent and sparser to the right, or
    `names`, those of the stops."""

    label: str
    scale: str
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Rule:
    """A horizontal line that others are held against."""

    y: float
    name: str


@dataclass(frozen=True)
class Series:
    """A line. Its lists have an entry for each stop, None where there is no value.

    Args:
        name: in the legend; equal names are switched together in all charts of a run.
        color: hex.
        y: the values.
        text: what the hover says of each.
        marker: as matplotlib names them; empty for none.
        low, high: the ends of a band, or of bars; None for none.
        open: which marks are hollow; None for none.
        is_bars: intervals as bars instead of a band.
        is_points: marks without a line between them.
        dash: whether the line is dashed.
        is_ink: in the colour of the text, whatever the theme.
    """

    name: str
    color: str
    y: Sequence[float | None]
    text: Sequence[str]
    marker: str = ""
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    open: Sequence[bool] | None = None
    is_bars: bool = False
    is_points: bool = False
    dash: bool = False
    is_ink: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over stops.

    Args:
        name: unique in its run; the end of the figure's id.
        title: what the figure shows, as a heading.
        caption: what one has to know to read it.
        summary: what it shows, in words, for those who cannot see it.
    """

    name: str
    title: str
    caption: str
    summary: str
    x: Axis
    y: Axis
    stops: Sequence[Stop]
    series: Sequence[Series]
    rules: Sequence[Rule] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the page's script; words that the page itself has are left out."""
        values = asdict(self)
        return {name: values[name] for name in ("x", "y", "stops", "series", "rules")}


@dataclass(frozen=True)
class InputMap:
    """A map of the net's inputs at each level.

    Args:
        name, title, caption: as of a `Chart`.
        side: pixels of a row.
        levels: for each its text, and a value per input.
        start: which of them is shown first.
        colors: from few to many.
        unread: the colour of inputs that no weight reads.
    """

    name: str
    title: str
    caption: str
    side: int
    levels: Sequence[Mapping[str, Any]]
    start: int
    colors: Sequence[str]
    unread: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the page's script."""
        values = asdict(self)
        return {name: values[name] for name in ("side", "levels", "colors", "unread")}


def nulls(values: Iterable[Any]) -> list[float | None]:
    """Floats of six significant digits, which is more than a screen shows; None for NaN."""
    return [float(f"{value:.6g}") if is_known(value) else None for value in values]
