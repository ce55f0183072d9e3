"""The store: `get`, `claim`, `commit`, and what keeps it tidy."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lottery_ticket.errors import StoreError, UsageError, nearest
from lottery_ticket.files import usable_path, write_file
from lottery_ticket.store._claims import Claim
from lottery_ticket.store._files import (
    json_bytes,
    publish_folder,
    sha256,
    size_of,
    store_errors,
)
from lottery_ticket.store._index import IndexedCell, synced_cells
from lottery_ticket.store._paths import EXECUTION, RECORD, Paths
from lottery_ticket.store._record import CellRecord
from lottery_ticket.store._runs import RunRecord

__all__ = ["Freed", "Store"]

_FORMAT = {"format": "lottery_ticket.store", "version": 1}


@dataclass(frozen=True)
class Freed:
    """What a clean-up removed (or would remove)."""

    num_cells: int
    num_bytes: int


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
        if self.root.exists() and not self.root.is_dir():
            raise StoreError(f"{self.root}: not a folder; choose another with --store")
        self._check_format()

    def _check_format(self) -> None:
        try:
            found = json.loads(self._paths.format.read_text())
        except FileNotFoundError:
            self._check_empty()
            return
        except (OSError, ValueError) as error:
            raise StoreError(f"{self._paths.format}: cannot be read ({error})") from None
        if found != _FORMAT:
            raise StoreError(f"{self.root}: holds {found}, this version reads {_FORMAT}")

    def _check_empty(self) -> None:
        """A folder of other files is no store: nothing of theirs is ever read or removed."""
        if not self.root.exists():
            return
        with store_errors(self.root):
            others = sorted(p.name for p in self.root.iterdir() if not p.name.startswith("."))
        if others:
            raise StoreError(
                f"{self.root}: not a store: it holds {others[0]!r} but no format.json; "
                "choose an empty or new folder with --store or LOTTERY_STORE"
            )

    def open_for_writing(self) -> None:
        """Make the folder and see that it can be written, before any work starts."""
        with store_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            write_file(self._paths.format, json_bytes(_FORMAT))
            for folder in (self._paths.cells, self._paths.all_work, self._paths.runs):
                folder.mkdir(exist_ok=True)

    # cells

    def get(self, name: str) -> CellRecord | None:
        """The record of a finished cell; None if there is none.

        Raises:
            StoreError: the record is damaged.
        """
        path = self._paths.cell(name) / RECORD
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            if path.parent.exists():
                raise StoreError(f"{path}: damaged: missing") from None
            return None
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error.strerror})") from None
        record = CellRecord.from_bytes(data, path)
        if record.name != name:
            raise StoreError(f"{path}: damaged: it is the record of {record.name}")
        return record

    def read(self, record: CellRecord, file_name: str) -> bytes:
        """The bytes of one of a cell's files; raises `StoreError` if they are not as written."""
        path = self._paths.cell(record.name) / file_name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise StoreError(f"{path}: damaged: missing") from None
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error.strerror})") from None
        expected = record.files[file_name]
        if sha256(data) != expected["sha256"]:
            raise StoreError(
                f"{path}: damaged: {len(data):,} bytes that differ from "
                f"the {expected['bytes']:,} written"
            )
        return data

    def execution(self, name: str) -> dict[str, Any]:
        """How a finished cell ran."""
        path = self._paths.cell(name) / EXECUTION
        try:
            values = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise StoreError(f"{path}: damaged: missing") from None
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: damaged: {error}") from None
        if not isinstance(values, dict):
            raise StoreError(f"{path}: damaged: not a mapping")
        return values

    def check(self, name: str) -> CellRecord | None:
        """`get`, having read every file of the cell; raises `StoreError` on any damage."""
        record = self.get(name)
        if record is not None:
            kept = set(record.files) - set(self.execution(name).get("not_kept", ()))
            for file_name in sorted(kept):
                self.read(record, file_name)
        return record

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
        written = {**files, EXECUTION: json_bytes(execution), RECORD: record.to_bytes()}
        with store_errors(self.root):
            aside = claim.folder / f"result-{os.getpid()}"
            publish_folder(written, aside, self._paths.cell(record.name))
        claim.clear()

    def discard(self, name: str) -> None:
        """Remove a finished cell (damaged, or made from something that has changed)."""
        with store_errors(self.root):
            folder = self._paths.cell(name)
            if folder.exists():
                doomed = self._paths.all_work / f"discarded-{name}-{os.getpid()}"
                folder.rename(doomed)  # at once gone for all who look
                shutil.rmtree(doomed, ignore_errors=True)  # what is left is garbage to collect

    def work_folder(self, name: str) -> Path:
        """Where a cell in progress keeps its checkpoint, history and progress."""
        return self._paths.work(name)

    def stop_file(self, token: str) -> Path:
        """What asks those who work for one call of a run to stop, once it exists."""
        return self._paths.stop(token)

    def cells(self, wanted: Iterable[str] | None = None) -> dict[str, IndexedCell]:
        """All finished cells (or those `wanted`), as the index knows them."""
        with store_errors(self.root):
            return synced_cells(self._paths, wanted)

    def cell_names(self) -> set[str]:
        """The names of all finished cells, damaged or not."""
        with store_errors(self.root):
            return {entry.name for entry in self._paths.cell_folders()}

    # runs

    def save_run(self, run: RunRecord) -> RunRecord:
        """Write a run's record; one that exists keeps its time of creation."""
        with contextlib.suppress(StoreError):
            known = self._read_run(run.id)
            run = RunRecord(**{**vars(run), "created": known.created})
        with store_errors(self.root):
            write_file(self._paths.run(run.id), run.to_bytes())
        return run

    def runs(self) -> list[RunRecord]:
        """All runs, the oldest first."""
        found = [self._read_run(path.stem) for path in sorted(self._paths.runs.glob("*.json"))]
        return sorted(found, key=lambda run: run.created)

    def run(self, reference: str) -> RunRecord:
        """A run by its id, a unique prefix of it, or `"last"`: the one started last, anew or again.

        Raises:
            UsageError: there is none, or more than one.
        """
        started = {p.stem: p.stat().st_mtime_ns for p in self._paths.runs.glob("*.json")}
        ids = sorted(started)
        if not ids:
            raise UsageError(f"{self.root}: no runs here; start one with `lottery run quickstart`")
        if not reference:
            raise UsageError(f"RUN is an id, a unique prefix of one, or 'last'; here: {ids}")
        if reference == "last":
            return self._read_run(max(ids, key=lambda run_id: started[run_id]))
        matches = [reference] if reference in ids else [i for i in ids if i.startswith(reference)]
        if not matches:
            raise UsageError(f"{self.root}: no run {reference!r}{nearest(reference, ids)}")
        if len(matches) > 1:
            raise UsageError(f"{reference!r} could be any of: {', '.join(matches)}")
        return self._read_run(matches[0])

    def _read_run(self, run_id: str) -> RunRecord:
        path = self._paths.run(run_id)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error.strerror})") from None
        return RunRecord.from_bytes(data, path)

    # tidying

    def remove_run(self, run: RunRecord, *, dry_run: bool = False) -> Freed:
        """Remove a run and those of its cells that no other run has."""
        if not dry_run:
            self._check_idle(run)
        others = [other for other in self.runs() if other.id != run.id]
        freed = self._remove(run.cells() - self._referenced(others), dry_run)
        if not dry_run:
            with store_errors(self.root):
                self._paths.run(run.id).unlink()
        return freed

    def _check_idle(self, run: RunRecord) -> None:
        for name in run.cells() & self._paths.work_names():
            with self._idle(name, dry_run=False) as is_idle:
                if not is_idle:
                    raise UsageError(f"{run.id} is being run; stop it first")

    def collect_garbage(self, *, dry_run: bool = False) -> Freed:
        """Remove cells, and work in progress, that belong to no run."""
        # cells first: one that is made meanwhile belongs to a run that was saved before
        found = self.cell_names() | self._paths.work_names()
        return self._remove(found - self._referenced(self.runs()), dry_run)

    def _referenced(self, runs: Iterable[RunRecord]) -> set[str]:
        return set().union(*(run.cells() for run in runs))

    def _remove(self, names: set[str], dry_run: bool) -> Freed:
        num_cells = num_bytes = 0
        with store_errors(self.root):
            for name in sorted(names):
                with self._idle(name, dry_run) as is_idle:
                    if not is_idle:
                        continue  # someone is working on it
                    cell, work = self._paths.cell(name), self._paths.work(name)
                    num_cells += cell.exists()
                    num_bytes += sum(size_of(folder) for folder in (cell, work) if folder.exists())
                    if not dry_run:
                        self.discard(name)
                        shutil.rmtree(work, ignore_errors=True)
        return Freed(num_cells, num_bytes)

    @contextlib.contextmanager
    def _idle(self, name: str, dry_run: bool) -> Iterator[bool]:
        had_work = self._paths.work(name).exists()
        if dry_run and not had_work:  # a read-only store can be asked, too
            yield True
            return
        try:
            claim = self.claim(name)
        except StoreError:
            if had_work:
                raise
            yield True  # no room for a claim on a full disk, and nobody works on it
            return
        try:
            yield claim is not None
        finally:
            if claim is not None:
                claim.release() if had_work else claim.clear()
