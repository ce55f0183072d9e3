"""What was measured of a run's stability, read from its store: nothing is made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lottery_ticket.analysis.stability.stability import Stability, stability_of
from lottery_ticket.errors import DamagedError
from lottery_ticket.steps import Duration
from lottery_ticket.store import CellRecord, ProbeRow, RunRecord, RunRow, Store

__all__ = ["measured_stability"]

# in these a run may differ that has the same nets rewound to another step, or fewer of them
_OTHERWISE = ("rewind", "arms", "replicates", "until_decided", "claim", "margin")
_LEVELS = ("levels", "densities")

Ends = tuple[str, str]


@dataclass(frozen=True)
class _Line:
    """A line between two copies: the training that both are copies of, and what was measured."""

    training: RunRow
    record: CellRecord

    @property
    def ends(self) -> Ends:
        """The cells of its two nets."""
        parents = self.record.input("parents")
        return parents["weights"], parents["other_weights"]

    @property
    def points(self) -> int:
        """Nets on it."""
        return self.record.input("points")

    def rows(self, run: RunRecord) -> Iterator[dict[str, Any]]:
        """A row per value, as `barriers` reads them."""
        row = self.training
        place = {"arm": row.arm, "level": row.level, "replicate": row.replicate}
        place |= {"density": row.num_kept / run.num_prunable, "cell": self.record.name}
        for value in _told(self.record, self.record.results, "rows"):
            yield {**value, **place}


@dataclass(frozen=True)
class _Step:
    """What was measured at a step: how it was asked for, of which run first, and its lines."""

    rewind: str
    run: str
    lines: dict[Ends, _Line]


def measured_stability(store: Store, run: RunRecord) -> Stability | None:
    """What `lottery stability` has measured of a run so far, at each step that it was asked for.

    Each step is a run of its own, and is found by its record: the same recipe, rewound elsewhere.
    What they have of the run's own levels and replicates counts, of any arm. Of a line that was
    measured twice the one of more points counts.

    Args:
        store: where the run is.
        run: which.

    Returns:
        What the finished lines come to, however few; None where there is none.

    Raises:
        DamagedError: a measurement is not as it was written.
        StoreError: the store cannot be read.
    """
    steps: dict[int, _Step] = {}
    for other in _rewound(store, run):
        lines = [*_lines(store, run, other)]
        step = next((k for line in lines if (k := _step(store, other, line)) is not None), None)
        if step is None:
            continue
        at = steps.setdefault(step, _Step(other.spec["rewind"], other.id, {}))
        for line in lines:
            known = at.lines.get(line.ends, line)
            at.lines[line.ends] = max(known, line, key=lambda each: each.points)
    if not steps:
        return None
    return stability_of(
        {
            step: (at.rewind, at.run, pd.DataFrame([*_rows(run, at.lines)]))
            for step, at in sorted(steps.items())
        }
    )


def _rows(run: RunRecord, lines: Mapping[Ends, _Line]) -> Iterator[dict[str, Any]]:
    for line in lines.values():
        yield from line.rows(run)


def _rewound(store: Store, run: RunRecord) -> Iterator[RunRecord]:
    """The run, and those of its store that have its nets, if rewound to another step.

    Only records of runs of the same name are read, and no cell.
    """
    yield store.earlier_run(run.id) or run  # as it is now
    if run.searches:
        return
    for run_id in store.run_ids():
        if run_id != run.id and run_id.startswith(f"{run.name}-"):
            other = store.earlier_run(run_id)
            if other is not None and _measured(other) and _has_its_nets(run, other):
                yield other


def _measured(run: RunRecord) -> list[ProbeRow]:
    from lottery_ticket.experiment import INSTABILITY  # a heavy one

    return [probe for probe in run.probes if probe.probe == INSTABILITY]


def _has_its_nets(run: RunRecord, other: RunRecord) -> bool:
    """Whether all but the step is alike: the recipe, the dense nets, the levels that both have."""
    kept, there = _num_kept(run), _num_kept(other)
    return (
        _recipe(run) == _recipe(other)
        and bool(_dense(run) & other.cells() or _dense(other) & run.cells())
        and all(kept[level] & there[level] for level in kept.keys() & there.keys())
    )


def _dense(run: RunRecord) -> set[str]:
    """Its dense trainings: they are the same whatever step its tickets are rewound to."""
    return {row.cell for row in run.rows if not row.level}


def _recipe(run: RunRecord) -> Mapping[str, Any]:
    spec = {name: value for name, value in run.spec.items() if name not in _OTHERWISE}
    prune = {name: value for name, value in spec["prune"].items() if name not in _LEVELS}
    return {**spec, "prune": prune}


def _num_kept(run: RunRecord) -> dict[int, set[int]]:
    counts: dict[int, set[int]] = {}
    for row in run.rows:
        counts.setdefault(row.level, set()).add(row.num_kept)
    return counts


def _lines(store: Store, run: RunRecord, other: RunRecord) -> Iterator[_Line]:
    """The finished lines between copies of the run's nets, that a run remembers."""
    probes = _measured(other)
    if not probes:
        return
    # arms may share a dense net: it is the first one's, and that of the run itself before others'
    places = {row.cell: row for row in (*reversed(other.rows), *reversed(run.rows))}
    levels, replicates = ({getattr(r, n) for r in run.rows} for n in ("level", "replicate"))
    finished = store.cell_names()
    for probe in probes:
        row = places.get(probe.training)
        if row is None or row.level not in levels or row.replicate not in replicates:
            continue
        record = store.get(probe.cell) if probe.cell in finished else None
        if record is not None:
            yield _Line(row, record)


def _step(store: Store, run: RunRecord, line: _Line) -> int | None:
    """The step that a run rewinds to; None where nothing says how many steps an epoch has."""
    rewind = Duration.parse(run.spec["rewind"])
    if rewind.unit == "it" or not rewind.count:
        return rewind.count
    copy = store.get(line.ends[1])
    if copy is None:
        return None
    length = Duration.parse(copy.input("train")["duration"])
    if length.unit == "ep":  # a copy ends where its recipe does
        return rewind.steps(_told(copy, copy.results, "num_steps") // length.count)
    return copy.inputs.get("start_step")


def _told(record: CellRecord, values: Mapping[str, Any], name: str) -> Any:
    if name not in values:
        raise DamagedError(f"cell {record.name}: damaged: its record holds no {name}")
    return values[name]
