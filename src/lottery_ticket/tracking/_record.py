"""What is told of a training: a measurement along it, or how it ended."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lottery_ticket.store import RunRecord, RunRow, Store, table_rows

__all__ = ["Record", "level_record", "measured_so_far", "stored_records"]

_MEASURED = (
    "test_accuracy",
    "test_loss",
    "val_accuracy",
    "val_loss",
    "test_metric",
    "val_metric",
    "early_stop_step",
    "test_accuracy_at_early_stop",
    "start_step",
    "num_steps",
    "train_seconds",
)


@dataclass(frozen=True)
class Record:
    """A measurement along a training, or what a finished one has come to.

    Args:
        run: the run's id.
        arm, level, replicate, draw: which training; level 0 is dense.
        density: kept / prunable weights, in (0, 1].
        num_kept, num_prunable: the counts.
        step: optimiser steps at which it was measured.
        metrics: what was measured, by name; accuracies are fractions.

    >>> record = Record("demo-1", "ticket", 1, 0, 0, 0.8, 80, 100, 500, {"test_accuracy": 0.97})
    >>> f"{record.arm} at {record.sparsity:.0%}: {record.metrics['test_accuracy']}"
    'ticket at 20%: 0.97'
    """

    run: str
    arm: str
    level: int
    replicate: int
    draw: int
    density: float
    num_kept: int
    num_prunable: int
    step: int
    metrics: Mapping[str, float]

    @property
    def sparsity(self) -> float:
        """1 − density."""
        return 1 - self.density


def level_record(row: Mapping[str, Any]) -> Record:
    """What a finished training has come to.

    Args:
        row: of the table of a run.
    """
    metrics = _numbers((name, row.get(name)) for name in _MEASURED)
    step = int(row.get("start_step") or 0) + int(row.get("num_steps") or 0)
    return Record(
        row["run"],
        row["arm"],
        row["level"],
        row["replicate"],
        row["draw"],
        row["density"],
        row["num_kept"],
        row["num_prunable"],
        step,
        metrics,
    )


def stored_records(store: Store, run: RunRecord, row: RunRow) -> list[Record]:
    """What there is to tell of a row: its measurements, and last how it ended; nothing if it has
    not.

    Raises:
        StoreError: it cannot be read, or is damaged.
    """
    rows = table_rows(store, replace(run, rows=(row,)))
    cell = store.get(row.cell) if rows else None
    if cell is None:
        return []
    ended = level_record(rows[0])
    history = cell.results.get("history", ())
    return [*(_measurement(ended, measured) for measured in history), ended]


def measured_so_far(
    run: RunRecord, row: RunRow, history: Iterable[Mapping[str, Any]]
) -> list[Record]:
    """What there is to tell of a training that goes on.

    Args:
        run, row: which.
        history: what was measured along it.
    """
    density = row.num_kept / run.num_prunable
    place = (run.id, row.arm, row.level, row.replicate, row.draw, density, row.num_kept)
    begun = Record(*place, run.num_prunable, 0, {})
    return [_measurement(begun, measured) for measured in history]


def _measurement(ended: Record, measured: Mapping[str, Any]) -> Record:
    named = sorted(measured.items())  # a record has them so, what goes on as they were measured
    metrics = _numbers((name, value) for name, value in named if name != "step")
    return replace(ended, step=int(measured["step"]), metrics=metrics)


def _numbers(values: Iterable[tuple[str, Any]]) -> dict[str, float]:
    """Those that are finite numbers: what was not measured is None."""
    return {
        name: value
        for name, value in values
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
