"""A disk that fills while a cell checkpoints."""

import contextlib
import os
import shutil
import subprocess
import sys

import pytest
import wrong_engines as wrong
from each_step import look_at_each_step
from tiny_runs import digests

from lottery_ticket import files
from lottery_ticket.cli import main
from lottery_ticket.store import LockClaim, Store

KiB, MiB = 1 << 10, 1 << 20
COMMAND = (
    "run", "quickstart", "--jobs", "1", "--threads", "1", "--quiet", "--set", "replicates=1",
    "--set", "prune.levels=1", "--set", "train.duration=2ep", "--set", "model.hidden=[60, 40]",
)  # fmt: skip


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    try:
        is_mounted = not subprocess.run(mount, capture_output=True, check=False).returncode
    except FileNotFoundError:
        is_mounted = False
    if not is_mounted:
        pytest.skip("may not mount a disk here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.fixture
def run(monkeypatch, capsys):
    """`lottery run` into a store; returns its exit code and what it said."""

    def call(store):
        monkeypatch.setattr(sys, "argv", ["lottery", *COMMAND, "--store", str(store)])
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


def fill(disk):
    """Leave room for the record of a run, but not for a checkpoint."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError):
        ballast.write_bytes(bytes(2 * MiB))
    os.truncate(ballast, ballast.stat().st_size - 16 * KiB)


def fill_at_step_10(disk):
    """Someone else fills the disk when the first cell of level 1 has trained 10 steps.

    Returns the steps as they are trained, as (level, cell, step).
    """
    steps = []

    def look(cell, step):
        steps.append((cell.label.level, cell.name, step))
        if [step[::2] for step in steps].count((1, 10)) == 1 and steps[-1][::2] == (1, 10):
            fill(disk)

    look_at_each_step(look)
    return steps


def check_a_disk_that_fills(run, disk):
    """It is said what to do, nothing finished is lost, and afterwards it goes on where it was."""
    assert run(disk.with_name("undisturbed"))[0] == 0
    steps = fill_at_step_10(disk)
    store = Store(disk / "store")
    code, said = run(store.root)
    assert code == 1
    assert "level 1, replicate 0: " in said
    assert "no space left" in said
    assert "run the same command again" in said
    assert "raceback" not in said
    assert store.cell_names() >= {name for level, name, _ in steps if level == 0}
    assert all(store.check(name) for name in store.cell_names())

    (disk / "ballast").unlink()
    before, first = digests(store.root), list(steps)
    assert run(store.root)[0] == 0
    assert before.items() <= digests(store.root).items()
    assert digests(store.root) == digests(disk.with_name("undisturbed"))
    hit = next(name for level, name, step in first if (level, step) == (1, 10))
    assert next((step for _, name, step in steps[len(first) :] if name == hit), None) == 10


def test_a_disk_that_fills_while_a_cell_checkpoints(run, small_disk, own_kinds):
    check_a_disk_that_fills(run, small_disk)


def hides_what_the_disk_says(monkeypatch):
    def hidden(train, *arguments):
        try:
            return train(*arguments)
        except OSError as error:
            raise RuntimeError(error) from error

    wrong.trains_by(hidden)


def writes_checkpoints_in_place(monkeypatch):
    monkeypatch.setattr(files, "aside_of", lambda path: path)


def discards_what_it_was_at(monkeypatch):
    release = LockClaim.release

    def clears(claim):
        shutil.rmtree(claim.folder)
        release(claim)

    monkeypatch.setattr(LockClaim, "release", clears)


@pytest.mark.parametrize(
    "engine", [hides_what_the_disk_says, writes_checkpoints_in_place, discards_what_it_was_at]
)
def test_engines_that_a_full_disk_breaks_are_caught(
    engine, run, small_disk, monkeypatch, own_kinds
):
    engine(monkeypatch)
    with pytest.raises(AssertionError):
        check_a_disk_that_fills(run, small_disk)
