"""The store: `get`, `claim`, `commit`; and the runs that its cells belong to."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lottery_ticket.errors import DamagedError, StoreError, UsageError, nearest
from lottery_ticket.files import usable_path, write_file
from lottery_ticket.store._claims import Claim
from lottery_ticket.store._desk import Desk, LocalDesk
from lottery_ticket.store._execution import Execution
from lottery_ticket.store._files import (
    publish_folder,
    read_file,
    reading,
    remove,
    scanned,
    sha256,
    store_errors,
)
from lottery_ticket.store._format import check_format, missing_runs, write_format
from lottery_ticket.store._in_use import run_in_use
from lottery_ticket.store._index import IndexedCell, synced_cells
from lottery_ticket.store._paths import EXECUTION, RECORD, Paths
from lottery_ticket.store._reads import Reads
from lottery_ticket.store._record import CellRecord
from lottery_ticket.store._runs import RunRecord
from lottery_ticket.store._tidying import Freed, collect_garbage, remove_run

__all__ = ["Finished", "Store"]

_Read = Callable[[Path, Callable[[Path], Any]], Any]  # `Reads.known` or `Reads.fresh`


@dataclass(frozen=True)
class Finished:
    """A finished cell: what it is, and how it ran."""

    record: CellRecord
    execution: Execution

    @property
    def kept(self) -> frozenset[str]:
        """The names of its files that are there."""
        return frozenset(self.record.files) - self.execution.not_kept


class Store:
    """A folder of finished cells and runs; several processes may use it at once.

    Args:
        root: the folder; nothing is created until something is written.

    Raises:
        StoreError: the folder is something else, or was written by a later version.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = usable_path(root, "store")
        self._paths = Paths(self.root)
        self._reads = Reads()
        with reading(self.root):
            if self.root.exists() and not self.root.is_dir():
                raise StoreError(f"{self.root}: not a folder; choose another with --store")
            check_format(self._paths)

    def open_for_writing(self) -> None:
        """Make the folder and see that it can be written, before any work starts.

        Raises:
            StoreError: it cannot; or its folder of runs is gone.
        """
        self._check_runs()
        with store_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            write_format(self._paths)
            for folder in (self._paths.cells, self._paths.all_work, self._paths.runs):
                folder.mkdir(exist_ok=True)

    # cells

    def get(self, name: str) -> CellRecord | None:
        """The record of a finished cell; None if there is none.

        Raises:
            DamagedError: the record is not as it was written.
            StoreError: it cannot be read.
        """
        return self._record(name, self._reads.known)

    def _record(self, name: str, read: _Read) -> CellRecord | None:
        folder = self._paths.real_cell(name)
        with reading(folder):
            if not os.path.lexists(folder):
                return None
        path = folder / RECORD
        record = read(path, CellRecord.of_file)
        if record.name != name:
            raise DamagedError(f"{path}: damaged: it is the record of {record.name}")
        return record

    def read(self, record: CellRecord, file_name: str) -> bytes:
        """The bytes of one of a cell's files.

        Raises:
            DamagedError: they are not as written, or there is no such file.
            StoreError: they cannot be read.
        """
        return self._file(record, file_name, self._reads.known)

    def _file(self, record: CellRecord, file_name: str, read: _Read) -> bytes:
        path = self._paths.real_cell(record.name) / file_name
        expected = record.files.get(file_name)
        if expected is None:
            raise DamagedError(f"{path}: its record knows of no such file")
        data = read(path, lambda path: read_file(path, expected["bytes"]))
        if sha256(data) != expected["sha256"]:
            raise DamagedError(
                f"{path}: damaged: {len(data):,} bytes that differ from "
                f"the {expected['bytes']:,} written"
            )
        return data

    def execution(self, name: str) -> dict[str, Any]:
        """How a finished cell ran; raises `StoreError` as `get`."""
        return dict(self._execution(name, self._reads.known).values)

    def _execution(self, name: str, read: _Read) -> Execution:
        path = self._paths.real_cell(name) / EXECUTION
        return read(path, partial(Execution.of_file, name))

    def check(self, name: str) -> CellRecord | None:
        """`get`, having read every file of the cell; raises `DamagedError` on any damage."""
        found = self.checked(name)
        return None if found is None else found.record

    def checked(self, name: str) -> Finished | None:
        """The same, with how the cell ran: each of its files is read once.

        Raises:
            DamagedError: a file is not as it was written.
            StoreError: one cannot be read.
        """
        found = self.finished(name)
        if found is not None:
            for file_name in sorted(found.kept):
                self._file(found.record, file_name, self._reads.fresh)
        return found

    def finished(self, name: str) -> Finished | None:
        """A finished cell without the bytes of its files; None if there is none.

        Raises:
            DamagedError, StoreError: as `checked`, of its two records.
        """
        record = self._record(name, self._reads.fresh)
        if record is None:
            return None
        return Finished(record, self._execution(name, self._reads.fresh))

    def strangers(self, found: Finished) -> list[Path]:
        """What lies in a cell's folder, and no cell has written there."""
        own = found.kept | {RECORD, EXECUTION}
        with reading(self.root):
            entries = scanned(self._paths.real_cell(found.record.name))
        return [Path(entry.path) for entry in entries if entry.name not in own]

    def claim(self, name: str) -> Claim | None:
        """Claim a cell for this process; None while another process holds it."""
        with store_errors(self.root):
            return Claim.take(self._paths.work(name))

    def commit(
        self,
        claim: Claim,
        record: CellRecord,
        files: Mapping[str, bytes],
        execution: Mapping[str, Any],
    ) -> None:
        """Publish a finished cell and clear its claim; the record is written last."""
        target = self._paths.real_cell(record.name)
        how = Execution(execution).to_bytes(record.name)
        written = {**files, EXECUTION: how, RECORD: record.to_bytes()}
        with store_errors(self.root):
            aside = claim.folder / f"result-{os.getpid()}"
            publish_folder(written, aside, target)
        claim.clear()

    def discard(self, name: str) -> None:
        """Remove a finished cell (damaged, or made from something that has changed)."""
        folder = self._paths.cell(name)
        with store_errors(self.root):
            if os.path.lexists(folder):
                doomed = self._paths.new_discarded(name)
                scanned(folder.parent)  # a link would lead out of the store
                folder.rename(doomed)  # at once gone for all who look
                remove(doomed)

    def free_work(self, name: str) -> None:
        """Remove what a finished cell left of its making, unless someone is at work there."""
        claim = self.claim(name)
        if claim is not None:
            claim.clear()

    def desk(self, name: str) -> Desk:
        """Where a cell is worked on; who holds no claim of it only reads there."""
        return LocalDesk(self._paths.work(name))

    def work_folder(self, name: str) -> Path:
        """Where a cell in progress keeps its checkpoint, history and progress."""
        return self._paths.work(name)

    def work_names(self) -> set[str]:
        """The names of the cells that are in progress, or were when their process was killed."""
        with reading(self.root):
            return self._paths.work_names()

    def stop_file(self, token: str) -> Path:
        """What asks those who work for one call of a run to stop, once it exists."""
        return self._paths.stop(token)

    def cells(self, wanted: Iterable[str] | None = None) -> dict[str, IndexedCell]:
        """All finished cells (or those `wanted`), as the index knows them."""
        with reading(self.root):
            return synced_cells(self._paths, wanted, self._reads)

    def cell_names(self) -> set[str]:
        """The names of all finished cells, damaged or not."""
        with reading(self.root):
            return set(self._paths.cell_names())

    # runs

    def in_use(self, run_id: str) -> "contextlib.AbstractContextManager[None]":
        """While it lasts, nobody removes the run; several processes may run it together.

        Raises:
            StoreError: the store cannot be written, or is being tidied.
        """
        return _with_store_errors(self.root, run_in_use(self._paths, run_id))

    def earlier_run(self, run_id: str) -> RunRecord | None:
        """The record of a run that was started before; None if there is none, or it is damaged."""
        if self.has_run(run_id):
            with contextlib.suppress(DamagedError):
                return self.read_run(run_id)
        return None

    def save_run(self, run: RunRecord, earlier: RunRecord | None = None) -> RunRecord:
        """Write a run's record; one that exists keeps its time of creation.

        Args:
            run: the record.
            earlier: what `earlier_run` said, if it was asked already.
        """
        earlier = earlier or self.earlier_run(run.id)
        if earlier is not None:
            run = replace(run, created=earlier.created)
        with store_errors(self.root):
            write_file(self._paths.run(run.id), run.to_bytes())
        return run

    def has_run(self, run_id: str) -> bool:
        """Whether there is a record of a run, damaged or not."""
        return os.path.lexists(self._paths.run(run_id))

    def runs(self) -> list[RunRecord]:
        """All runs, the oldest first; raises `StoreError` if one cannot be read."""
        return sorted(map(self.read_run, self.run_ids()), key=lambda run: run.created)

    def run_ids(self) -> list[str]:
        """The ids of all runs, damaged or not.

        Raises:
            StoreError: the folder of runs cannot be read, or there are cells and it is gone.
        """
        return sorted(self._run_entries())

    def _run_entries(self) -> "dict[str, os.DirEntry[str]]":
        self._check_runs()
        with reading(self.root):
            return self._paths.run_entries()

    def _check_runs(self) -> None:
        with reading(self.root):
            if missing_runs(self._paths):
                raise StoreError(
                    f"{self._paths.runs}: missing, so nobody knows whose the cells are; put it "
                    "back, or let `lottery doctor --repair` make an empty one and run the specs "
                    "again (finished cells are kept)"
                )

    def run(self, reference: str) -> RunRecord:
        """A run by its id, a unique prefix of it, or `"last"`: the one started last, anew or again.

        Raises:
            UsageError: there is none, or more than one.
        """
        entries = self._run_entries()
        ids = sorted(entries)
        if not ids:
            raise UsageError(f"{self.root}: no runs here; start one with `lottery run quickstart`")
        if not reference:
            raise UsageError(f"RUN is an id, a unique prefix of one, or 'last'; here: {ids}")
        if reference == "last":
            with reading(self.root):
                started = {i: e.stat(follow_symlinks=False).st_mtime_ns for i, e in entries.items()}
            return self.read_run(max(ids, key=lambda run_id: started[run_id]))
        matches = [reference] if reference in ids else [i for i in ids if i.startswith(reference)]
        if not matches:
            raise UsageError(f"{self.root}: no run {reference!r}{nearest(reference, ids)}")
        if len(matches) > 1:
            raise UsageError(f"{reference!r} could be any of: {', '.join(matches)}")
        return self.read_run(matches[0])

    def read_run(self, run_id: str) -> RunRecord:
        """The run of an id.

        Raises:
            DamagedError: its record is not as it was written, or is another run's.
            StoreError: it cannot be read.
        """
        path = self._paths.run(run_id)
        run = RunRecord.from_bytes(read_file(path), path)
        if run.id != run_id:
            raise DamagedError(
                f"{path}: damaged run record (it is of {run.id}); name it so, or remove it"
            )
        return run

    # tidying

    def remove_run(self, run: RunRecord, *, dry_run: bool = False) -> Freed:
        """Remove a run and those of its cells that no other run has.

        Raises:
            UsageError: it is being run.
            StoreError: what it shares with others cannot be told, or something not be removed.
        """
        return remove_run(self, self._paths, run, dry_run=dry_run)

    def collect_garbage(self, *, dry_run: bool = False) -> Freed:
        """Remove cells that belong to no run, and work in progress that leads nowhere.

        Raises:
            StoreError: what belongs to a run cannot be told, or something not be removed.
        """
        return collect_garbage(self, self._paths, dry_run=dry_run)


@contextlib.contextmanager
def _with_store_errors(
    root: Path, entered: "contextlib.AbstractContextManager[None]"
) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        with store_errors(root):
            stack.enter_context(entered)
        yield
