"""The levels of a run as the stops of a chart, and lines over them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lottery_ticket.analysis import format_percent, size_by_level
from lottery_ticket.charts._chart import Axis, Series, Stop, nulls

__all__ = ["Levels", "levels_of", "pick_levels"]


@dataclass(frozen=True)
class Levels:
    """Levels from dense to sparse.

    Args:
        numbers: the levels.
        densities: weights kept of all prunable ones, as fractions.
        counts: how many that are; empty where that is not known.
    """

    numbers: Sequence[int]
    densities: Sequence[float]
    counts: Sequence[int] = ()

    @property
    def stops(self) -> list[Stop]:
        """One for each level, at its density in percent."""
        kept = [f" · {count:,} kept" for count in self.counts] or [""] * len(self.numbers)
        return [
            Stop(100 * density, f"level {level} · {format_percent(density)}{count}")
            for level, density, count in zip(self.numbers, self.densities, kept, strict=True)
        ]

    def axis(self, series: Iterable[Series]) -> Axis:
        """Weights kept, sparser to the right, as far as the levels and these lines go."""
        ends = [100 * density for density in self.densities]
        ends += [x for line in series for x in line.x or () if x is not None]
        return Axis("weights kept (%)", "density", max(ends), min(ends))

    def series(self, name: str, color: str, frame: pd.DataFrame, **style: Any) -> Series:
        """A line over the levels.

        Args:
            name, color, style: as of a `Series`.
            frame: level, y and text; x where it lies elsewhere than the levels, low and high
                where there is a spread.
        """
        rows = frame.set_index("level").reindex(self.numbers)
        given = {column: nulls(rows[column]) for column in ("x", "low", "high") if column in rows}
        if all(end is None for end in given.get("low", ())):
            given = {column: values for column, values in given.items() if column == "x"}
        text = [text if isinstance(text, str) else "" for text in rows["text"]]
        return Series(name, color, nulls(rows["y"]), text, **given, **style)


def levels_of(table: pd.DataFrame) -> Levels:
    """The levels that a run has trained.

    Args:
        table: a result table of one run.
    """
    sizes = size_by_level(table).dropna(subset=["density"])
    is_counted = bool(sizes["num_kept"].notna().all())
    return Levels(
        [int(level) for level in sizes.index],
        [float(density) for density in sizes["density"]],
        [int(count) for count in sizes["num_kept"]] if is_counted else (),
    )


def pick_levels(levels: Iterable[int], *, most: int = 6) -> list[int]:
    """At most `most` of the levels, evenly, the first and the last among them.

    >>> pick_levels(range(21))
    [0, 4, 8, 12, 16, 20]
    """
    found = sorted(set(levels))
    if len(found) <= most:
        return found
    places = np.linspace(0, len(found) - 1, most).round().astype(int)
    return [found[place] for place in places]
