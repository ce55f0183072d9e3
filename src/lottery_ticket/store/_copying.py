"""Copying runs, with the cells that they are made of, from one store to another of any kind.

Cells go parents first and the record of a new run last, so that whatever is there is complete:
stopped at any moment, the same copy goes on where it was. What the target has is never replaced:
where a cell differs there (another machine trained it), it stays, and what was made from the
source's is left out, which whoever runs the run would take for stale.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter

from lottery_ticket.errors import DamagedError, StoreError, UsageError
from lottery_ticket.store._answers import Finished, IndexedCell
from lottery_ticket.store._label_changes import LABELS, check_change, labelled_run
from lottery_ticket.store._record import CellRecord
from lottery_ticket.store._runs import RunClaim, RunRecord
from lottery_ticket.store._store import Store

__all__ = ["Copied", "CopyPlan", "CopyStep", "copy_runs", "joined_run", "plan_copy"]


@dataclass(frozen=True)
class CopyStep:
    """A cell to copy.

    Args:
        name: the cell's.
        num_bytes: of its files.
    """

    name: str
    num_bytes: int


@dataclass(frozen=True)
class CopyPlan:
    """What a copy would do.

    Args:
        source, target: from where, to where.
        runs: the runs, the oldest first.
        steps: the cells to copy, parents first.
        contents: the cells of these runs that the target has, with what they hold.
        num_present: cells that the target has as they are.
        differing: cells that hold something else in the target.
        unfit: cells that were made from other parents than the target has.
        damaged: what is damaged in the source, in words.
    """

    source: Store
    target: Store
    runs: tuple[RunRecord, ...]
    steps: tuple[CopyStep, ...]
    contents: Mapping[str, str]
    num_present: int
    differing: tuple[str, ...]
    unfit: tuple[str, ...]
    damaged: tuple[str, ...]

    def foreseen(self) -> "Copied":
        """What will have been done, where nothing comes in between."""
        return Copied(
            self.num_present,
            list(self.differing),
            list(self.unfit),
            list(self.damaged),
            [run.id for run in self.runs],
            len(self.steps),
            sum(step.num_bytes for step in self.steps),
        )


@dataclass
class Copied:
    """What a copy did.

    Args:
        runs: the ids of the runs that the target has now.
        num_present: cells that it had as they are.
        num_copied, num_bytes: cells that it got, and how much their files hold.
        differing, unfit, damaged: as of a `CopyPlan`.
        busy: cells that somebody makes in the target now, and what hangs on them.
        notes: what else there is to say.
        seconds: that it took.
    """

    num_present: int
    differing: list[str]
    unfit: list[str]
    damaged: list[str]
    runs: list[str] = field(default_factory=list)
    num_copied: int = 0
    num_bytes: int = 0
    busy: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


# planning


def plan_copy(source: Store, target: Store, references: Sequence[str] = ()) -> CopyPlan:
    """What is to be copied; nothing is written.

    Args:
        source, target: from where, to where.
        references: of the runs: ids, prefixes of them, or `"last"`; without any all runs.

    Raises:
        UsageError: both are one store, or there is no such run.
        StoreError: one of them cannot be read, or a run that was asked for is damaged.
    """
    if _place(source) == _place(target):
        raise UsageError(f"{target.location}: source and target are the same store")
    runs, damaged = _runs(source, references)
    names = set().union(*(run.cells() for run in runs))
    indexed = source.cells(names)
    contents = {name: cell.content for name, cell in target.cells(names).items()}
    is_same = {name for name, cell in indexed.items() if contents.get(name) == cell.content}
    found = _others(source, names - is_same, indexed, damaged)
    fitting, differing, steps = _Fitting(contents), list[str](), list[CopyStep]()
    for name in _parents_first(source, found):
        if name in contents:
            differing.append(name)
        elif fitting.take(found[name].record) is None:
            steps.append(CopyStep(name, found[name].num_bytes))
    told = (tuple(each) for each in (differing, fitting.left, damaged))
    return CopyPlan(source, target, tuple(runs), tuple(steps), contents, len(is_same), *told)


def _place(store: Store) -> str:
    return os.path.realpath(store.absolute().location)  # by whatever links it is reached


def _runs(source: Store, references: Sequence[str]) -> tuple[list[RunRecord], list[str]]:
    """The runs that were asked for, and what is damaged of all."""
    found: dict[str, RunRecord] = {}
    damaged: list[str] = []
    if references:
        found = {run.id: run for run in map(source.run, references)}
    else:
        for run_id in source.run_ids():
            try:
                found[run_id] = source.read_run(run_id)
            except DamagedError as error:
                damaged.append(str(error))
    if not found and not damaged:
        raise UsageError(f"{source.location}: no runs here to copy")
    return sorted(found.values(), key=lambda run: run.created), damaged


@dataclass(frozen=True)
class _Described:
    """A finished cell, and how many bytes its files have."""

    record: CellRecord
    num_bytes: int


def _others(
    source: Store, names: set[str], indexed: Mapping[str, IndexedCell], damaged: list[str]
) -> dict[str, _Described]:
    """Those that are finished; the damaged ones are told of."""
    found: dict[str, _Described] = {}
    for name in sorted(names & source.cell_names()):
        try:
            cell = _described(source, name, indexed.get(name))
        except DamagedError as error:
            damaged.append(str(error))
        else:
            found |= {} if cell is None else {name: cell}
    return found


def _described(source: Store, name: str, known: IndexedCell | None) -> _Described | None:
    """A finished cell; None if it is gone, `DamagedError` if it is damaged."""
    if known is None:  # which the index leaves out where it is damaged
        found = source.finished(name)
        record = None if found is None else found.record
        not_kept = frozenset[str]() if found is None else found.execution.not_kept
    else:
        record, not_kept = source.get(name), known.execution.get("not_kept", ())
    if record is None:
        return None
    sizes = (about["bytes"] for file, about in record.files.items() if file not in not_kept)
    return _Described(record, sum(sizes))


def _parents_first(source: Store, cells: Mapping[str, _Described]) -> Iterator[str]:
    graph = {name: _parents(cell.record).values() for name, cell in cells.items()}
    try:
        yield from (name for name in TopologicalSorter(graph).static_order() if name in cells)
    except CycleError as error:
        raise DamagedError(
            f"{source.location}: damaged: cells that are made from one another: "
            f"{', '.join(error.args[1])}"
        ) from None


def _parents(record: CellRecord) -> Mapping[str, str]:
    """Role → name of the cell that was read."""
    return record.inputs.get("parents", {})


_UNFIT, _BUSY = "unfit", "busy"


class _Fitting:
    """Which cells the target can take: those that were made from what is there.

    Args:
        contents: cell → content, as they are there.
    """

    def __init__(self, contents: Mapping[str, str]) -> None:
        self.contents = dict(contents)
        self.left: dict[str, str] = {}  # what is left out, and why

    def take(self, record: CellRecord) -> str | None:
        """Count a cell as there; or say why it is left out, with all that hangs on it."""
        why = self._why_not(record)
        if why is None:
            self.contents[record.name] = record.content
        else:
            self.left[record.name] = why
        return why

    def _why_not(self, record: CellRecord) -> str | None:
        for role, parent in _parents(record).items():
            if parent in self.left:
                return self.left[parent]
            # one that is not there (it is damaged, say) may be made to the same bytes
            if self.contents.get(parent, record.parents.get(role)) != record.parents.get(role):
                return _UNFIT
        return None


# copying


def copy_runs(plan: CopyPlan, *, watch: Callable[[CopyStep], None] | None = None) -> Copied:
    """Copy what was planned; while it lasts, nobody removes these runs.

    Each cell is read as a whole, against its checksums, before anything of it is written.

    Args:
        plan: of `plan_copy`.
        watch: is told each step that is done.

    Raises:
        StoreError: the target cannot be written, or something not be read.
    """
    started = time.monotonic()
    plan.target.open_for_writing()
    copying = _Copying(plan)
    for run in plan.runs:
        with _in_use(plan, run.id):
            if plan.target.has_run(run.id):  # before cells come that were not seen there
                copying.save(run)
            for step in copying.next_of(run.cells()):
                copying.copy(step)
                if watch is not None:
                    watch(step)
            saved = copying.save(run)
            copying.label(run.id)
            copying.copied.runs.append(saved.id)
            if (said := _said_of_claims(run, saved, plan.source)) is not None:
                copying.copied.notes.append(said)
    plan.target.cells(copying.fitting.contents)  # bring the index up to date
    copying.copied.seconds = time.monotonic() - started
    return copying.copied


@contextlib.contextmanager
def _in_use(plan: CopyPlan, run_id: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(StoreError):  # a source may be read-only
            stack.enter_context(plan.source.in_use(run_id))
        stack.enter_context(plan.target.in_use(run_id))
        yield


class _Copying:
    """A copy on its way."""

    def __init__(self, plan: CopyPlan) -> None:
        self.plan = plan
        self.waiting = {step.name: step for step in plan.steps}
        self.fitting = _Fitting(plan.contents)
        self.fitting.left |= dict.fromkeys(plan.unfit, _UNFIT)
        self.copied = Copied(
            plan.num_present, list(plan.differing), list(plan.unfit), list(plan.damaged)
        )
        there = set(plan.target.board.names(LABELS))
        self.changes = [n for n in plan.source.board.names(LABELS) if n not in there]

    def next_of(self, names: Iterable[str]) -> Iterator[CopyStep]:
        """Those of some cells that are still to be copied, parents first."""
        wanted = self.waiting.keys() & names
        for name in [name for name in self.waiting if name in wanted]:
            yield self.waiting.pop(name)

    def copy(self, step: CopyStep) -> None:
        """Copy a cell, unless it is damaged, or something in the target is in its way."""
        source = self.plan.source
        try:
            found = source.finished(step.name)
            if found is None:
                raise DamagedError(f"{source.location}: cell {step.name} was removed meanwhile")
            files = {name: source.read(found.record, name) for name in sorted(found.kept)}
        except DamagedError as error:
            self.copied.damaged.append(str(error))
            return
        why_not = self.fitting.take(found.record)
        if why_not is None:
            self._hand_over(found, files)
        else:
            self._leave(step.name, why_not)

    def _leave(self, name: str, why: str) -> None:
        self.fitting.left[name] = why
        (self.copied.busy if why == _BUSY else self.copied.unfit).append(name)

    def _hand_over(self, found: Finished, files: Mapping[str, bytes]) -> None:
        target, name = self.plan.target, found.record.name
        claim = target.claim(name)
        if claim is None:
            self._leave(name, _BUSY)
            return
        try:
            there = _whole(target, name)
            if there is not None:
                claim.clear()
            elif target.commit(claim, found.record, files, found.execution.values):
                self.copied.num_copied += 1
                self.copied.num_bytes += sum(map(len, files.values()))
                return
        except BaseException:
            claim.release()
            raise
        self._compare(found, there or target.finished(name))

    def _compare(self, found: Finished, there: Finished | None) -> None:
        """Somebody else was first."""
        name = found.record.name
        if there is None:  # and it was removed since
            self._leave(name, _BUSY)
        elif there.record.content == found.record.content:
            self.copied.num_present += 1
        else:
            self.fitting.contents[name] = there.record.content
            self.copied.differing.append(name)

    def save(self, run: RunRecord) -> RunRecord:
        """Write the run's record, joined with the one that is there."""
        target = self.plan.target
        earlier = target.earlier_run(run.id)
        seen = {row.cell for row in run.rows if row.level} & self.plan.contents.keys()
        joined = joined_run(earlier, run, len(seen))
        return joined if joined == earlier else target.save_run(joined, earlier)

    def label(self, run_id: str) -> None:
        """Hand over what was changed of the run's name, tags and notes."""
        source, target = self.plan.source, self.plan.target
        for change in self.changes:
            data = source.board.get(LABELS, change) if labelled_run(change) == run_id else None
            if data is None:
                continue
            try:
                check_change(source.location, change, data)
            except DamagedError as error:
                self.copied.damaged.append(str(error))
            else:
                target.board.put(LABELS, change, data)


