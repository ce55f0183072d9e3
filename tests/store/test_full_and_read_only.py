"""A disk that is full, and one that cannot be written."""

import contextlib
import itertools
import os
import subprocess
import sys

import pytest
from small_cells import WEIGHTS, cell_folder, commit, name_of, record_of, run_of

from lottery_ticket.cli import main
from lottery_ticket.errors import StoreError
from lottery_ticket.store import Store, table_rows
from lottery_ticket.store.local import tidying as _tidying

MiB = 1 << 20


def mount(*arguments: object) -> bool:
    try:
        done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB and a few hundred files."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=1m,nr_inodes=300", "tmpfs", disk):
        pytest.skip("may not mount a disk here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_loses_nothing(small_disk):
    store = Store(small_disk / "store")
    store.open_for_writing()
    commit(store, 1)
    (small_disk / "ballast").write_bytes(bytes(MiB // 2))
    claim = store.claim(name_of(2))
    files = {WEIGHTS: bytes(700_000)}
    record = record_of(name_of(2), files)
    with pytest.raises(StoreError, match="no space left") as error:
        store.commit(claim, record, files, {})
    for remedy in ("lottery gc", "lottery rm", "run the same command again"):
        assert remedy in str(error.value)
    assert store.get(name_of(2)) is None
    assert not cell_folder(store, name_of(2)).exists()
    assert store.check(name_of(1)) is not None
    assert set(store.cells()) == {name_of(1)}

    (small_disk / "ballast").unlink()
    store.commit(claim, record, files, {})
    assert store.check(name_of(2)) == record


def test_a_full_disk_is_still_listed(small_disk):
    store = Store(small_disk / "store")
    store.open_for_writing()
    commit(store, 1)
    store.save_run(run_of([1]))
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(bytes(2 * MiB))
    assert [row["level"] for row in table_rows(store, store.run("last"))] == [0]
    with pytest.raises(StoreError, match="no space left"):
        Store(small_disk / "new").open_for_writing()


def fill(disk):
    """No byte and no file more."""
    with contextlib.suppress(OSError):
        (disk / "ballast").write_bytes(bytes(2 * MiB))
    with contextlib.suppress(OSError):
        for number in itertools.count():
            (disk / f"ballast-{number}").touch()


def check_removes_from_a_full_disk(disk, monkeypatch):
    """`lottery rm` is how space is made, so it needs none."""
    store = Store(disk / "store")
    store.open_for_writing()
    for number in range(3):
        commit(store, number, bytes(1000))
    store.save_run(run_of([0, 1]))
    fill(disk)
    with pytest.raises(StoreError, match="no space left"):
        store.claim(name_of(3))
    monkeypatch.setattr(sys, "argv", ["lottery", "rm", "last", "--yes", "--store", str(store.root)])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert (store.runs(), store.cell_names()) == ([], {name_of(2)})
    assert list((store.root / "work").iterdir()) == []
    commit(store, 3, bytes(1000))


def test_a_run_is_removed_from_a_full_disk(small_disk, monkeypatch, capsys):
    check_removes_from_a_full_disk(small_disk, monkeypatch)
    assert "2 cells" in capsys.readouterr().out


@contextlib.contextmanager
def wants_a_claim(store, name, dry_run):
    claim = store.claim(name)
    try:
        yield claim is not None
    finally:
        if claim is not None:
            claim.clear()


def test_a_removal_that_needs_space_is_caught(small_disk, monkeypatch):
    monkeypatch.setattr(_tidying, "_idle", wants_a_claim)
    with pytest.raises(AssertionError):
        check_removes_from_a_full_disk(small_disk, monkeypatch)


def test_a_read_only_store_is_read_and_refuses_work_before_any(small_disk):
    store = Store(small_disk / "store")
    store.open_for_writing()
    commit(store, 1)
    commit(store, 2)
    store.save_run(run_of([1]))
    assert mount("-o", "remount,ro", small_disk)
    store = Store(store.root)
    for write in (
        store.open_for_writing,
        lambda: store.claim(name_of(3)),
        lambda: store.save_run(run_of([1])),
        lambda: store.discard(name_of(1)),
        lambda: store.remove_run(run_of([1])),
    ):
        with pytest.raises(StoreError, match="the store cannot be written") as error:
            write()
        assert "--store or LOTTERY_STORE" in str(error.value)
    assert store.check(name_of(1)) is not None
    assert set(store.cells()) == {name_of(1), name_of(2)}
    assert len(table_rows(store, store.run("last"))) == 1
    assert store.collect_garbage(dry_run=True).num_cells == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="the store cannot be written"):
        Store(tmp_path / "store").open_for_writing()
    tmp_path.chmod(0o700)
