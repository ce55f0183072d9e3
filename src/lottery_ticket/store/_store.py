"""What a store is: `get`, `claim`, `commit`; and the runs that its cells belong to."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from os import PathLike
from typing import Any

from lottery_ticket.errors import DamagedError, UsageError, nearest
from lottery_ticket.store._answers import Finished, Freed, IndexedCell
from lottery_ticket.store._label_changes import (
    add_change,
    damaged_notes,
    labels_by_run,
    labels_of_run,
)
from lottery_ticket.store._making import Board, Claim, Desk
from lottery_ticket.store._record import CellRecord
from lottery_ticket.store._run_labels import RunEdit, RunLabels, check_name, runs_called
from lottery_ticket.store._runs import RunRecord

__all__ = ["Store", "default_store_path", "is_address"]


class Store:
    """Finished cells and runs, wherever they lie; several processes may use one at once.

    `Store(location)` opens one, and is pickled as its location: whoever gets it opens it anew. What
    lies where is up to each kind of store; they all pass `tests/store/test_every_store.py`.

    Args:
        location: a folder, or `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`;
            nothing is created until something is written.

    Raises:
        UsageError: the address is none that is known.
        StoreError: something else is there, or what a later version wrote.
    """

    location: str
    """What people call it."""
    retry_seconds = 0.5
    """How often to look whether somebody else has finished a cell."""
    look_seconds = 0.0
    """How often to look whether somebody asked to stop; 0: as often as one likes."""

    def __new__(cls, location: "str | PathLike[str]" = "", *_: Any, **options: Any) -> "Store":
        return object.__new__(_kind_of(location) if cls is Store else cls)

    def exists(self) -> bool:
        """Whether the store was made; raises `StoreError` if that cannot be told."""
        raise NotImplementedError

    def open_for_writing(self) -> None:
        """Make the store and see that it can be written, before any work starts.

        Raises:
            StoreError: it cannot; or its runs are gone.
        """
        raise NotImplementedError

    def absolute(self) -> "Store":
        """The same store, also after the working directory has changed."""
        raise NotImplementedError

    def writing(self) -> AbstractContextManager[None]:
        """A block in which what the system refuses becomes a `StoreError` that says what to do."""
        raise NotImplementedError

    def state(self) -> str:
        """What there is to say of it in a few words, such as how much it holds."""
        runs, cells = len(self.runs()), len(self.cell_names())
        return f"{runs} runs, {cells} cells"

    # cells

    def get(self, name: str) -> CellRecord | None:
        """The record of a finished cell; None if there is none.

        Raises:
            DamagedError: the record is not as it was written.
            StoreError: it cannot be read.
        """
        raise NotImplementedError

    def read(self, record: CellRecord, file_name: str) -> bytes:
        """The bytes of one of a cell's files.

        Raises:
            DamagedError: they are not as written, or there is no such file.
            StoreError: they cannot be read.
        """
        raise NotImplementedError

    def execution(self, name: str) -> dict[str, Any]:
        """How a finished cell ran; raises `StoreError` as `get`."""
        raise NotImplementedError

    def finished(self, name: str) -> Finished | None:
        """A finished cell without the bytes of its files, as it is now; None if there is none.

        Raises:
            DamagedError, StoreError: as `checked`, of its two records.
        """
        raise NotImplementedError

    def checked(self, name: str) -> Finished | None:
        """The same, having read each of its files once.

        Raises:
            DamagedError: a file is not as it was written.
            StoreError: one cannot be read.
        """
        raise NotImplementedError

    def check(self, name: str) -> CellRecord | None:
        """`get`, having read every file of the cell; raises `DamagedError` on any damage."""
        found = self.checked(name)
        return None if found is None else found.record

    def survey(
        self, names: Iterable[str], *, is_thorough: bool = True
    ) -> Iterator[tuple[str, Finished | DamagedError]]:
        """Of those cells that are finished what they are; or what is wrong with them.

        Args:
            names: which.
            is_thorough: whether each of their files is read, where the store is near.

        Raises:
            StoreError: something cannot be read, which says nothing of what it holds.
        """
        for name in names:
            try:
                found = self.checked(name) if is_thorough else self.finished(name)
            except DamagedError as error:
                yield name, error
            else:
                if found is not None:
                    yield name, found

    def strangers(self, found: Finished) -> list[str]:
        """What lies where a cell does, and no cell has written there."""
        raise NotImplementedError

    def cells(self, wanted: Iterable[str] | None = None) -> dict[str, IndexedCell]:
        """All finished cells (or those `wanted`), as an index knows them; damaged ones are left
        out."""
        raise NotImplementedError

    def cell_names(self) -> set[str]:
        """The names of all finished cells, damaged or not."""
        raise NotImplementedError

    def claim(self, name: str) -> Claim | None:
        """Claim a cell for this process; None while another process holds it."""
        raise NotImplementedError

    def commit(
        self,
        claim: Claim,
        record: CellRecord,
        files: Mapping[str, bytes],
        execution: Mapping[str, Any],
    ) -> bool:
        """Publish a finished cell and clear its claim; the record is written last.

        Returns:
            False if the cell was finished by somebody else; it is left as it was.
        """
        raise NotImplementedError

    def discard(self, name: str) -> None:
        """Remove a finished cell (damaged, or made from something that has changed)."""
        raise NotImplementedError

    def free_work(self, name: str) -> None:
        """Remove what a finished cell left of its making, unless someone is at work there."""
        claim = self.claim(name)
        if claim is not None:
            claim.clear()

    def desk(self, name: str) -> Desk:
        """Where a cell is worked on, to look at: to write there takes a claim."""
        raise NotImplementedError

    def work_names(self) -> set[str]:
        """The names of the cells that are in progress, or were when their process was killed."""
        raise NotImplementedError

    @property
    def claims_are_quick(self) -> bool:
        """Whether asking for a claim costs so little that nobody need look first who has one."""
        return False

    def claimed_names(self, *, is_rough: bool = False) -> set[str]:
        """The names of the cells that somebody seems to be at work on now.

        Args:
            is_rough: to be asked often: where there are many, some that were given back of late may
                be among them.
        """
        raise NotImplementedError

    def silent_seconds(self) -> Mapping[str, float]:
        """Of the claims whose holders seem to be dead, or cut off, for how long nothing was heard
        of each; for people: who wants such a cell claims it. Nobody has to watch for it."""
        return {}

    @property
    def board(self) -> Board:
        """Notes that everybody sees."""
        raise NotImplementedError

    # runs

    def in_use(self, run_id: str) -> AbstractContextManager[None]:
        """While it lasts, nobody removes the run; several processes may run it together.

        Raises:
            StoreError: the store cannot be written, or is being tidied.
        """
        raise NotImplementedError

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
        self._write_run(run)
        return run

    def _write_run(self, run: RunRecord) -> None:
        raise NotImplementedError

    def has_run(self, run_id: str) -> bool:
        """Whether there is a record of a run, damaged or not."""
        raise NotImplementedError

    def read_run(self, run_id: str) -> RunRecord:
        """The run of an id.

        Raises:
            DamagedError: its record is not as it was written, or is another run's.
            StoreError: it cannot be read.
        """
        raise NotImplementedError

    def run_ids(self) -> list[str]:
        """The ids of all runs, damaged or not.

        Raises:
            StoreError: they cannot be read, or there are cells and no runs any more.
        """
        return sorted(self._run_times())

    def _run_times(self) -> Mapping[str, float]:
        """Of all runs when each was started last, as `run_ids`."""
        raise NotImplementedError

    def runs(self) -> list[RunRecord]:
        """All runs, the oldest first; raises `StoreError` if one cannot be read."""
        return sorted(map(self.read_run, self.run_ids()), key=lambda run: run.created)

    def run(self, reference: str) -> RunRecord:
        """A run by its id, a unique prefix of it, its name, or `"last"`: the one started last, anew
        or again.

        Raises:
            UsageError: there is none, or more than one.
        """
        started = self._run_times()
        ids = sorted(started)
        if not ids:
            raise UsageError(
                f"{self.location}: no runs here; start one with `lottery run quickstart`"
            )
        if not reference:
            raise UsageError(f"RUN is an id, a prefix of one, a name, or 'last'; here: {ids}")
        if reference == "last":
            return self.read_run(max(ids, key=lambda run_id: started[run_id]))
        if reference in ids:
            return self.read_run(reference)
        names = {run_id: known.name for run_id, known in self.labels().items() if known.name}
        matches = runs_called(reference, ids, names)
        if not matches:
            known = [*ids, *(names[run_id] for run_id in names.keys() & started.keys())]
            raise UsageError(f"{self.location}: no run {reference!r}{nearest(reference, known)}")
        if len(matches) > 1:
            raise UsageError(f"{reference!r} could be any of: {', '.join(matches)}")
        return self.read_run(matches[0])

    # what people call runs

    def labels(self) -> Mapping[str, RunLabels]:
        """What each run is called that was given a name, tags or notes; raises `StoreError`."""
        return labels_by_run(self.board, self.location)

    def labels_of(self, run_id: str) -> RunLabels:
        """What one run is called; raises `StoreError`."""
        return labels_of_run(self.board, self.location, run_id)

    def damaged_labels(self) -> list[DamagedError]:
        """What is damaged of what runs are called; raises `StoreError`."""
        return damaged_notes(self.board, self.location)

    def check_name(self, run_id: str, name: str) -> None:
        """See that a run, be it there or not, can be asked for by a name.

        Raises:
            UsageError: it would be taken for another's, for an id, or for `"last"`.
            StoreError: the store cannot be read.
        """
        check_name(name, run_id, self.run_ids(), self.labels())

    def edit_run(self, run_id: str, edit: RunEdit) -> RunLabels:
        """Change what a run is called; several may at once, and nothing of theirs is lost.

        Returns:
            What it is called now.

        Raises:
            UsageError: there is no such run (any more); or the name cannot be its name, see
                `check_name`.
            StoreError: the store cannot be written or read.
        """
        if not self.has_run(run_id):
            raise UsageError(f"{self.location}: no run {run_id!r}; was it removed meanwhile?")
        if edit.name:
            self.check_name(run_id, edit.name)
        return add_change(self.board, self.location, run_id, edit)

    # tidying

    def remove_run(self, run: RunRecord, *, dry_run: bool = False) -> Freed:
        """Remove a run and those of its cells that no other run has, with all notes of them.

        Raises:
            UsageError: it is being run.
            StoreError: what it shares with others cannot be told, or something not be removed.
        """
        raise NotImplementedError

    def collect_garbage(self, *, dry_run: bool = False) -> Freed:
        """Remove cells that belong to no run, work in progress that leads nowhere, and notes of
        what is gone.

        Raises:
            StoreError: what belongs to a run cannot be told, or something not be removed.
        """
        raise NotImplementedError


_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(/?)")  # longer than the letter of a drive


def is_address(location: "str | PathLike[str]") -> bool:
    """Whether that is an address, such as `s3://bucket/prefix`, and no folder.

    Raises:
        UsageError: it was one before `Path` took a slash away.
    """
    found = _ADDRESS.match(os.fspath(location))
    if found is not None and not isinstance(location, str):
        raise UsageError(f"{location}: pass an address as text; Path takes a slash of it away")
    return found is not None and bool(found[2])


def _kind_of(location: "str | PathLike[str]") -> type[Store]:
    if not is_address(location):
        from lottery_ticket.store.local.store import LocalStore

        return LocalStore
    from lottery_ticket.store.remote import SCHEMES, ObjectStore

    scheme = os.fspath(location).partition("://")[0]
    if scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise UsageError(f"a store's address begins with {known}, not {scheme}://")
    return ObjectStore


def default_store_path() -> str:
    """`$LOTTERY_STORE`, a folder or an address; else the folder `lottery_runs`."""
    return os.environ.get("LOTTERY_STORE") or "lottery_runs"
