"""Which cell is next: those whose parents are finished, until all are or something stops them."""

import time
from collections.abc import Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass

from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.executors.context import Context
from lottery_ticket.experiment.executors.execute import is_current
from lottery_ticket.experiment.executors.executor import Executor, Outcome
from lottery_ticket.experiment.executors.stop import StopSign
from lottery_ticket.experiment.planning.plan import Work
from lottery_ticket.experiment.running.observer import Observer, RunOutcome
from lottery_ticket.experiment.running.peers import Alone, Peers
from lottery_ticket.store import Finished, Store

__all__ = ["Scheduler"]

_POLL_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 60.0  # before a cell is tried again that the store refused
_MAX_CRASHES = 2  # a cell whose worker died so often, and of no other cell, has failed


@dataclass
class _Running:
    """A group that an executor has.

    Args:
        cells: of the group.
        is_alone: whether it is one cell, and no other could kill its worker at any time.
    """

    cells: list[Cell]
    is_alone: bool


@dataclass(frozen=True)
class _Known:
    """What there is to know of a finished cell once its files have been read."""

    parents: Mapping[str, str]
    content: str
    kept: frozenset[str]

    @classmethod
    def of(cls, found: Finished) -> "_Known":
        return cls(found.record.parents, found.record.content, found.kept)


