"""Nothing finished is ever lost: kills, parallel runs, other numbers of jobs — the same bytes."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tiny_runs import digests, run_in

from lottery_ticket.experiment import Observer

SCRIPT = """
import json, sys
import lottery_ticket.experiment._train_cell as cell
cell._CHECKPOINT_SECONDS = cell._PROGRESS_SECONDS = 0.05  # so that a kill finds a checkpoint
import lottery_ticket
spec, store, jobs = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("begin", flush=True)
lottery_ticket.run(spec, store=store, jobs=jobs, threads=1)
"""


def start(spec, store: Path, jobs: int = 1) -> subprocess.Popen:
    """A run in a process of its own, once its imports are done."""
    process = launch(spec, store, jobs)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def launch(spec, store: Path, jobs: int = 1) -> subprocess.Popen:
    values = spec.model_dump_json(exclude_unset=True)
    command = [sys.executable, "-c", SCRIPT, values, str(store), str(jobs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)


def kill_at_random_moments(spec, folder: Path, jobs: int, times: int, within: float) -> int:
    """Kill -9 the whole run `times` times, then let it finish; returns how many kills hit."""
    moments = random.Random(0)
    hits = 0
    for _ in range(times):
        process = start(spec, folder, jobs)
        try:
            process.wait(moments.uniform(0.05, within))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            hits += 1
        process.communicate()
    process = start(spec, folder, jobs)
    process.communicate()
    assert process.returncode == 0
    return hits


@pytest.fixture
def longer(tiny):
    """Cells of a few hundred steps."""
    return tiny(train={"duration": "10ep"}, prune={"levels": 1})


def test_killed_at_random_moments_ends_in_the_same_bytes(tmp_path, longer):
    run_in(tmp_path / "undisturbed", longer)
    hits = kill_at_random_moments(longer, tmp_path / "killed", jobs=1, times=3, within=1.0)
    assert hits >= 2
    assert digests(tmp_path / "killed") == digests(tmp_path / "undisturbed")


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_ten_times(tmp_path, tiny, jobs):
    spec = tiny(train={"duration": "20ep"}, prune={"levels": 5}, replicates=2)
    run_in(tmp_path / "undisturbed", spec)
    hits = kill_at_random_moments(spec, tmp_path / "killed", jobs, times=10, within=6.0)
    assert hits >= 8
    assert digests(tmp_path / "killed") == digests(tmp_path / "undisturbed")


def test_interrupted_run_says_so_and_continues(tmp_path, longer):
    run_in(tmp_path / "undisturbed", longer)
    process = start(longer, tmp_path / "stopped", jobs=1)
    while not list((tmp_path / "stopped").glob("work/*/progress.json")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode != 0
    left = list((tmp_path / "stopped").glob("work/*/checkpoint"))
    assert left, "what was in progress was checkpointed"
    process = start(longer, tmp_path / "stopped", jobs=1)
    process.communicate()
    assert process.returncode == 0
    assert digests(tmp_path / "stopped") == digests(tmp_path / "undisturbed")


def test_two_jobs_give_the_bytes_of_one(tmp_path, tiny):
    spec = tiny(arms=["ticket", "reinit", "random"], replicates=2)
    _, one = run_in(tmp_path / "one", spec, jobs=1, threads=1)
    _, two = run_in(tmp_path / "two", spec, jobs=2, threads=1)
    assert one.is_complete
    assert two.is_complete
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_two_runs_on_one_store_share_the_work(tmp_path, tiny):
    spec = tiny(train={"duration": "20ep"}, replicates=4)
    run_in(tmp_path / "alone", spec)
    both = [launch(spec, tmp_path / "shared") for _ in range(2)]
    for process in both:
        process.communicate()
        assert process.returncode == 0
    assert digests(tmp_path / "shared") == digests(tmp_path / "alone")
    records = (tmp_path / "shared" / "cells").rglob("execution.json")
    makers = [json.loads(path.read_text())["process"] for path in records]
    assert set(makers) == {process.pid for process in both}  # each made some


def test_a_worker_that_dies_takes_nothing_with_it(tmp_path, tiny):
    spec = tiny(train={"duration": "40ep"}, prune={"levels": 1})
    run_in(tmp_path / "undisturbed", spec, threads=1)
    victim = Killer()
    _, outcome = run_in(tmp_path / "killed", spec, jobs=2, threads=1, observer=victim)
    assert victim.num_killed == 1
    assert outcome.is_complete
    assert digests(tmp_path / "killed") == digests(tmp_path / "undisturbed")


class Killer(Observer):
    """Kills a worker process as soon as one is at work."""

    def __init__(self) -> None:
        self.num_killed = 0

    def begin(self, plan, finished, store) -> None:
        threading.Thread(target=self._watch, args=(store.root,), daemon=True).start()

    def _watch(self, store: Path) -> None:
        while not list(store.glob("work/*/progress.json")):
            threading.Event().wait(0.01)
        children = subprocess.run(
            ["ps", "-ww", "--ppid", str(os.getpid()), "-o", "pid=", "-o", "args="],
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        workers = [line.split()[0] for line in children if "LokyProcess" in line]
        os.kill(int(workers[0]), signal.SIGKILL)
        self.num_killed += 1
