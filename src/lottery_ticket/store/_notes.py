"""What was submitted to workers, and which cells failed: notes on the store's board."""

import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from lottery_ticket.errors import DamagedError
from lottery_ticket.store._files import sealed_json, unsealed_json
from lottery_ticket.store._label_changes import LABELS, labelled_run
from lottery_ticket.store._making import Board
from lottery_ticket.store._store import Store
from lottery_ticket.store._values import COUNT, NUMBER, TEXT, Kind, check, mapping_of

__all__ = [
    "Failure",
    "Submission",
    "forget_notes",
    "forgive",
    "note_failure",
    "notes_of_cells",
    "notes_of_runs",
    "read_failures",
    "read_submission",
    "submit",
    "submitted_runs",
    "take_back_submission",
]

_SUBMITTED, _FAILED = "submitted", "failed"
_TRIED = "tried"  # what failed in a run of one process: for people, since workers try it
_STOP = "stop"  # of a run, or of one call of it by its token (`experiment.executors.stop`)
_CALL = re.compile("[0-9a-f]{16}")

Note = TypeVar("Note")


@dataclass(frozen=True)
class Submission:
    """How all workers are to make the cells of a run.

    Args:
        kernels, keep, threads: as of `Context`.
        sources: `"kind name"` → hash of the source of the user's own code, and of the data: what a
            worker has to have, too.
        imports: what the run was submitted with, for people: nothing is imported because of it.
        submitted: when.
    """

    kernels: str
    keep: str
    threads: int
    sources: Mapping[str, str]
    imports: Sequence[str] = ()
    submitted: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Failure:
    """Why no worker tries a cell again.

    Args:
        message: what went wrong, in one line.
        host, process: where.
        failed: when.
    """

    message: str
    host: str
    process: int
    failed: float


_TEXTS = Kind("a list of texts", lambda v: isinstance(v, list) and all(map(TEXT.fits, v)))
_KINDS: dict[type, dict[str, Kind]] = {
    Submission: {
        "kernels": TEXT,
        "keep": TEXT,
        "threads": COUNT,
        "sources": mapping_of(TEXT),
        "imports": _TEXTS,
        "submitted": NUMBER,
    },
    Failure: {"message": TEXT, "host": TEXT, "process": COUNT, "failed": NUMBER},
}


def submit(store: Store, run_id: str, submission: Submission) -> None:
    """Let workers make the cells of a run; raises `StoreError` if that cannot be said."""
    store.board.put(_SUBMITTED, run_id, _bytes(submission))


def submitted_runs(store: Store) -> list[str]:
    """The runs that workers are to make, sorted by id; raises `StoreError`."""
    return store.board.names(_SUBMITTED)


def read_submission(store: Store, run_id: str) -> Submission | None:
    """How a run was submitted; None if it was not; raises `StoreError`."""
    return _read(store, _SUBMITTED, run_id, Submission)


def take_back_submission(store: Store, run_id: str) -> None:
    """No worker begins anything of a run any more."""
    store.board.remove(_SUBMITTED, run_id)


def note_failure(store: Store, cell: str, failure: Failure, *, is_final: bool = True) -> None:
    """Say that a cell failed.

    Args:
        store: on whose board.
        cell: which.
        failure: why.
        is_final: so that no worker tries it again; else it is for people to read.
    """
    store.board.put(_FAILED if is_final else _TRIED, cell, _bytes(failure))


def read_failures(
    store: Store,
    cells: Collection[str],
    known: Mapping[str, Failure] | None = None,
    *,
    is_final: bool = True,
) -> dict[str, Failure]:
    """Which of some cells failed, and why.

    Args:
        store: whose board to look at.
        cells: which.
        known: what was read before, and is not read again.
        is_final: those that no worker tries again; else those that a run of one process left out.
    """
    kind = _FAILED if is_final else _TRIED
    names = [name for name in store.board.names(kind) if name in cells]
    found = {name: (known or {}).get(name) or _read(store, kind, name, Failure) for name in names}
    return {name: failure for name, failure in found.items() if failure is not None}


def forgive(store: Store, cells: Collection[str]) -> int:
    """Let those of some cells that failed be tried again; how many there were."""
    return forget_notes(store.board, (), cells)


def notes_of_runs(board: Board) -> set[str]:
    """The ids of the runs of which something was noted, be they there or not."""
    names = {*board.names(_SUBMITTED), *board.names(_STOP)}
    labelled = set(map(labelled_run, board.names(LABELS))) - {""}
    return {name for name in names if not _CALL.fullmatch(name)} | labelled


def notes_of_cells(board: Board) -> set[str]:
    """The names of the cells that failed, be they of a run or not."""
    return {*board.names(_FAILED), *board.names(_TRIED)}


def forget_notes(board: Board, runs: Iterable[str], cells: Collection[str]) -> int:
    """Take away all that was noted of runs and cells that go; of how many cells something was."""
    runs = set(runs)
    for run_id in sorted(runs):
        for kind in (_SUBMITTED, _STOP):
            board.remove(kind, run_id)
    for name in board.names(LABELS) if runs else ():
        if labelled_run(name) in runs:
            board.remove(LABELS, name)
    found: set[str] = set()
    for kind in (_FAILED, _TRIED):
        noted = {*board.names(kind)} & {*cells}
        found |= noted
        for name in noted:
            board.remove(kind, name)
    return len(found)


def _bytes(note: "Submission | Failure") -> bytes:
    return sealed_json(asdict(note))


def _read(store: Store, kind: str, name: str, record: type[Note]) -> Note | None:
    data = store.board.get(kind, name)
    if data is None:
        return None
    try:
        values: dict[str, Any] = unsealed_json(data)
        kinds = _KINDS[record]
        if values.keys() != kinds.keys():
            raise ValueError(f"it holds {sorted(values)}")
        for key, wanted in kinds.items():
            check(key, values[key], wanted)
        return record(**values)
    except ValueError as error:
        raise DamagedError(
            f"{store.location}: note {kind}/{name}: damaged ({error}); submit the run again"
        ) from None