class Scheduler:
    """Hands the cells of a plan to an executor, parents first, and keeps account of what became
    of them."""

    def __init__(
        self,
        plan: Work,
        store: Store,
        context: Context,
        executor: Executor,
        observer: Observer,
        peers: Peers | None = None,
    ) -> None:
        self.plan = plan
        self.peers = peers or Alone(store)
        self.store = store
        self.context = context
        self.executor = executor
        self.observer = observer
        self.contents = self._given()  # finished cell → content
        self.num_given = len(self.contents)
        self.failures: dict[str, str] = {}
        self.blocked: set[str] = set()
        self.waiting = dict(plan.cells)
        self.running: dict[Future[list[Outcome]], _Running] = {}
        self.retry_at: dict[str, float] = {}
        self.crashes: dict[str, int] = {}
        self.suspects: set[str] = set()  # may have killed a worker; each is tried again by itself
        self.num_made = 0
        self.started = time.monotonic()
        self.sign = StopSign(store, context.stops)
        self.damaged: set[str] = set()
        self.known = self._checked()  # what was finished at the start
        self.unsure: Collection[str] = ()  # is there, and may be of other parents than those of now
        self.elsewhere: set[str] = set()  # finished by others; what it holds is read when needed
        self.refusals: dict[str, int] = {}
        self.said: set[str] = set()
        self.has_work = store.work_names()

    def run(self) -> RunOutcome:
        """Make whatever is not finished."""
        self.begin()
        while not self.is_over:
            self.step()
        return self.outcome()

    def begin(self) -> None:
        """Take what is finished."""
        self._take_finished()
        self.unsure = self.known.keys() | self.damaged
        self.known = {}  # of what waits, others may make something else meanwhile
        self.observer.begin(self.plan, set(self.contents) & set(self.plan.cells), self.store)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do, or somebody asked to stop and nothing runs any more."""
        return not self.running and (not self.waiting or self._stopping)

    def step(self) -> bool:
        """Start what can be started, and see for a moment what becomes of it; whether anything
        ran."""
        self._submit()
        is_busy = bool(self.running)
        self._collect()
        return is_busy

    def outcome(self) -> RunOutcome:
        """What became of it so far."""
        return RunOutcome(
            self.plan.id,
            self.num_made,
            len(self.contents.keys() | self.elsewhere) - self.num_made - self.num_given,
            dict(self.failures),
            len(self.blocked),
            self._stopping and bool(self.waiting),
            time.monotonic() - self.started,
        )

    def _given(self) -> dict[str, str]:
        """Of parents that are no part of the work their contents; raises `StoreError` without."""
        cells = self.plan.cells
        names = {parent for cell in cells.values() for parent in cell.parents.values()}
        contents = {}
        for name in sorted(names - cells.keys()):
            record = self.store.get(name)
            if record is None:
                raise StoreError(
                    f"{self.store.location}: cell {name} is not there; run its spec again"
                )
            contents[name] = record.content
        return contents

    @property
    def _is_paused(self) -> bool:
        """Whether all others wait for the suspects: their deaths would take others with them."""
        return bool(self.suspects) and not self.executor.is_isolated

    @property
    def _stopping(self) -> bool:
        return self.sign.is_raised()

    def _checked(self) -> dict[str, _Known]:
        """Read every file of every finished cell, once; those that are damaged are named.

        Raises:
            StoreError: a file cannot be read, which says nothing of what it holds.
        """
        known = {}
        for name, found in self.store.survey(self.plan.cells, is_thorough=self.peers.is_alone):
            if isinstance(found, DamagedError):
                self._note_damage(name, found)
            else:
                known[name] = _Known.of(found)
        return known

    def _note_damage(self, name: str, error: DamagedError) -> None:
        self.observer.note(f"{error}; it will be made anew")
        self.damaged.add(name)

    def _look(self, name: str) -> _Known | None:
        """A cell if it is finished: as it was at the start, else as it is now."""
        if name in self.damaged:
            return None
        known = self.known.pop(name, None)
        if known is not None:
            return known
        try:
            found = self.store.finished(name)
        except DamagedError as error:
            self._note_damage(name, error)
            return None
        return None if found is None else _Known.of(found)

    def _take_finished(self) -> None:
        for name, cell in list(self.waiting.items()):  # parents come first
            if self._parents_are_finished(cell):
                self._take_if_finished(name, cell)

    def _take_if_finished(self, name: str, cell: Cell) -> bool:
        """Whether the cell is finished; one that is damaged or stale is discarded instead."""
        found = self._look(name)
        is_same = found is not None and is_current(found.parents, self._contents_of(cell))
        if found is not None and is_same and cell.feeds <= found.kept:
            self.contents[name] = found.content
            del self.waiting[name]
            if name in self.has_work:  # its process was killed before it had cleared up
                self.store.free_work(name)
            return True
        if found is not None and not is_same:
            self.observer.note(f"{cell.title}: what it was made from has changed; made anew")
        if found is not None or name in self.damaged:
            self._discard(name)
        return False

    def _discard(self, name: str) -> None:
        claim = self.store.claim(name)
        if claim is None:
            return  # someone is making it anew already
        try:
            if not (name in self.damaged and self._is_whole(name)):  # made anew meanwhile
                self.store.discard(name)
            self.damaged.discard(name)
        finally:
            claim.release()

    def _is_whole(self, name: str) -> bool:
        try:
            return self.store.check(name) is not None
        except DamagedError:
            return False

    def _parents_are_finished(self, cell: Cell) -> bool:
        parents = cell.parents.values()
        return all(parent in self.contents or parent in self.elsewhere for parent in parents)

    def _has_read_parents(self, cell: Cell) -> bool:
        """Whether it is known what the parents hold; one that is gone again has to be made anew."""
        for parent in cell.parents.values():
            if parent not in self.contents:
                found = self._look(parent)
                if found is None:
                    self._take_back(parent)
                    return False
                self.contents[parent] = found.content
        return True

    def _take_back(self, name: str) -> None:
        """What was finished is not there any more."""
        self.contents.pop(name, None)
        self.elsewhere.discard(name)
        self.waiting = {name: self.plan.cells[name], **self.waiting}

    def _contents_of(self, cell: Cell) -> dict[str, str]:
        return {role: self.contents[parent] for role, parent in cell.parents.items()}

    def _take_others(self) -> None:
        """Of what waits take what others have finished, without a look at each."""
        if self.peers.is_alone or not self.waiting:
            return
        for name in self.peers.finished() & self.waiting.keys() - set(self.unsure):
            self.elsewhere.add(name)
            self.suspects.discard(name)
            self.observer.ended(self.waiting.pop(name), Outcome(name, "found"))

    @property
    def _is_full(self) -> bool:
        return len(self.running) >= (1 if self._is_paused else self.executor.slots)

    def _submit(self) -> None:
        if self._is_full:
            return
        self._take_others()
        for name in self._queue():
            if self._is_full:
                return
            if name in self.waiting and self._is_ready(name):
                if self._stopping:
                    return
                self._start(self._group(name))

    def _start(self, group: list[Cell]) -> None:
        for cell in group:
            del self.waiting[cell.name]
            self.observer.started(cell)
        is_isolated = self.executor.is_isolated
        is_alone = len(group) == 1 and (is_isolated or not self.running)
        if not is_isolated:
            for other in self.running.values():
                other.is_alone = False
        future = self.executor.submit(group, [self._contents_of(cell) for cell in group])
        self.running[future] = _Running(group, is_alone)

    def _queue(self) -> list[str]:
        """The waiting cells in the order of the plan; for groups, what is made by itself before all
        else, so that what it makes ready can be made together."""
        names = self.peers.in_order(self.waiting)
        if self.context.group == 1:
            return names
        alone = [name for name in names if self.waiting[name].batch_key is None]
        is_making_such = any(c.batch_key is None for g in self.running.values() for c in g.cells)
        return alone if is_making_such else alone + [n for n in names if n not in set(alone)]

    def _is_ready(self, name: str) -> bool:
        """Whether a waiting cell can be made now; one that cannot be, or is, leaves the queue."""
        cell = self.waiting[name]
        if self._is_paused and name not in self.suspects:
            return False
        if any(p in self.failures or p in self.blocked for p in cell.parents.values()):
            self.blocked.add(name)
            self.suspects.discard(name)
            del self.waiting[name]
            return False
        is_time = time.monotonic() >= self.retry_at.get(name, 0.0)
        if not self._parents_are_finished(cell) or not is_time:
            return False
        if self.peers.are_at(name):
            self.suspects.discard(name)  # whoever is at it tries it
            return False
        if not self._has_read_parents(cell):
            return False
        # whoever claims a cell looks once more, so that of those that nobody listed none is asked
        is_looked_at = self.peers.is_alone or name in self.unsure or name in self.damaged
        if is_looked_at and self._take_if_finished(name, cell):
            self.suspects.discard(name)  # it was finished before its worker died
            self.observer.ended(cell, Outcome(name, "found", self.contents[name]))
            return False
        failure = self.peers.failure_of(name)
        if failure is not None:
            self._fail(cell, failure)
        return failure is None

    def _group(self, name: str) -> list[Cell]:
        """A ready cell, with others that can be made together with it and are ready too."""
        group = [self.waiting[name]]
        if self.context.group == 1 or group[0].batch_key is None:
            return group
        if self._is_paused or name in self.suspects:
            return group
        for other_name, other in list(self.waiting.items()):
            if len(group) == self.context.group:
                break
            if (
                other_name != name
                and other_name not in self.suspects
                and other.batch_key == group[0].batch_key
                and self._is_ready(other_name)
            ):
                group.append(other)
        return group

    def _collect(self) -> None:
        if not self.running:
            time.sleep(_POLL_SECONDS if self.waiting else 0.0)
            return
        done, _ = wait(self.running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            group = self.running.pop(future)
            for cell, outcome in zip(group.cells, future.result(), strict=True):
                if outcome.status == "lost":
                    self._take_lost(cell, is_alone=group.is_alone)
                else:
                    self._take(cell, outcome)

    def _take(self, cell: Cell, outcome: Outcome) -> None:
        self.suspects.discard(cell.name)
        for note in outcome.notes:
            self.observer.note(note)
        if outcome.status in ("made", "found"):
            assert outcome.content is not None
            self.contents[cell.name] = outcome.content
            self.num_made += outcome.status == "made"
            self.peers.tell_made(cell)
        elif outcome.status == "failed" or self._is_final(cell, outcome):
            self._fail(cell, outcome.message or "")
            self.peers.tell_failure(cell, outcome.message or "")
        else:  # busy, stopped, or what else may go better
            if outcome.status == "stopped":
                self.sign.look_anew()
            self.waiting = {cell.name: cell, **self.waiting}
            pause = self.store.retry_seconds * 2 ** self.refusals.get(cell.name, 0)
            self.retry_at[cell.name] = time.monotonic() + min(pause, _LONGEST_PAUSE_SECONDS)
        self.observer.ended(cell, outcome)

    def _is_final(self, cell: Cell, outcome: Outcome) -> bool:
        """Whether what went wrong beside a cell will go wrong again."""
        if outcome.status == "refused":
            self.refusals[cell.name] = self.refusals.get(cell.name, 0) + 1
            message = f"{outcome.message}; it is tried again, more and more seldom"
            if not self.peers.is_alone and message not in self.said:
                self.said.add(message)
                self.observer.note(message)
            return self.peers.is_alone
        if outcome.status == "unfounded":
            self.crashes[cell.name] = self.crashes.get(cell.name, 0) + 1
            self._look_at_parents_anew(cell)
            return self.crashes[cell.name] > _MAX_CRASHES
        return False

    def _look_at_parents_anew(self, cell: Cell) -> None:
        """One was damaged or gone; by now others may have made it anew."""
        for parent in set(cell.parents.values()) & self.plan.cells.keys():
            found = self._look(parent)
            if found is not None:
                self.contents[parent] = found.content
            elif parent not in self.waiting:
                self._take_back(parent)

    def _fail(self, cell: Cell, message: str) -> None:
        self.suspects.discard(cell.name)
        self.failures[cell.name] = f"{cell.title}: {message}"
        self.waiting.pop(cell.name, None)

    def _take_lost(self, cell: Cell, *, is_alone: bool) -> None:
        """A worker died: what it had is tried again one by one, so that a cell that kills its
        worker takes no other with it."""
        self.crashes[cell.name] = self.crashes.get(cell.name, 0) + is_alone
        if self.crashes[cell.name] >= _MAX_CRASHES:
            message = "its worker process died twice (out of memory?)"
            self._take(cell, Outcome(cell.name, "failed", message=message))
        else:
            self.observer.note(f"{cell.title}: its worker process died; continuing it")
            self._take(cell, Outcome(cell.name, "stopped"))
            self.suspects.add(cell.name)
