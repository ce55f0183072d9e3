"""The levels of a run as stops of a chart, and lines over them."""

from typing import Any

import pandas as pd

from lottery_ticket.analysis import format_percent, size_by_level
from lottery_ticket.report._chart import Axis, Series, Stop, nulls

__all__ = ["DENSITY", "Levels"]

DENSITY = Axis("weights kept (%)", "density")


class Levels:
    """The levels that a run has trained, from dense to sparse.

    Args:
        table: a result table of one run.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        sizes = size_by_level(table)
        self.numbers = [int(level) for level in sizes.index]
        self.densities = [float(density) for density in sizes["density"]]
        self.counts = [int(count) for count in sizes["num_kept"]]

    @property
    def stops(self) -> list[Stop]:
        """One for each level, at its density in percent."""
        return [
            Stop(100 * density, f"level {level} · {format_percent(density)} · {count:,} kept")
            for level, density, count in zip(self.numbers, self.densities, self.counts, strict=True)
        ]

    def series(self, name: str, color: str, frame: pd.DataFrame, **style: Any) -> Series:
        """A line over the levels.

        Args:
            name, color, style: as of a `Series`.
            frame: level, y and text, and where there is a spread low and high.
        """
        rows = frame.set_index("level").reindex(self.numbers)
        ends = {end: nulls(rows[end]) for end in ("low", "high") if end in rows}
        text = [text if isinstance(text, str) else "" for text in rows["text"]]
        return Series(name, color, nulls(rows["y"]), text, **ends, **style)
