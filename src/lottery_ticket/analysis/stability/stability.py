"""From which step on a net is stable: does the order of the data decide where training ends?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lottery_ticket.analysis.stability.barriers import (
    STABLE,
    THRESHOLD,
    UNSTABLE,
    barrier_statistics,
    barriers,
    curves,
)
from lottery_ticket.analysis.stability.text import ranges_text
from lottery_ticket.arms import TICKET
from lottery_ticket.notebook_html import notebook_html

__all__ = ["Stability", "stability_of"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Stability:
    """Instability of nets to the order of the data, from each step that was asked for.

    Copies of a net are trained from its weights of step k under the same mask, in other orders of
    the data (and other augmentation). A net is stable at k where the straight line between what
    they end at has no barrier: they end in one valley.

    Args:
        table: a row per step, arm and level: `step` (k), `rewind` (as it was asked for), `arm`,
            `level`, `density`, `n`, `barrier` (mean over replicates: highest error on the line −
            mean of its ends, a fraction), `sd`, `low`, `high` (95 % interval), `state`; means of
            `end`, `train_barrier`, `loss_barrier`, `interpolated_barrier`, `distance`, `angle`,
            `sign_flips`, `disagreement`.
        lines: a row per line.
        curves: mean values along the lines: step, arm, level, alpha, value.
        runs: step → id of the run that has the measurements.
        threshold: of the error barrier, a fraction.

    Source: Frankle et al. 2020, "Linear Mode Connectivity and the Lottery Ticket Hypothesis".
    """

    table: pd.DataFrame
    lines: pd.DataFrame
    curves: pd.DataFrame
    runs: Mapping[int, str]
    threshold: float = THRESHOLD

    _repr_html_ = notebook_html

    def __str__(self) -> str:
        return self.sentence

    @property
    def sentence(self) -> str:
        """From which step on each net is stable, in words."""
        return " ".join(self.sentences)

    @property
    def sentences(self) -> list[str]:
        """One for each arm and level."""
        return [_said(arm, level, rows) for (arm, level), rows in self._nets().items()]

    @property
    def summary(self) -> str:
        """The same without its numbers; levels of an arm of which the same is said, together."""
        if not self.is_error:
            return self.sentence
        alike: dict[tuple[str, bool, str], list[int]] = {}
        for (arm, level), rows in self._nets().items():
            alike.setdefault((arm, level > 0, _verdict(rows)), []).append(level)
        return " ".join(
            f"{_net_name(arm, levels)} {verdict}." for (arm, _, verdict), levels in alike.items()
        )

    def _nets(self) -> dict[tuple[str, int], list[Row]]:
        """Arm and level → its rows, by step."""
        rows: dict[tuple[str, int], list[Row]] = {}
        for row in sorted(self.table.to_dict("records"), key=lambda row: row["step"]):
            rows.setdefault((row["arm"], row["level"]), []).append(row)
        return rows

    @property
    def is_error(self) -> bool:
        """Whether barriers are of the error, and so have states; a regression has none."""
        return bool(self.table["state"].astype(bool).any())

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        rows = self.table.astype(object).where(self.table.notna(), None).to_dict("records")
        return {
            "threshold": self.threshold,
            "runs": {str(step): run for step, run in self.runs.items()},
            "levels": rows,
            "sentence": self.sentence,
        }


def _said(arm: str, level: int, rows: Sequence[Row]) -> str:
    name = _net_name(arm, [level])
    if not any(row["state"] for row in rows):
        values = [row["barrier"] for row in rows]
        return f"{name}: its loss barrier is {min(values):.4g} to {max(values):.4g}."
    values = "; ".join(
        f"{'' if len(rows) == 1 else _step_text(row['step']) + ': '}"
        f"{100 * row['barrier']:.2f} points ({_interval(row)}, n = {row['n']})"
        for row in rows
    )
    return f"{name} {_verdict(rows)}: {values}."


def _verdict(rows: Sequence[Row]) -> str:
    """What is said of a net, by its states at all steps."""
    steps, states = [row["step"] for row in rows], [row["state"] for row in rows]
    first = _first_stable(steps, states)
    if first is not None:
        is_one = len(steps) == 1
        said = f"is stable {'at' if is_one else 'from'} {_step_text(first)}"
        return said if is_one else f"{said} on"
    if states[-1] == UNSTABLE:
        unstable = [step for step, state in zip(steps, states, strict=True) if state == UNSTABLE]
        return f"is unstable at {_steps_text(unstable)}"
    return f"is not decided to be stable at {_steps_text(steps[-1:])}"


def _interval(row: Row) -> str:
    if math.isnan(row["low"]):
        return "no interval from one replicate"
    low, high = (f"{100 * row[end]:.2f}".replace("-", "−") for end in ("low", "high"))
    return f"95 % interval {low} to {high}"


def stability_of(
    measured: Mapping[int, tuple[str, str, pd.DataFrame]], threshold: float = THRESHOLD
) -> Stability:
    """What measurements along lines between copies come to.

    Args:
        measured: step k → (as it was asked for, id of the run, rows measured along its lines).
        threshold: of the error barrier, a fraction.
    """
    tables, lines, along = [], [], []
    for step, (asked, _, rows) in sorted(measured.items()):
        of_step = barriers(rows)
        place = {"step": step, "rewind": asked}
        lines.append(of_step.assign(**place))
        tables.append(barrier_statistics(of_step, threshold).assign(**place))
        metric = "error" if set(of_step["metric"]) == {"error"} else "loss"
        along.append(curves(rows, metric).assign(**place))
    runs = {step: run for step, (_, run, _) in sorted(measured.items())}
    table = pd.concat(tables, ignore_index=True)
    first = ["step", "rewind", "arm", "level", "density", "n", "barrier", "sd", "low", "high"]
    table = table.loc[:, [*first, "state", *(c for c in table if c not in (*first, "state"))]]
    return Stability(
        table,
        pd.concat(lines, ignore_index=True),
        pd.concat(along, ignore_index=True),
        runs,
        threshold,
    )


def _first_stable(steps: list[int], states: list[str]) -> int | None:
    """The first step from which on all that were looked at are stable."""
    first = None
    for step, state in zip(reversed(steps), reversed(states), strict=True):
        if state != STABLE:
            break
        first = step
    return first


def _net_name(arm: str, levels: Sequence[int]) -> str:
    if levels == [0]:
        return "The dense net" if arm == TICKET else f"The dense net of {arm}"
    return f"{arm.capitalize()} at level{'s' * (len(levels) > 1)} {ranges_text(levels)}"


def _step_text(step: int) -> str:
    return f"k = {step:,}" if step else "initialisation"


def _steps_text(steps: list[int]) -> str:
    return ", ".join(_step_text(step) for step in steps)
