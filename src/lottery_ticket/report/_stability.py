"""From which step on nets are stable: charts and a table of the barriers between copies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lottery_ticket.analysis import (
    STABLE,
    UNDECIDED,
    UNSTABLE,
    Stability,
    barrier_interval_text,
    barrier_text,
    format_percent,
)
from lottery_ticket.charts import Chart, barrier_charts, is_known
from lottery_ticket.report._tables import ReportCell, ReportTable

__all__ = ["ReportStability", "stability_section"]

_TONES = {STABLE: "winning", UNSTABLE: "not", UNDECIDED: "open"}


@dataclass(frozen=True)
class ReportStability:
    """The section on stability.

    Args:
        question: what was asked, and how it is judged.
        summary: what is found, without its numbers.
        charts: the barriers: a panel per arm where there are several steps.
        table: a row per step, arm and level.
        note: what else the table says; empty where that is nothing.
        arms: that were copied.
    """

    question: str
    summary: str
    charts: Sequence[Chart]
    table: ReportTable
    note: str
    arms: Sequence[str]


def stability_section(found: Stability) -> ReportStability:
    """The section, from what was measured."""
    rows = found.table.to_dict("records")
    has_norms = any(is_known(row["interpolated_barrier"]) for row in rows)
    return ReportStability(
        _question(found),
        found.summary,
        barrier_charts(found),
        _table(rows, found.is_error, has_norms),
        _NORMS if has_norms else "",
        [*dict.fromkeys(found.table["arm"])],
    )


_NORMS = (
    "Two nets have no statistics of batch norms between them: the barriers that count are of "
    "statistics that are estimated anew at each point of the line; the last column has those of "
    "interpolated ones."
)


def _question(found: Stability) -> str:
    asked = (
        "Does the order of the data decide where training ends? Copies of each net, from step k "
        "on, are trained in other orders of the data. On the straight line between two of them, "
        "the barrier is the highest"
    )
    if not found.is_error:
        return f"{asked} loss minus the mean of its two ends."
    threshold = f"{100 * found.threshold:g} points"
    return (
        f"{asked} error minus the mean of its two ends. Stable: the 95 % interval of the mean "
        f"barrier lies below {threshold}. Unstable: it lies above. Else it is not decided."
    )


def _table(rows: Sequence[Mapping[Any, Any]], is_error: bool, has_norms: bool) -> ReportTable:
    unit = " (points)" if is_error else ""
    columns = ["step k", "arm", "level", "density", f"barrier{unit}", "95 % interval", "n"]
    columns += [*(["state"] if is_error else []), f"on train{unit}"]
    columns += [f"statistics interpolated{unit}"] if has_norms else []
    return ReportTable(columns, [_row(row, is_error, has_norms) for row in rows])


def _row(row: Mapping[Any, Any], is_error: bool, has_norms: bool) -> list[ReportCell]:
    def barrier(name: str) -> ReportCell:
        value = float(row[name])
        return ReportCell(barrier_text(value, is_error), value if is_known(value) else None)

    interval = barrier_interval_text(row, is_error)
    state = [ReportCell(row["state"], None, _TONES[row["state"]])] if is_error else []
    return [
        ReportCell(f"{row['step']:,}", row["step"]),
        ReportCell(row["arm"]),
        ReportCell(str(row["level"]), row["level"]),
        ReportCell(format_percent(row["density"]), row["density"]),
        barrier("barrier"),
        ReportCell(interval, row["low"] if is_known(row["low"]) else None),
        ReportCell(str(row["n"]), row["n"]),
        *state,
        barrier("train_barrier"),
        *([barrier("interpolated_barrier")] if has_norms else []),
    ]
