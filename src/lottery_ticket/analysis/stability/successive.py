"""Whether nets of successive levels lie in one valley, and whether the sparser one matches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lottery_ticket.analysis.stability.barriers import (
    STABLE,
    THRESHOLD,
    UNDECIDED,
    UNSTABLE,
    barrier_statistics,
    barriers,
    curves,
)
from lottery_ticket.analysis.stability.text import ranges_text
from lottery_ticket.notebook_html import notebook_html

__all__ = ["Connectivity", "connectivity_of"]

CONNECTED, APART = "connected", "apart"
_WORDS = {
    CONNECTED: "connected to the one before:",
    APART: "apart from the one before:",
    UNDECIDED: "not decided:",
}


@dataclass(frozen=True)
class Connectivity:
    """Barriers between an arm's nets of level L − 1 and L, trained from the same start.

    Args:
        arm: whose nets.
        table: a row per level L: `level`, `density`, `n`, `barrier` (a fraction of error: highest
            on the line − mean of its ends), `sd`, `low`, `high` (95 % interval), `state`
            (connected, apart, not decided), `matches` (what the verdict says of L; empty where it
            says nothing); means of `end`, `train_barrier`, `loss_barrier`, `distance`, `union`, …
        lines: a row per line.
        curves: mean values along the lines: level, alpha, value.
        run: its id.
        threshold: of the error barrier.

    Source: Paul et al. 2023, "Unmasking the Lottery Ticket Hypothesis: What's Encoded in a Winning
    Ticket's Mask?": nets of successive levels are connected where the sparser one matches.
    """

    arm: str
    table: pd.DataFrame
    lines: pd.DataFrame
    curves: pd.DataFrame
    run: str
    threshold: float = THRESHOLD

    _repr_html_ = notebook_html

    def __str__(self) -> str:
        return self.sentence

    @property
    def sentence(self) -> str:
        """Which levels are connected to the one before, and how that goes with matching."""
        rows = self.table.to_dict("records")
        if not any(row["state"] for row in rows):
            highest = max(row["barrier"] for row in rows)
            return f"Loss barriers between successive levels of {self.arm}: at most {highest:.4g}."
        said = [
            f"{words} level {ranges_text(levels)}"
            for state, words in _WORDS.items()
            if (levels := [row["level"] for row in rows if row["state"] == state])
        ]
        judged = [row for row in rows if row["matches"] and row["state"] in (CONNECTED, APART)]
        text = f"Nets of {self.arm}: {'; '.join(said)}."
        if not judged:
            return text
        same = sum((row["state"] == CONNECTED) == (row["matches"] == "matches") for row in judged)
        return (
            f"{text} Of {len(judged)} levels of which both is decided, {same} "
            f"{'is' if same == 1 else 'are'} connected and matching dense, or apart and worse."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        rows = self.table.astype(object).where(self.table.notna(), None).to_dict("records")
        values = {"run": self.run, "arm": self.arm, "threshold": self.threshold}
        return {**values, "levels": rows, "sentence": self.sentence}


def connectivity_of(
    measured: pd.DataFrame,
    matches: Mapping[int, str],
    run: str,
    threshold: float = THRESHOLD,
) -> Connectivity:
    """What measurements along lines between successive levels come to.

    Args:
        measured: rows of one arm, each with the level of the sparser end.
        matches: level → whether its ticket matches dense: `"matches"`, `"worse"`, or nothing.
        run: its id.
        threshold: of the error barrier, a fraction.
    """
    lines = barriers(measured)
    table = barrier_statistics(lines, threshold)
    names = {STABLE: CONNECTED, UNSTABLE: APART}
    table = table.assign(
        state=[names.get(state, state) for state in table["state"]],
        matches=[matches.get(int(level), "") for level in table["level"]],
    )
    metric = "error" if set(lines["metric"]) == {"error"} else "loss"
    (arm,) = set(table["arm"])
    first = ["level", "density", "n", "barrier", "sd", "low", "high", "state", "matches"]
    table = table.loc[:, [*first, *(c for c in table if c not in (*first, "arm"))]]
    return Connectivity(arm, table, lines, curves(measured, metric), run, threshold)
