"""Freeing space: what belongs to no run goes, once everything that could say so has been read.

Others may be at work meanwhile. What a claim has written is listed before the claims are, and these
before the cells. So of everything that was listed either the claim is seen, or it had ended before,
and then the cell that it made is seen. What nobody seems to own is left alone for an hour all the
same: it may be of somebody who was taken for dead.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from lottery_ticket.errors import DamagedError, StoreError, UsageError
from lottery_ticket.store._answers import Freed
from lottery_ticket.store._label_changes import forget_damaged
from lottery_ticket.store._lease import Lease
from lottery_ticket.store._notes import forget_notes, notes_of_cells, notes_of_runs
from lottery_ticket.store._runs import RunRecord
from lottery_ticket.store.remote import keys
from lottery_ticket.store.remote.bucket import Bucket, Listed
from lottery_ticket.store.remote.envelope import Envelope
from lottery_ticket.store.remote.in_use import removing, runs_in_use
from lottery_ticket.store.remote.leases import BucketSpot
from lottery_ticket.store.remote.place import Place

if TYPE_CHECKING:
    from lottery_ticket.store.remote.store import ObjectStore

__all__ = ["collect_garbage", "remove_run"]

_YOUNG_SECONDS = 3600.0
_DEAD_SECONDS = 86400.0  # the longest length of a lease


def remove_run(store: "ObjectStore", place: Place, run: RunRecord, *, dry_run: bool) -> Freed:
    """`ObjectStore.remove_run`."""
    with _removing(place, dry_run):
        if not dry_run:
            _check_idle(place, run)
        others = [store.read_run(other) for other in store.run_ids() if other != run.id]
        seen = _Seen(place)
        names = run.cells() - _needed(others)
        doomed = _Doomed()
        doomed.cells(seen, names)
        for name in names & seen.leases.keys():
            doomed.lease(seen, name)
        if not dry_run:
            forget_notes(store.board, [run.id], names)
            doomed.remove(place)
            place.bucket.remove([keys.run(run.id)])
        return doomed.freed


def _check_idle(place: Place, run: RunRecord) -> None:
    others = {keys.run_of_use(key) for key in place.leases.under(keys.USES)} - {run.id}
    is_in_use = run.id in runs_in_use(place, but=others)
    if is_in_use or place.leases.living(keys.CLAIMS, lambda k: keys.last_of(k) in run.cells()):
        raise UsageError(f"{run.id} is being run; stop it first")


def collect_garbage(store: "ObjectStore", place: Place, *, dry_run: bool) -> Freed:
    """`ObjectStore.collect_garbage`."""
    with _removing(place, dry_run) as now:
        seen = _Seen(place)
        noted = notes_of_runs(store.board), notes_of_cells(store.board)
        runs = store.runs()  # after the cells: one made meanwhile is of a run saved before
        if not dry_run and (lost := runs_in_use(place, but={run.id for run in runs})):
            raise StoreError(
                f"{place.bucket.location}/{keys.run(min(lost))}: missing, while it is being run; "
                "try again when it ended"
            )
        needed = _needed(runs)
        living = _living(place, seen, dry_run)
        doomed = _Doomed()
        doomed.cells(seen, seen.cells.keys() - needed - living)
        for name in seen.leases.keys() - living:
            if name not in needed or seen.is_whole(name):
                doomed.lease(seen, name)
        doomed.ownerless(seen, now)
        doomed.of_the_dead(place, now)
        doomed.packs(seen, place)
        if not dry_run:
            doomed.remove(place)
            forget_notes(store.board, noted[0] - {run.id for run in runs}, noted[1] - needed)
            forget_damaged(store.board, store.location)
        return doomed.freed


@contextlib.contextmanager
def _removing(place: Place, dry_run: bool) -> Iterator[float]:
    """A block that keeps others from beginning a run, but for a dry one, which a store that cannot
    be written can be asked for, too; gives the time by the server's clock."""
    if dry_run:
        yield max((one.modified for one in place.bucket.list("")), default=0.0)
        return
    with removing(place) as now:
        yield now


def _needed(runs: Iterable[RunRecord]) -> set[str]:
    return set().union(*(run.cells() for run in runs))