def _whole(target: Store, name: str) -> Finished | None:
    """A cell of the target that is finished by now; one that is damaged makes room."""
    try:
        return target.finished(name)
    except DamagedError:
        target.discard(name)
        return None


# the run's record


def joined_run(ours: RunRecord | None, theirs: RunRecord, num_seen: int) -> RunRecord:
    """One record of what two stores know of a run.

    What ours states stays; measurements are those of both. Searches go on in one store: the record
    that has all of the other's is taken.

    A claim that ours does not make is taken over, with the trainings that could be seen here when
    it was made there.

    Args:
        ours: the record here; None if there is none.
        theirs: the record that comes.
        num_seen: trainings of the run below dense that were finished here.
    """
    if ours is None:
        return theirs
    is_longer = set(ours.rows) < set(theirs.rows) and set(ours.searches) <= set(theirs.searches)
    is_longer &= ours.spec.get("until_decided") == theirs.spec.get("until_decided")
    base, other = (theirs, ours) if is_longer else (ours, theirs)
    shown = {row.cell for row in base.rows} | {row.mask for row in base.rows}
    probes = {probe.cell: probe for run in (other, base) for probe in run.probes}
    return replace(
        base,
        created=ours.created,
        others=tuple(sorted((set(base.others) | set(other.others)) - shown)),
        probes=(*base.probes, *(p for p in probes.values() if p not in base.probes)),
        claim=_joined_claim(ours, theirs, num_seen),
    )


def _joined_claim(ours: RunRecord, theirs: RunRecord, num_seen: int) -> RunClaim | None:
    if ours.claim is not None or theirs.claim is None:
        return ours.claim
    return replace(theirs.claim, num_trained=max(theirs.claim.num_trained, num_seen))


def _said_of_claims(run: RunRecord, saved: RunRecord, source: Store) -> str | None:
    """What there is to say where the two stores state different claims."""
    ours, theirs = saved.claim, run.claim
    if ours is None or theirs is None or ours == theirs:
        return None
    if ours.level != theirs.level:
        said = f"level {ours.level} here and {theirs.level} in {source.location}"
    else:
        counts = f"{ours.num_trained} trainings here, {theirs.num_trained} in {source.location}"
        said = f"level {ours.level}, stated after {counts}"
    return f"{run.id} claims {said}; what is stated here stays"
