"""Nothing is removed on what could not be read, and nothing is taken for missing that was not."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator

import pytest
from small_cells import cell_folder, commit, everything, name_of, run_of

from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.store import LocalStore, Store

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="wants to become another user"
)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared(store, tmp_path):
    """Cells 0 … 3, of which two runs have the first three; anyone may write."""
    for number in range(4):
        commit(store, number)
    store.save_run(run_of([0, 1], "one-11111111"))
    store.save_run(run_of([1, 2], "two-22222222"))
    open_to_all(store)
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    return store


def open_to_all(store):
    for path in (store.root, *store.root.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


PLACES = {
    "runs": "runs", "a run": "runs/one-11111111.json", "cells": "cells", "work": "work",
    "a shard": f"cells/{name_of(0)[:2]}",
}  # fmt: skip


def check_nothing_goes(store: Store, place: str) -> None:
    """The law: nothing is removed before all that speaks for a cell was read."""
    run = store.read_run("two-22222222")
    before = everything(store.root)
    (store.root / place).chmod(0)
    with as_nobody():
        for remove in (
            store.collect_garbage,
            lambda: store.collect_garbage(dry_run=True),
            lambda: store.remove_run(run),
        ):
            if remove is not store.collect_garbage and place.startswith("cells"):
                continue  # a run's cells are named by its record alone
            with pytest.raises(StoreError, match=r"Permission denied") as error:
                remove()
            assert place in str(error.value)
    (store.root / place).chmod(0o777)
    assert everything(store.root) == before


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_nothing_is_removed_on_what_cannot_be_read(place, shared):
    check_nothing_goes(shared, place)


@pytest.fixture
def swallowing(monkeypatch):
    """A folder that cannot be read passes for an empty one."""
    scandir = os.scandir

    def swallows(folder):
        try:
            return scandir(folder)
        except OSError:
            return contextlib.nullcontext(())

    monkeypatch.setattr(os, "scandir", swallows)


def test_a_scan_that_swallows_errors_is_caught(shared, swallowing):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_nothing_goes(shared, "runs")


def test_a_cell_that_cannot_be_looked_into_keeps_all_others(shared):
    shared.save_run(run_of([0], "one-11111111"))  # 1 is still two's; 3 is nobody's
    commit(shared, 4)
    open_to_all(shared)
    before = shared.cell_names()
    cell_folder(shared, name_of(4)).chmod(0)
    with as_nobody(), pytest.raises(StoreError, match=f"{name_of(4)}: cannot be read"):
        shared.collect_garbage()
    assert shared.cell_names() == before
    cell_folder(shared, name_of(4)).chmod(0o777)
    with as_nobody():
        assert shared.collect_garbage().num_cells == 2


def test_what_cannot_be_read_is_not_what_is_not_there(shared):
    (shared.root / "runs").chmod(0)
    with as_nobody():
        for look in (shared.runs, lambda: shared.run("last"), shared.run_ids):
            with pytest.raises(StoreError, match="runs: cannot be read"):
                look()
    (shared.root / "runs").chmod(0o777)
    for file_name in ("record.json", "execution.json"):
        path = cell_folder(shared, name_of(0)) / file_name
        path.chmod(0)
        (shared.root / "index.sqlite").unlink(missing_ok=True)
        with as_nobody():
            for look in (lambda: shared.checked(name_of(0)), shared.cells):
                with pytest.raises(StoreError, match=file_name.replace(".", r"\.")) as error:
                    look()
                assert not isinstance(error.value, DamagedError)
        path.chmod(0o666)


@pytest.mark.parametrize(
    "use", [Store.runs, LocalStore.collect_garbage, LocalStore.open_for_writing]
)
def test_a_folder_of_runs_that_is_gone_is_not_one_without_runs(use, shared):
    shutil.rmtree(shared.root / "runs")
    before = everything(shared.root)
    with pytest.raises(StoreError, match=r"runs: missing.*lottery doctor --repair"):
        use(shared)
    assert everything(shared.root) == before


def test_a_store_that_has_just_begun_may_lack_its_folders(store):
    shutil.rmtree(store.root / "runs")
    assert store.runs() == []
    assert store.collect_garbage().num_cells == 0
    store.open_for_writing()
    assert (store.root / "runs").is_dir()


def test_garbage_that_is_damaged_goes_all_the_same(shared):
    (cell_folder(shared, name_of(3)) / "record.json").write_bytes(b"{")
    assert shared.collect_garbage().num_cells == 1
    assert shared.cell_names() == {name_of(n) for n in range(3)}


def test_what_a_finished_cell_left_of_its_making_is_freed(shared):
    for number in (0, 2):
        work = shared.work_folder(name_of(number))
        work.mkdir()
        (work / "checkpoint").write_bytes(b"x" * 1000)
    (cell_folder(shared, name_of(2)) / "record.json").write_bytes(b"{")  # to be made anew
    left = shared.root / "work" / f"unread-{name_of(0)}-1a2b"
    left.write_bytes(b"y" * 100)
    would = shared.collect_garbage(dry_run=True)
    freed = shared.collect_garbage()
    assert freed == would
    assert freed.num_cells == 1
    assert freed.num_bytes > 1100
    assert shared.work_names() == {name_of(2)}
    assert not left.exists()


def test_a_size_that_swallows_errors_is_caught(shared, swallowing):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test_a_cell_that_cannot_be_looked_into_keeps_all_others(shared)


def test_notes_that_cannot_be_read_are_no_missing_notes(shared):
    shared.board.put("stop", "one-11111111", b"")
    open_to_all(shared)
    (shared.root / "board" / "stop").chmod(0)
    with as_nobody():
        for look in (lambda: shared.board.get("stop", "none"), lambda: shared.board.names("stop")):
            with pytest.raises(StoreError, match=r"board/stop.* cannot be read"):
                look()
    (shared.root / "board" / "stop").chmod(0o777)
    assert shared.board.get("stop", "none") is None
    assert shared.board.get("stop", "one-11111111") == b""


def test_whose_locks_may_not_be_tried_seems_to_be_at_work(shared):
    """Somebody else's store can be looked at, and is left as it is."""
    name = name_of(7)
    shared.claim(name).release()
    assert shared.claimed_names() == set()
    for path in (shared.root, *shared.root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with as_nobody():
        assert shared.claimed_names() == {name}
    (shared.root / "work" / name / "claim.lock").unlink()
    assert shared.claimed_names() == set()
    assert list((shared.root / "work" / name).iterdir()) == []


def test_a_look_at_who_is_at_work_makes_nothing(shared, monkeypatch):
    """A cell's folder is cleared while one looks: it is not brought back."""
    claim, opened = shared.claim(name_of(7)), os.open

    def cleared(path, *arguments, **options):
        if os.fspath(path).endswith("claim.lock"):
            claim.clear()
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", cleared)
    assert shared.claimed_names() == set()
    assert list((shared.root / "work").iterdir()) == []


@pytest.mark.parametrize("code", [errno.ESTALE, errno.EIO])
def test_what_a_file_system_refuses_is_said(code, shared, monkeypatch):
    claim, stat, opened = shared.claim(name_of(7)), os.stat, os.open

    def refuses(call):
        def refusing(path, *arguments, **options):
            if "board" in str(path) or "claim.lock" in str(path):
                raise OSError(code, os.strerror(code), str(path))
            return call(path, *arguments, **options)

        return refusing

    monkeypatch.setattr(os, "open", refuses(opened))
    monkeypatch.setattr(os, "stat", refuses(stat))
    for look in (lambda: shared.board.get("stop", "a"), shared.claimed_names):
        with pytest.raises(StoreError, match=os.strerror(code)):
            look()
    monkeypatch.undo()
    claim.clear()
