"""A store that is a folder."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lottery_ticket.errors import DamagedError, StoreError, UsageError, nearest
from lottery_ticket.files import usable_path, write_file
from lottery_ticket.store._answers import Finished, Freed, IndexedCell
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
from lottery_ticket.store._making import Board, Claim, Desk
from lottery_ticket.store._record import CellRecord
from lottery_ticket.store._runs import RunRecord
from lottery_ticket.store._store import Store
from lottery_ticket.store.local.board import LocalBoard
from lottery_ticket.store.local.claims import CLAIMS, Locks
from lottery_ticket.store.local.desk import LocalDesk
from lottery_ticket.store.local.format import (
    check_format,
    leave_trace,
    missing_runs,
    write_format,
)
from lottery_ticket.store.local.in_use import run_in_use
from lottery_ticket.store.local.index import synced_cells
from lottery_ticket.store.local.leases import Leases
from lottery_ticket.store.local.paths import EXECUTION, RECORD, Paths
from lottery_ticket.store.local.reads import Reads
from lottery_ticket.store.local.tidying import collect_garbage, remove_run

__all__ = ["LocalStore"]

_Read = Callable[[Path, Callable[[Path], Any]], Any]  # `Reads.known` or `Reads.fresh`


class LocalStore(Store):
    """A folder.

    Args:
        location: the folder.
        claims: how claims of cells are held in a new store: by `"lock"`, as the operating system
            of one machine knows them, or by `"lease"`, which machines that share the folder can
            tell; None for what the store has, else locks.

    Raises:
        UsageError: there is no such way; or the store has another, and results.
    """

    def __init__(self, location: str | os.PathLike[str], claims: str | None = None) -> None:
        if claims is not None and claims not in CLAIMS:
            raise UsageError(f"claims: unknown choice {claims!r}{nearest(claims, CLAIMS)}")
        self._place(usable_path(os.fspath(location), "store"))
        self._reads, self._wanted = Reads(), claims
        self._known: list[Locks | Leases] = []  # one at most, and one for all twins
        with reading(self.root):
            if self.root.exists() and not self.root.is_dir():
                raise StoreError(f"{self.root}: not a folder; choose another with --store")
            self._claims  # noqa: B018 # see that it is ours, and of a kind that goes with it

    def _place(self, root: Path) -> None:
        self.root, self.location, self._paths = root, str(root), Paths(root)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.root.absolute(), self._wanted)

    @property
    def claims_are_quick(self) -> bool:
        return self.claims == "lock"

    @property
    def claims(self) -> str:
        """How its claims are held: `"lock"` or `"lease"`."""
        return self._claims.kind

    @property
    def _claims(self) -> "Locks | Leases":
        """As the store's file says, once it is there; others may make the store meanwhile."""
        if self._known:
            return self._known[0]
        found, wanted = check_format(self._paths), self._wanted
        if found and wanted and found != wanted:
            self._check_changeable(found, wanted)
            found = None
        claims = CLAIMS[found or wanted or "lock"]()
        if found:
            self._known.append(claims)
        return claims

    def _read_claims_anew(self) -> None:
        """Others may have changed an empty store since it was opened here.

        Raises:
            StoreError: to what was not asked for.
        """
        found = check_format(self._paths)
        if not self._known or found in (None, self._known[0].kind):
            return
        if self._wanted not in (None, found):
            raise StoreError(
                f"{self.root}: claims: got {self._wanted!r}, but meanwhile another process has "
                f"made it a store that holds its claims by {found}; leave --claims out"
            )
        self._known[:] = [CLAIMS[found]()]

    def _check_changeable(self, found: str, wanted: str) -> None:
        with reading(self.root):
            is_used = any(self._paths.cell_names()) or self._paths.run_entries()
        if is_used or self._paths.work_names():
            raise UsageError(
                f"{self.root}: claims: got {wanted!r}, but the store holds its claims by {found}, "
                "and has results; leave --claims out, or choose a new store"
            )

    def absolute(self) -> "LocalStore":
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        twin._place(self.root.absolute())
        return twin

    def state(self) -> str:
        if not self.root.exists():
            return "made by the first run"
        return super().state() + ("" if os.access(self.root, os.W_OK) else ", read-only")

    def writing(self) -> "contextlib.AbstractContextManager[None]":
        return store_errors(self.root)

    def exists(self) -> bool:
        return check_format(self._paths) is not None

    def open_for_writing(self) -> None:
        self._check_runs()
        self._read_claims_anew()
        with store_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            claims = self.claims
            is_new = not self._known and check_format(self._paths) is None
            if not write_format(self._paths, claims, is_new=is_new):
                claims = self.claims  # as another process has just made it
            for folder in (self._paths.cells, self._paths.all_work, self._paths.runs):
                folder.mkdir(exist_ok=True)
            leave_trace(self._paths, claims)

    # cells

    def get(self, name: str) -> CellRecord | None:
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
        return dict(self._execution(name, self._reads.known).values)

    def _execution(self, name: str, read: _Read) -> Execution:
        path = self._paths.real_cell(name) / EXECUTION
        return read(path, partial(Execution.of_file, name))

    def checked(self, name: str) -> Finished | None:
        found = self.finished(name)
        if found is not None:
            for file_name in sorted(found.kept):
                self._file(found.record, file_name, self._reads.fresh)
        return found

    def finished(self, name: str) -> Finished | None:
        record = self._record(name, self._reads.fresh)
        if record is None:
            return None
        return Finished(record, self._execution(name, self._reads.fresh))

    def strangers(self, found: Finished) -> list[str]:
        own = found.kept | {RECORD, EXECUTION}
        with reading(self.root):
            entries = scanned(self._paths.real_cell(found.record.name))
        return [entry.path for entry in entries if entry.name not in own]

    def claim(self, name: str) -> Claim | None:
        with store_errors(self.root):
            return self._claims.take(self._paths.work(name))

    def commit(
        self,
        claim: Claim,
        record: CellRecord,
        files: Mapping[str, bytes],
        execution: Mapping[str, Any],
    ) -> bool:
        desk = claim.desk
        assert isinstance(desk, LocalDesk)
        target = self._paths.real_cell(record.name)
        how = Execution(execution).to_bytes(record.name)
        written = {**files, EXECUTION: how, RECORD: record.to_bytes()}
        with store_errors(self.root):
            aside = desk.folder / f"result-{claim.token}"
            is_first = publish_folder(written, aside, target)
        claim.clear()
        return is_first

    def discard(self, name: str) -> None:
        folder = self._paths.cell(name)
        with store_errors(self.root):
            if os.path.lexists(folder):
                doomed = self._paths.new_discarded(name)
                scanned(folder.parent)  # a link would lead out of the store
                folder.rename(doomed)  # at once gone for all who look
                remove(doomed)

    def desk(self, name: str) -> Desk:
        return self._claims.desk(self._paths.work(name))

    def work_folder(self, name: str) -> Path:
        """Where a cell in progress keeps its checkpoint, history and progress."""
        return self._paths.work(name)

    def work_names(self) -> set[str]:
        with reading(self.root):
            return self._paths.work_names()

    def claimed_names(self, *, is_rough: bool = False) -> set[str]:
        claims = self._claims
        with reading(self.root):
            names = self._paths.work_names()
            return {name for name in names if claims.is_held(self._paths.work(name))}

    def silent_seconds(self) -> Mapping[str, float]:
        with reading(self.root):
            return self._claims.silent(map(self._paths.work, self._paths.work_names()))

    @property
    def board(self) -> Board:
        return LocalBoard(self._paths)

    def cells(self, wanted: Iterable[str] | None = None) -> dict[str, IndexedCell]:
        with reading(self.root):
            return synced_cells(self._paths, wanted, self._reads)

    def cell_names(self) -> set[str]:
        with reading(self.root):
            return set(self._paths.cell_names())

    # runs

    def in_use(self, run_id: str) -> "contextlib.AbstractContextManager[None]":
        self._read_claims_anew()
        return _with_store_errors(self.root, run_in_use(self._paths, run_id, self._claims))

    def has_run(self, run_id: str) -> bool:
        return os.path.lexists(self._paths.run(run_id))

    def _write_run(self, run: RunRecord) -> None:
        with store_errors(self.root):
            write_file(self._paths.run(run.id), run.to_bytes())

    def run_ids(self) -> list[str]:
        self._check_runs()
        with reading(self.root):
            return sorted(self._paths.run_entries())

    def _run_times(self) -> Mapping[str, float]:
        self._check_runs()
        with reading(self.root):
            entries = self._paths.run_entries()
            return {
                run_id: entry.stat(follow_symlinks=False).st_mtime_ns
                for run_id, entry in entries.items()
            }

    def _check_runs(self) -> None:
        with reading(self.root):
            if missing_runs(self._paths):
                raise StoreError(
                    f"{self._paths.runs}: missing, so nobody knows whose the cells are; put it "
                    "back, or let `lottery doctor --repair` make an empty one and run the specs "
                    "again (finished cells are kept)"
                )

    def read_run(self, run_id: str) -> RunRecord:
        path = self._paths.run(run_id)
        run = RunRecord.from_bytes(read_file(path), path)
        if run.id != run_id:
            raise DamagedError(
                f"{path}: damaged run record (it is of {run.id}); name it so, or remove it"
            )
        return run

    # tidying

    def remove_run(self, run: RunRecord, *, dry_run: bool = False) -> Freed:
        self._read_claims_anew()
        return remove_run(self, self._paths, self._claims, run, dry_run=dry_run)

    def collect_garbage(self, *, dry_run: bool = False) -> Freed:
        self._read_claims_anew()
        return collect_garbage(self, self._paths, self._claims, dry_run=dry_run)


@contextlib.contextmanager
def _with_store_errors(
    root: Path, entered: "contextlib.AbstractContextManager[None]"
) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        with store_errors(root):
            stack.enter_context(entered)
        yield
