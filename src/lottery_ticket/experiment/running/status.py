"""How far a run is, whoever makes it: from its store alone."""

import time
from collections.abc import Mapping, Set
from dataclasses import dataclass

from lottery_ticket.experiment.cells.progress import Maker, Progress, read_maker, read_progress
from lottery_ticket.experiment.executors.stop import is_asked_to_stop
from lottery_ticket.store import (
    Failure,
    IndexedCell,
    RunRecord,
    Store,
    read_failures,
    submitted_runs,
)

__all__ = ["RunStatus", "Seen", "Working", "look_at", "run_status"]


@dataclass(frozen=True)
class Working:
    """A cell that somebody makes.

    Args:
        cell, title: which.
        maker: who; None if nobody said so yet.
        progress: how far it is; None if it said nothing yet.
        silent_seconds: for how long nothing was heard of who makes it, if that is too long.
    """

    cell: str
    title: str
    maker: Maker | None
    progress: Progress | None
    silent_seconds: float | None = None


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Args:
        run_id: which.
        num_cells: all of its cells.
        num_finished: those that are in the store.
        working: those that somebody makes.
        silent: those whose maker seems to be dead: they wait until another takes them over.
        failed: title of those that failed → why: no worker tries them again, nor does the run of
            one process that left them out.
        is_submitted: whether workers are to make it.
        is_stopped: whether it was asked to stop.
        seconds_left: about, at the pace of now; None if nobody is at work, or nothing is known.
    """

    run_id: str
    num_cells: int
    num_finished: int
    working: tuple[Working, ...]
    silent: tuple[Working, ...]
    failed: Mapping[str, str]
    is_submitted: bool
    is_stopped: bool
    seconds_left: float | None

    @property
    def num_waiting(self) -> int:
        """Cells that nobody has begun, or that were given back, or whose maker is silent."""
        return self.num_cells - self.num_finished - len(self.working) - len(self.failed)

    @property
    def is_over(self) -> bool:
        """Whether nothing of it will change by itself any more."""
        is_finished = self.num_finished == self.num_cells
        is_left = not self.is_submitted and not self.working
        return is_finished or is_left or (self.is_stopped and not self.working)


@dataclass(frozen=True)
class Seen:
    """What a look at the cells of a run found.

    Args:
        names: all of them.
        finished: those that are in the store.
        failures: those that failed, and why.
        begun: those that somebody is at, or was until he fell silent.
        is_submitted, is_stopped: as of `RunStatus`.
    """

    names: Set[str]
    finished: Mapping[str, IndexedCell]
    failures: Mapping[str, Failure]
    begun: tuple[Working, ...]
    is_submitted: bool
    is_stopped: bool


def look_at(store: Store, run: RunRecord, known: Mapping[str, IndexedCell] | None = None) -> Seen:
    """Look at the cells of a run, whoever makes it.

    Args:
        store, run: which.
        known: cells that were seen finished, and are not looked at again.

    Raises:
        StoreError: the store cannot be read.
    """
    names, titles = run.cells(), _titles(run)
    finished = {name: cell for name, cell in (known or {}).items() if name in names}
    finished |= store.cells(names - finished.keys())
    left = names - finished.keys()
    is_submitted = run.id in submitted_runs(store)
    failures = {} if is_submitted else read_failures(store, left, is_final=False)
    failures |= read_failures(store, left)
    busy = sorted(store.claimed_names() & left - failures.keys())
    silences = store.silent_seconds() if busy else {}
    begun = tuple(
        Working(
            name,
            titles.get(name, name[:12]),
            read_maker(desk),
            read_progress(desk),
            silences.get(name),
        )
        for name in busy
        for desk in (store.desk(name),)
    )
    is_stopped = is_asked_to_stop(store, run.id)
    return Seen(names, finished, failures, begun, is_submitted, is_stopped)


def run_status(store: Store, run: RunRecord, seen: Seen | None = None) -> RunStatus:
    """Look how far a run is.

    Args:
        store, run: which.
        seen: what a look at it found, if there was one already.

    Raises:
        StoreError: the store cannot be read.
    """
    seen = look_at(store, run) if seen is None else seen
    titles, left = _titles(run), seen.names - seen.finished.keys()
    working = tuple(one for one in seen.begun if one.silent_seconds is None)
    return RunStatus(
        run.id,
        len(seen.names),
        len(seen.finished),
        working,
        tuple(one for one in seen.begun if one.silent_seconds is not None),
        _failed(seen, titles),
        seen.is_submitted,
        seen.is_stopped,
        _seconds_left(run, seen.finished, left - seen.failures.keys(), working),
    )


def _failed(seen: Seen, titles: Mapping[str, str]) -> dict[str, str]:
    """What failed and why, in the order of the run's table."""
    places = {name: place for place, name in enumerate(titles)}
    names = sorted(seen.failures, key=lambda name: (places.get(name, len(places)), name))
    found = ((name, seen.failures[name]) for name in names)
    return {titles.get(name, name[:12]): f"{one.message} (on {one.host})" for name, one in found}


def _titles(run: RunRecord) -> dict[str, str]:
    """Cell → what people call it, of those that stand in the run's table."""
    titles = {}
    for row in run.rows:
        place = f"{row.arm} level {row.level}, replicate {row.replicate}"
        place += f", draw {row.draw}" if row.draw else ""
        titles.setdefault(row.cell, place)
        if row.mask is not None:
            titles.setdefault(row.mask, f"mask of {place}")
    return titles


def _seconds_left(
    run: RunRecord,
    finished: Mapping[str, IndexedCell],
    left: Set[str],
    working: tuple[Working, ...],
) -> float | None:
    """What is left takes as long as what is finished did, cell by cell of its kind, and as many are
    made at a time as now."""
    trainings = {row.cell for row in run.rows}
    took = {True: [], False: []}
    for name, cell in finished.items():
        seconds = cell.execution.get("train_seconds")
        if isinstance(seconds, int | float):
            took[name in trainings].append(float(seconds))
    if not working or not took[True]:
        return None
    means = {
        kind: sum(seconds) / len(seconds) if seconds else 0.0 for kind, seconds in took.items()
    }
    begun = sum(_begun(one, means[one.cell in trainings]) for one in working)
    total = sum(means[name in trainings] for name in left)
    return max(0.0, total - begun) / len(working)


def _begun(one: Working, seconds: float) -> float:
    """Of the seconds that a cell takes those that are over."""
    if one.progress is not None and one.progress.num_steps:
        return seconds * one.progress.step / one.progress.num_steps
    if one.maker is not None:
        return min(seconds, max(0.0, time.time() - one.maker.since))
    return 0.0
