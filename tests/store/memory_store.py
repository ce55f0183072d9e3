"""A store that is no folder and no bucket, as plain as it can be: what others are held against.

Stores of one location share what they hold, within this process.
"""

import contextlib
import itertools
import secrets
from collections import Counter
from dataclasses import dataclass, field

from lottery_ticket.errors import DamagedError, UsageError
from lottery_ticket.store import Execution, Finished, Freed, IndexedCell, Store, sha256
from lottery_ticket.store._label_changes import forget_damaged

_worlds = {}


@dataclass
class World:
    """What one location holds."""

    cells: dict = field(default_factory=dict)  # name → record, files, execution
    work: dict = field(default_factory=dict)  # name → desk
    held: dict = field(default_factory=dict)  # name → token
    runs: dict = field(default_factory=dict)  # id → record, number of its writing
    in_use: Counter = field(default_factory=Counter)
    notes: dict = field(default_factory=dict)
    is_made: bool = False
    clock: itertools.count = field(default_factory=itertools.count)


class MemoryDesk:
    """A dictionary."""

    def __init__(self):
        self.files = {}

    def read(self, name, max_bytes):
        data = self.files.get(name)
        if data is not None and len(data) > max_bytes:
            raise DamagedError(f"{name}: too large")
        return data

    def write(self, name, data):
        self.files[name] = data

    show = begin = write

    def append(self, name, data):
        self.files[name] = self.files.get(name, b"") + data

    def set_aside(self, name):
        self.files[f"unread-{name}"] = self.files.pop(name)
        return f"unread-{name}"

    def where(self, name):
        return name


class MemoryClaim:
    num_losses = 0

    def __init__(self, name, world):
        self.name, self.world, self.token = name, world, secrets.token_hex(8)
        world.held[name] = self.token
        self.desk = world.work.setdefault(name, MemoryDesk())

    def is_lost(self):
        return False

    def release(self):
        self.world.held.pop(self.name, None)

    def clear(self):
        self.release()
        self.world.work.pop(self.name, None)


class MemoryBoard:
    def __init__(self, notes):
        self._notes = notes

    def put(self, kind, name, data):
        self._notes[kind, name] = data

    def get(self, kind, name):
        return self._notes.get((kind, name))

    def get_all(self, kind):
        return {name: self._notes[kind, name] for name in self.names(kind)}

    def names(self, kind):
        return sorted(name for each, name in self._notes if each == kind)

    def remove(self, kind, name):
        self._notes.pop((kind, name), None)


class MemoryStore(Store):
    """Dictionaries."""

    def __init__(self, location):
        self.location = str(location)
        self.world = _worlds.setdefault(self.location, World())

    def __reduce__(self):
        return type(self), (self.location,)

    def absolute(self):
        return type(self)(self.location)

    def exists(self):
        return self.world.is_made

    def open_for_writing(self):
        self.world.is_made = True

    def writing(self):
        return contextlib.nullcontext()

    def get(self, name):
        cell = self.world.cells.get(name)
        return cell and cell[0]

    def read(self, record, file_name):
        if file_name not in record.files:
            raise DamagedError(f"{file_name}: its record knows of no such file")
        data = self.world.cells[record.name][1].get(file_name)
        if data is None or sha256(data) != record.files[file_name]["sha256"]:
            raise DamagedError(f"{file_name}: damaged")
        return data

    def execution(self, name):
        if name not in self.world.cells:
            raise DamagedError(f"{name}: missing")
        return dict(self.world.cells[name][2])

    def finished(self, name):
        record = self.get(name)
        return record and Finished(record, Execution(self.execution(name)))

    def checked(self, name):
        found = self.finished(name)
        for file in sorted(found.kept) if found else ():
            self.read(found.record, file)
        return found

    def strangers(self, found):
        return []

    def cells(self, wanted=None):
        names = self.cell_names() if wanted is None else self.cell_names() & set(wanted)
        return {name: self._indexed(name) for name in names}

    def _indexed(self, name):
        record = self.get(name)
        plain = {k: v for k, v in record.results.items() if not isinstance(v, list | dict)}
        return IndexedCell(name, record.content, plain, self.execution(name))

    def cell_names(self):
        return set(self.world.cells)

    def claim(self, name):
        return None if name in self.world.held else MemoryClaim(name, self.world)

    def commit(self, claim, record, files, execution):
        made = record, dict(files), dict(execution)
        is_first = self.world.cells.setdefault(record.name, made) is made
        claim.clear()
        return is_first

    def discard(self, name):
        self.world.cells.pop(name, None)

    def desk(self, name):
        return self.world.work.get(name) or MemoryDesk()

    def work_names(self):
        return set(self.world.work)

    def claimed_names(self, *, is_rough=False):
        return set(self.world.held)

    @property
    def board(self):
        return MemoryBoard(self.world.notes)

    # runs

    @contextlib.contextmanager
    def in_use(self, run_id):
        self.world.in_use[run_id] += 1
        try:
            yield
        finally:
            self.world.in_use[run_id] -= 1

    def _write_run(self, run):
        self.world.runs[run.id] = run, next(self.world.clock)

    def has_run(self, run_id):
        return run_id in self.world.runs

    def read_run(self, run_id):
        return self.world.runs[run_id][0]

    def _run_times(self):
        return {run_id: when for run_id, (_, when) in self.world.runs.items()}

    # tidying

    def _needed(self, but=None):
        runs = [run for run_id, (run, _) in self.world.runs.items() if run_id != but]
        return set().union(*(run.cells() for run in runs))

    def _remove(self, names, dry_run):
        names = names - self.world.held.keys()
        cells = names & self.world.cells.keys()
        num_bytes = sum(len(data) for name in cells for data in self.world.cells[name][1].values())
        if not dry_run:
            for name in names:
                self.discard(name)
                self.world.work.pop(name, None)
        return Freed(len(cells), num_bytes)

    def remove_run(self, run, *, dry_run=False):
        is_at_work = self.world.in_use[run.id] or run.cells() & self.world.held.keys()
        if is_at_work and not dry_run:
            raise UsageError(f"{run.id} is being run; stop it first")
        freed = self._remove(run.cells() - self._needed(but=run.id), dry_run)
        if not dry_run:
            del self.world.runs[run.id]
            self._forget()
        return freed

    def _forget(self):
        runs = self.world.runs
        known = {"failed": self._needed(), **dict.fromkeys(("submitted", "stop", "labels"), runs)}
        for kind, name in list(self.world.notes):
            of = name.rpartition(".")[0] if kind == "labels" else name
            if of not in known.get(kind, {of}) and len(name) != 16:
                del self.world.notes[kind, name]

    def collect_garbage(self, *, dry_run=False):
        needed = self._needed()
        freed = self._remove((self.cell_names() | self.work_names()) - needed, dry_run)
        if not dry_run:
            self._forget()
            forget_damaged(self.board, self.location)
            for name in self.cell_names() & self.work_names() - self.world.held.keys():
                del self.world.work[name]  # what a finished cell left of its making
        return freed
