"""Claims across real processes."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import wrong_stores
from small_cells import commit, everything, name_of

from lottery_ticket.store import LockClaim, Store

HERE = Path(__file__).parent

RIGHT_OR_WRONG = """
import sys
import wrong_stores
from small_cells import name_of, record_of
from lottery_ticket.store import LockClaim, Store

store, take = Store(sys.argv[1]), sys.argv[2]
if take != "right":
    LockClaim.take = getattr(wrong_stores, take)
"""

RACE = """
worker, waiting = sys.argv[3], list(range(int(sys.argv[4])))

def claimed(number):
    claim = store.claim(name_of(number))
    if claim is None:
        return None
    waiting.remove(number)
    if store.get(name_of(number)) is not None:
        claim.clear()
        return None
    return claim

def make(number, claim):
    print(number, flush=True)
    data = worker.encode() * 10
    store.commit(claim, record_of(name_of(number), {"w": data}, by=worker), {"w": data}, {})

first = claimed(0)
print("ready", flush=True)
sys.stdin.readline()
if first is not None:
    make(0, first)
while waiting:
    for number in list(waiting):
        claim = claimed(number)
        if claim is not None:
            make(number, claim)
"""

HOLD = """
claim = store.claim(sys.argv[3])
(claim.folder / "checkpoint").write_bytes(b"so far")
print("held" if claim else "refused", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start():
    """Starts a script in a process of its own, which is ended with the test."""
    started = []

    def start(script: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", RIGHT_OR_WRONG + script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def check_no_cell_is_made_twice(store, start, take="right", num_cells=200):
    """Two processes make all cells, each of them once."""
    workers = [start(RACE, store.root, take, letter, num_cells) for letter in "ab"]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    made = {}
    for letter, worker in zip("ab", workers, strict=True):
        out, _ = worker.communicate(timeout=300)
        made[letter] = [int(number) for number in out.split()]
    assert max(Counter(made["a"] + made["b"]).values()) == 1
    assert {*made["a"], *made["b"]} == set(range(num_cells))
    assert all(worker.returncode == 0 for worker in workers)
    for letter, numbers in made.items():
        for number in numbers:
            assert store.check(name_of(number)).results["by"] == letter
    assert {path.name for path in (store.root / "work").iterdir()} <= {"leases"}


def test_no_cell_is_made_twice_by_racing_processes(store, start):
    check_no_cell_is_made_twice(store, start)


def test_no_cell_is_made_twice_by_processes_with_leases(tmp_path, start):
    leased = Store(tmp_path / "leased", claims="lease")
    leased.open_for_writing()
    check_no_cell_is_made_twice(leased, start)


@pytest.mark.parametrize("take", ["granted_to_all", "known_to_its_process_alone"])
def test_claims_that_let_a_cell_be_made_twice_are_caught(take, store, start):
    with pytest.raises(AssertionError):
        check_no_cell_is_made_twice(store, start, take, num_cells=10)


def check_claims_are_of_the_living(store, start, take="right"):
    """A live claim excludes; a killed process loses its own at once, and its work stays."""
    name = name_of(1)
    holder = start(HOLD, store.root, take, name)
    assert holder.stdout.readline() == "held\n"
    assert store.claim(name) is None
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=300)
    claim = store.claim(name)
    assert claim is not None
    assert everything(claim.folder).get("checkpoint") == b"so far"
    claim.release()
    assert commit(Store(store.root), 1) == name


def test_a_killed_process_loses_its_claim_at_once_and_leaves_its_work(store, start):
    check_claims_are_of_the_living(store, start)


@pytest.mark.parametrize(
    "take",
    [
        "granted_to_all",
        "known_to_its_process_alone",
        "held_while_a_file_exists",
        "begins_afresh",
    ],
)
def test_claims_of_the_dead_and_shared_ones_are_caught(take, store, start, monkeypatch):
    monkeypatch.setattr(LockClaim, "take", getattr(wrong_stores, take))
    with pytest.raises(AssertionError):
        check_claims_are_of_the_living(store, start, take)