def _living(place: Place, seen: "_Seen", dry_run: bool) -> set[str]:
    """The names of the cells that somebody is at work on."""
    if dry_run:  # who is dead shows only by watching
        return {name for name, (lease, _) in seen.leases.items() if not lease.is_released}
    return {keys.last_of(key) for key in place.leases.living(keys.CLAIMS, lambda key: True)}


class _Seen:
    """What there is, looked at in the order that makes it safe."""

    def __init__(self, place: Place) -> None:
        self.files = _by_token(place.bucket, keys.FILES)
        self.work = _by_token(place.bucket, keys.WORK)
        leases = place.leases.under(keys.CLAIMS)
        self.leases = {keys.last_of(key): held for key, held in leases.items()}
        self.cells = {keys.last_of(one.key): one for one in place.bucket.list(keys.CELLS)}
        self.envelopes: dict[str, Envelope] = {
            name: found
            for name, found in place.records.survey(self.cells)
            if not isinstance(found, DamagedError)
        }
        self.probes = list(place.bucket.list(keys.PROBES))

    def is_whole(self, name: str) -> bool:
        """Whether a cell is finished, and its record as it was written."""
        return name in self.envelopes


def _by_token(bucket: Bucket, folder: str) -> dict[str, list[Listed]]:
    listed = bucket.list(folder)
    return {
        token: list(ones) for token, ones in groupby(listed, lambda one: keys.token_of(one.key))
    }


def _tokens(lease: Lease) -> tuple[str, ...]:
    return (lease.token, *lease.before)


@dataclass
class _Doomed:
    """What is to go: records first, so that none is left whose files are not there."""

    records: dict[str, int] = field(default_factory=dict)  # key → bytes
    others: dict[str, int] = field(default_factory=dict)
    leases: dict[str, str] = field(default_factory=dict)  # key → tag

    @property
    def freed(self) -> Freed:
        """How much that is; leases count nothing."""
        num_bytes = sum(self.records.values()) + sum(self.others.values())
        return Freed(len(self.records), num_bytes)

    def cells(self, seen: _Seen, names: Iterable[str]) -> None:
        """Cells with their files."""
        for name in sorted(set(names) & seen.cells.keys()):
            self.records[seen.cells[name].key] = seen.cells[name].num_bytes
            if name in seen.envelopes:
                self._add(seen.files.get(seen.envelopes[name].token, ()))

    def lease(self, seen: _Seen, name: str) -> None:
        """The lease of a cell, with what its claims have left."""
        lease, tag = seen.leases[name]
        self.leases[keys.claim(name)] = tag
        kept = seen.envelopes[name].token if name in seen.envelopes else None
        for token in _tokens(lease):
            self._add(seen.work.get(token, ()))
            if token != kept:
                self._add(seen.files.get(token, ()))

    def ownerless(self, seen: _Seen, now: float) -> None:
        """What no cell and no lease names, if it is old."""
        going = {keys.last_of(key) for key in self.records}
        kept_files = {e.token for name, e in seen.envelopes.items() if name not in going}
        named = {token for lease, _ in seen.leases.values() for token in _tokens(lease)}
        files = [ones for token, ones in seen.files.items() if token not in kept_files | named]
        work = [ones for token, ones in seen.work.items() if token not in named]
        for ones in (*files, *work, seen.probes):
            if max((one.modified for one in ones), default=now) < now - _YOUNG_SECONDS:
                self._add(ones)

    def of_the_dead(self, place: Place, now: float) -> None:
        """Who was killed while it ran or removed something: that is not beaten any more."""
        for one in (*place.bucket.list(keys.USES), *place.bucket.list(keys.REMOVALS)):
            if one.modified < now - _DEAD_SECONDS:
                self.leases[one.key] = one.tag

    def packs(self, seen: _Seen, place: Place) -> None:
        """Packs of what is gone, or will be."""
        cells = seen.cells.items()
        tags = {name: one.tag for name, one in cells if one.key not in self.records}
        self.others |= place.records.spent_packs(tags)

    def remove(self, place: Place) -> None:
        """Remove it all; raises `StoreError` where something cannot be."""
        place.bucket.remove(self.records)
        for key in self.records:
            place.records.forget(keys.last_of(key))
        place.bucket.remove(self.others)
        for key, tag in self.leases.items():
            BucketSpot(place.bucket, key).remove(tag)

    def _add(self, listed: Iterable[Listed]) -> None:
        self.others |= {one.key: one.num_bytes for one in listed}
