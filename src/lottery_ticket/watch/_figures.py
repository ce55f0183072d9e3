"""Figures and verdict of what is finished so far, and the curves of what is in progress."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lottery_ticket.analysis import (
    ACCURACY,
    LOSS,
    Metric,
    RunTables,
    metric_of,
    sort_arms,
)
from lottery_ticket.api import RunResult
from lottery_ticket.arms import REINIT
from lottery_ticket.charts import Chart, pick_levels, progress_chart, run_charts
from lottery_ticket.errors import LotteryError
from lottery_ticket.experiment import Working
from lottery_ticket.report import headline
from lottery_ticket.store import RunRecord, RunRow, Store, history_rows

__all__ = ["Figures"]

_MOST_CURVES = 8
_MOST_CURVE_REPLICATES = 10
_MOST_HISTORY_BYTES = 1 << 20
_HISTORY = "history.jsonl"


@dataclass
class Figures:
    """Of one run; what it read of finished trainings it reads once.

    Args:
        store: where the run is.
    """

    store: Store
    _histories: dict[RunRow, list[dict[str, Any]]] = field(default_factory=dict)
    _judged: tuple[RunRecord, int] | None = None
    _charts: list[Chart] = field(default_factory=list)
    _verdict: dict[str, Any] = field(default_factory=dict)
    _metric: Metric | None = None

    def values(
        self, run: RunRecord, num_finished: int, working: Sequence[Working]
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The charts, and the verdict so far.

        Args:
            run: which.
            num_finished: cells that are finished: unless there are more than at the last call, or
                the run is another, nothing but the curves in progress is read.
            working: what is in progress.
        """
        if (run, num_finished) != self._judged:
            self._judge(run)
            self._judged = run, num_finished
        histories = {
            one.title: self._measured(one)
            for one in working[:_MOST_CURVES]
            if one.progress is not None
        }
        live = progress_chart(histories, self._metric or _metric_in(run, histories))
        charts = [*self._charts, *([live] if live else [])]
        return [_chart_values(chart) for chart in charts], self._verdict

    def _judge(self, run: RunRecord) -> None:
        result = RunResult(self.store, run)
        table = result.table
        if table.empty:
            self._charts, self._verdict, self._metric = [], {}, None
            return
        self._metric = metric_of(table)
        verdict = None
        try:
            verdict = result.verdict()
            head = headline(verdict)
            self._verdict = {"title": head.title, "tone": head.tone, "sentence": head.sentence}
        except LotteryError as error:
            self._verdict = {"title": "", "tone": "open", "sentence": str(error)}
        tables = RunTables(table, history=_frame(self._curves(run, result.rows)))
        charts = run_charts(tables, verdict)
        shown = ("accuracy", "metric", "loss", "difference", "learning_curves")
        named = [chart for name in shown for chart in charts.get(name, ())]
        self._charts = named

    def _curves(self, run: RunRecord, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What was measured along the trainings whose curves are drawn: six levels of the first
        arm, reinit beside them, and not of hundreds of replicates."""
        lead, *others = sort_arms(row["arm"] for row in rows)
        arms = {lead, *(arm for arm in others if arm == REINIT)}
        levels = pick_levels([row["level"] for row in rows if row["arm"] == lead])
        cells = {row["cell"] for row in rows}
        wanted = [
            row
            for row in run.rows
            if row.cell in cells
            and row.arm in arms
            and row.level in levels
            and row.replicate < _MOST_CURVE_REPLICATES
        ]
        missing = [row for row in wanted if row not in self._histories]
        found = {(row.arm, row.level, row.replicate, row.draw): [] for row in missing}
        lines = history_rows(self.store, replace(run, rows=tuple(missing))) if missing else ()
        for measured in lines:
            place = tuple(measured[name] for name in ("arm", "level", "replicate", "draw"))
            found[place].append(measured)
        self._histories |= zip(missing, found.values(), strict=True)
        return [measured for row in wanted for measured in self._histories[row]]

    def _measured(self, one: Working) -> list[dict[str, Any]]:
        """What a training in progress said of itself so far; a line that is half written is left
        for the next look."""
        try:
            data = self.store.desk(one.cell).read(_HISTORY, _MOST_HISTORY_BYTES) or b""
        except LotteryError:
            return []
        return [row for line in data.splitlines() if (row := _row(line)) is not None]


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or type(row.get("step")) is not int:
        return None
    return {name: value for name, value in row.items() if _is_number(value)}


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and abs(value) < float("inf")  # type: ignore[arg-type]


def _metric_in(run: RunRecord, histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> Metric:
    """What a run is judged by of which nothing is finished."""
    own = run.spec.get("train", {}).get("metric")
    if own is not None:
        return Metric("test_metric", f"test {own}", True, 1.0, "")
    rows = [row for rows in histories.values() for row in rows]
    return ACCURACY if any("test_accuracy" in row for row in rows) else LOSS


def _frame(rows: list[dict[str, Any]]) -> Any:
    import pandas as pd

    return pd.DataFrame(rows)


def _chart_values(chart: Chart) -> dict[str, Any]:
    words = {name: getattr(chart, name) for name in ("name", "heading", "caption", "summary")}
    return {**words, **chart.to_dict()}
