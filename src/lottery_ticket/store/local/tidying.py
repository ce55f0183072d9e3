"""Freeing space: what belongs to no run goes, once everything that could say so has been read."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lottery_ticket.errors import DamagedError, StoreError, UsageError
from lottery_ticket.store._answers import Freed
from lottery_ticket.store._files import reading, remove, size_of, store_errors
from lottery_ticket.store._label_changes import forget_damaged
from lottery_ticket.store._notes import forget_notes, notes_of_cells, notes_of_runs
from lottery_ticket.store._runs import RunRecord
from lottery_ticket.store.local.in_use import Claims, removing, runs_in_use
from lottery_ticket.store.local.paths import Paths

if TYPE_CHECKING:
    from lottery_ticket.store.local.store import LocalStore

__all__ = ["collect_garbage", "remove_run"]


def remove_run(
    store: "LocalStore", paths: Paths, claims: Claims, run: RunRecord, *, dry_run: bool
) -> Freed:
    """`LocalStore.remove_run`."""
    with _removing(paths, claims, dry_run):
        claims.settle(map(paths.work, run.cells() & paths.work_names()), paths.run_locks())
        if not dry_run:
            _check_idle(store, paths, claims, run)
        others = [store.read_run(other) for other in store.run_ids() if other != run.id]
        names = run.cells() - _needed(others)
        freed = _remove(store, paths, names, dry_run)
        if not dry_run:
            forget_notes(store.board, [run.id], names)
            with store_errors(paths.root):
                paths.run(run.id).unlink()
        return freed


def _check_idle(store: "LocalStore", paths: Paths, claims: Claims, run: RunRecord) -> None:
    is_in_use = run.id in runs_in_use(paths, claims)
    for name in run.cells() & paths.work_names():
        with _idle(store, name, dry_run=False) as is_idle:
            is_in_use = is_in_use or not is_idle
    if is_in_use:
        raise UsageError(f"{run.id} is being run; stop it first")


def collect_garbage(store: "LocalStore", paths: Paths, claims: Claims, *, dry_run: bool) -> Freed:
    """`LocalStore.collect_garbage`."""
    with _removing(paths, claims, dry_run):
        claims.settle(map(paths.work, paths.work_names()), paths.run_locks())
        # cells first: one that is made meanwhile belongs to a run that was saved before
        cells, work = store.cell_names(), store.work_names()
        noted = notes_of_runs(store.board), notes_of_cells(store.board)
        runs = store.runs()
        if not dry_run and (lost := runs_in_use(paths, claims) - {run.id for run in runs}):
            raise StoreError(
                f"{paths.run(min(lost))}: missing, while it is being run; try again when it ended"
            )
        needed = _needed(runs)
        spent = [name for name in sorted(cells & work & needed) if _is_whole(store, name)]
        freed = _remove(store, paths, (cells | work) - needed, dry_run)
        more = sum(_free(paths.root, path, dry_run) for path in paths.left_over())
        for name in spent:
            with _idle(store, name, dry_run) as is_idle:
                more += _free(paths.root, paths.work(name), dry_run) if is_idle else 0
        if not dry_run:
            forget_notes(store.board, noted[0] - {run.id for run in runs}, noted[1] - needed)
            forget_damaged(store.board, store.location)
        return Freed(freed.num_cells, freed.num_bytes + more)


@contextlib.contextmanager
def _removing(paths: Paths, claims: Claims, dry_run: bool) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        if not dry_run:  # a read-only store can be asked, too
            with store_errors(paths.root):
                stack.enter_context(removing(paths, claims))
        stack.enter_context(reading(paths.root))
        yield


def _needed(runs: Iterable[RunRecord]) -> set[str]:
    return set().union(*(run.cells() for run in runs))


def _is_whole(store: "LocalStore", name: str) -> bool:
    try:
        return store.get(name) is not None
    except DamagedError:
        return False  # it will be made anew, perhaps from its checkpoint


def _remove(store: "LocalStore", paths: Paths, names: set[str], dry_run: bool) -> Freed:
    places = {name: (paths.cell(name), paths.work(name)) for name in sorted(names)}
    # all are looked at before any goes: one that cannot be read may be more than it seems
    sizes = {name: sum(map(size_of, both)) for name, both in places.items()}
    num_cells = num_bytes = 0
    for name, (cell, work) in places.items():
        with _idle(store, name, dry_run) as is_idle:
            if not is_idle:
                continue  # someone is working on it
            num_cells += os.path.lexists(cell)
            num_bytes += sizes[name]
            if not dry_run:
                store.discard(name)
                _free(paths.root, work, dry_run)
    return Freed(num_cells, num_bytes)


def _free(root: Path, path: Path, dry_run: bool) -> int:
    """Remove it, and say how many bytes it has."""
    num_bytes = size_of(path)
    if not dry_run:
        with store_errors(root):
            remove(path)
    return num_bytes


@contextlib.contextmanager
def _idle(store: "LocalStore", name: str, dry_run: bool) -> Iterator[bool]:
    """Whether nobody works on a cell; and while it lasts, nobody begins to."""
    had_work = store.work_folder(name).exists()
    if dry_run and not had_work:
        yield True
        return
    try:
        claim = store.claim(name)
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
