"""Leases across real processes: who dies is found out, and who only slept does no harm."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lease_process import NAME
from small_cells import WEIGHTS, commit, record_of, run_of

from lottery_ticket.errors import StoreError, UsageError
from lottery_ticket.store import Store
from lottery_ticket.store._lease import Watcher
from lottery_ticket.store.local.leases import FileSpot

HERE = Path(__file__).parent
SECONDS = 0.6
PATIENCE_SECONDS = 60.0


def until(look: Callable[[], object]):
    """What a look finds at last."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (found := look()) in (None, False):
        assert time.monotonic() < end, "it hangs"
        time.sleep(0.01)
    return found


class Running:
    """A process that does what it is told."""

    def __init__(self, root: Path, wrong: str, seconds: float) -> None:
        environ = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
            "LOTTERY_LEASE_SECONDS": str(seconds),
        }
        command = [sys.executable, str(HERE / "lease_process.py"), str(root), wrong]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environ)

    def told(self, what: str) -> str:
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def sleep(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setenv("LOTTERY_LEASE_SECONDS", str(SECONDS))
    opened = Store(tmp_path / "store", claims="lease")
    opened.open_for_writing()
    return opened


@pytest.fixture
def start(store):
    started = []

    def start(wrong: str = "right", seconds: float = SECONDS) -> Running:
        started.append(Running(store.root, wrong, seconds))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def check_the_dead_are_found_out(store, start, wrong="right") -> None:
    """A killed process holds its claim for the length of its lease, and its work is there."""
    holder = start(wrong)
    assert holder.told("take") == "True"
    assert holder.told("write") == "True"
    holder.kill()
    looked = time.monotonic()
    assert store.claim(NAME) is None
    assert store.claimed_names() == {NAME}
    claim = until(lambda: store.claim(NAME))
    assert time.monotonic() - looked >= SECONDS
    assert claim.num_losses == 1
    assert claim.desk.read("checkpoint", 100) == b"so far"
    claim.clear()
    assert store.work_names() == set()


def test_who_was_killed_is_found_out_after_its_lease_and_not_before(store, start):
    check_the_dead_are_found_out(store, start)


def test_who_has_been_silent_is_told_at_the_first_look(store):
    claim = store.claim(NAME)
    spot = store.work_folder(NAME) / "lease.1"
    assert store.silent_seconds() == {}
    claim._is_over = True  # its process stands still
    os.utime(spot, (time.time() - 3 * 3600,) * 2)
    assert store.silent_seconds()[NAME] == pytest.approx(3 * 3600 - 300, abs=60)
    other = Store(store.root).claim("b" * 64)  # who lives tells what the time is
    assert store.silent_seconds() == {NAME: pytest.approx(3 * 3600, abs=60)}
    other.clear()


def test_who_takes_the_living_for_dead_is_caught(store, start, monkeypatch):
    monkeypatch.setattr(Watcher, "is_expired", lambda watcher, name, stamp, seconds: True)
    with pytest.raises(AssertionError):
        check_the_dead_are_found_out(store, start)


def check_the_living_hold(store, start, wrong="right") -> None:
    """As long as a process lives and is not stopped, nobody takes its claim."""
    holder = start(wrong, seconds=2.0)
    assert holder.told("take") == "True"
    spot = FileSpot(store.work_folder(NAME))
    end = time.monotonic() + 5.0
    while spot.look()[0].beat < 10 and time.monotonic() < end:
        assert store.claim(NAME) is None
        time.sleep(0.02)
    assert spot.look()[0].beat >= 10
    assert holder.told("is_lost") == "False"
    assert holder.told("commit") == "True"
    assert store.work_names() == set()


def test_who_lives_holds_its_claim(store, start):
    check_the_living_hold(store, start)


def test_who_never_renews_its_lease_is_caught(store, start):
    with pytest.raises(AssertionError):
        check_the_living_hold(store, start, "no_heart")


def check_who_slept_does_no_harm(store, start, wrong="right", is_first=False) -> None:
    """Stopped beyond its lease, a process finds its claim lost when it wakes; whoever is first has
    made the cell."""
    sleeper = start(wrong)
    assert sleeper.told("take") == "True"
    assert sleeper.told("write") == "True"
    sleeper.sleep()
    claim = until(lambda: store.claim(NAME))
    claim.desk.write("checkpoint", b"further")
    if is_first:
        assert commit_by(store, claim)
        assert store.work_names() == set()
    sleeper.wake()
    until(lambda: sleeper.told("is_lost") == "True")
    assert sleeper.told("write") == "True"
    if is_first:
        assert store.work_names() == set()
    else:
        assert claim.desk.read("checkpoint", 100) == b"further"
        assert not claim.is_lost()
    assert sleeper.told("commit") == str(not is_first)
    if not is_first:
        assert store.claimed_names() == {NAME}
        assert not commit_by(store, claim)
    assert store.read(store.check(NAME), WEIGHTS) == b"the same bytes"
    assert store.work_names() == set()


def commit_by(store, claim) -> bool:
    files = {WEIGHTS: b"the same bytes"}
    return store.commit(claim, record_of(NAME, files), files, {})


@pytest.mark.parametrize("is_first", [True, False])
def test_who_slept_finds_its_claim_lost(is_first, store, start):
    check_who_slept_does_no_harm(store, start, is_first=is_first)


def test_who_does_not_hear_that_it_lost_is_caught(store, start, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PATIENCE_SECONDS", 3.0)
    with pytest.raises(AssertionError, match="it hangs"):
        check_who_slept_does_no_harm(store, start, "never_lost")


def check_a_child_holds_nothing(store, start, wrong="right") -> None:
    """What a process holds is lost with it, though one that it forked lives on."""
    holder = start(wrong)
    assert holder.told("take") == "True"
    child = int(holder.told("fork"))
    holder.kill()
    try:
        os.kill(child, 0)
        until(lambda: store.claim(NAME)).clear()
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_forked_process_holds_nothing_of_its_parents(store, start):
    check_a_child_holds_nothing(store, start)


def test_a_child_that_goes_on_for_its_parent_is_caught(store, start, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PATIENCE_SECONDS", 3.0)
    with pytest.raises(AssertionError, match="it hangs"):
        check_a_child_holds_nothing(store, start, "shared_with_children")


def test_a_run_is_kept_while_a_process_that_renews_runs_it(store, start):
    commit(store, 0)
    run = store.save_run(run_of([0]))
    first, second = start(), start()
    assert [each.told("use") for each in (first, second)] == ["True", "True"]
    first.kill()
    with pytest.raises(UsageError, match="is being run; stop it first"):
        store.remove_run(run)
    assert store.cell_names()
    second.kill()
    assert store.remove_run(run).num_cells == 1
    assert [path.name for path in (store.root / "work").iterdir()] == ["leases"]


def test_the_work_of_the_dead_can_be_removed(store, start):
    """Once its lease is over, and no sooner."""
    holder = start()
    assert holder.told("take") == "True"
    holder.kill()
    commit(store, 0)
    run = store.save_run(run_of([0]))
    assert store.collect_garbage().num_cells == 0  # cell 1 belongs to no run
    assert store.work_names() == set()
    assert store.remove_run(run).num_cells == 1


def test_no_lock_of_the_system_is_held_in_a_store_of_leases(store, monkeypatch):
    import fcntl

    def refused(*_):
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", refused)
    run = store.save_run(run_of([0]))
    with store.in_use(run.id):
        commit(store, 0)
        assert store.claim(NAME) is not None
        assert store.claimed_names() == {NAME}
    assert store.collect_garbage(dry_run=True).num_cells == 0
    with pytest.raises(StoreError, match="no locks here"):
        Store(store.root.with_name("local")).claim(NAME)
