"""Claims across real processes."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from small_cells import commit, name_of

from lottery_ticket.store import Store

HERE = Path(__file__).parent
NUM_CELLS = 200

RACE = """
import sys
from small_cells import name_of, record_of
from lottery_ticket.store import Store

store, worker, made = Store(sys.argv[1]), sys.argv[2], []
waiting = list(range(int(sys.argv[3])))
print("ready", flush=True)
sys.stdin.readline()
while waiting:
    for number in list(waiting):
        name = name_of(number)
        claim = store.claim(name)
        if claim is None:
            continue
        waiting.remove(number)
        if store.get(name) is not None:
            claim.clear()
            continue
        made.append(number)
        data = worker.encode() * 10
        store.commit(claim, record_of(name, {"w": data}, by=worker), {"w": data}, {})
print(*made)
"""

HOLD = """
import sys
from lottery_ticket.store import Store

claim = Store(sys.argv[1]).claim(sys.argv[2])
(claim.folder / "checkpoint").write_bytes(b"so far")
print("held" if claim else "refused", flush=True)
sys.stdin.read()
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )


def test_no_cell_is_made_twice_by_racing_processes(store):
    workers = [start(RACE, store.root, letter, NUM_CELLS) for letter in "ab"]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    made = {}
    for letter, worker in zip("ab", workers, strict=True):
        out, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0
        made[letter] = [int(number) for number in out.split()]
    assert Counter(made["a"] + made["b"]) == Counter(range(NUM_CELLS))
    for letter, numbers in made.items():
        for number in numbers:
            assert store.check(name_of(number)).results["by"] == letter
    assert list((store.root / "work").iterdir()) == []


def test_a_killed_process_loses_its_claim_at_once_and_leaves_its_work(store):
    name = name_of(1)
    holder = start(HOLD, store.root, name)
    assert holder.stdout.readline() == "held\n"
    assert store.claim(name) is None
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=10)
    claim = store.claim(name)
    assert claim is not None
    assert (claim.folder / "checkpoint").read_bytes() == b"so far"
    claim.release()
    holder.communicate()
    assert commit(Store(store.root), 1) == name
