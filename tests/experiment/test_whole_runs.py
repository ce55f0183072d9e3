"""Law 13 for whole runs: on each pair of a store and an executor a run has the same names and the
same bytes, also if a worker dies in the middle of it or Ctrl-C stops it; and a later run finds all.
"""

import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from memory_bucket import MemoryBucket
from run_processes import PATIENCE_SECONDS, start_command
from threads_executor import Threads
from tiny_runs import TINY, planned
from wrong_engines import trains_by

from lottery_ticket.experiment import Context, Observer, Plan, Workers, run_plan, submit_plan, work
from lottery_ticket.experiment.executors.local import Pool
from lottery_ticket.spec import spec_from_mapping
from lottery_ticket.store import LocalStore, Store, submitted_runs
from lottery_ticket.store.remote import ObjectStore

HERE = Path(__file__).parent
SPEC = TINY | {
    "train": {"lr": 0.1, "momentum": 0.9, "batch_size": 512, "duration": "3ep"},
    "arms": ["ticket", "reinit"],
    "replicates": 2,
}  # trainings of nine steps
LEASE_SECONDS = "3"  # long enough for a machine that is busy, and soon over

STORES: dict[str, Callable[[Path, Callable[[str], str]], Store]] = {
    "lock": lambda place, _: Store(place),
    "lease": lambda place, _: Store(place, claims="lease"),
    "memory": lambda *_: ObjectStore.over(MemoryBucket()),
    "s3": lambda _, address: Store(address("s3")),
}
"""Name → a new store, from a folder and what gives addresses."""

SHARED = [name for name in STORES if name != "memory"]
"""Those that other processes can open."""


def is_shared(store: Store) -> bool:
    return not store.location.startswith("memory")


# executors: each makes a run to its end, or until an observer interrupts it


def in_process(store: Store, plan: Plan, observer: Observer, _: Path) -> Any:
    return run_plan(plan, store, Context(store), observer=observer)


def by_pool(store: Store, plan: Plan, observer: Observer, _: Path) -> Any:
    executor = partial(Pool, 2) if is_shared(store) else Threads
    return run_plan(plan, store, Context(store), observer=observer, executor=executor)


def by_workers(store: Store, plan: Plan, observer: Observer, logs: Path) -> Any:
    """Two, with one who waits for them."""
    submit_plan(plan, store, Context(store))
    with ExitStack() as crew:
        if is_shared(store):
            for _ in range(2):
                crew.enter_context(Worker(store, logs))
        else:
            threads = crew.enter_context(ThreadPoolExecutor(2))
            for _ in range(2):
                threads.submit(work, store, Context(store))
        return run_plan(plan, store, Context(store), observer=observer, executor=Workers)


def by_one_worker(store: Store, plan: Plan, observer: Observer, _: Path) -> Any:
    submit_plan(plan, store, Context(store))
    return work(store, Context(store), observer=observer)


@dataclass(frozen=True)
class Way:
    """A way to make a run.

    Args:
        run: makes it to its end.
        run_here: the same where Ctrl-C is heard.
    """

    run: Callable[..., Any]
    run_here: Callable[..., Any]


EXECUTORS = {
    "in process": Way(in_process, in_process),
    "pool": Way(by_pool, by_pool),
    "workers": Way(by_workers, by_one_worker),
}


def pairs(**quick: str) -> list[Any]:
    """Each store with each executor. Other processes import all of torch anew, so that those of the
    stores named alone are for every day (`pool="memory s3"`); test_interruption.py has others."""
    return [
        pytest.param(
            store,
            executor,
            marks=[] if store in quick.get(executor, store).split() else [pytest.mark.slow],
        )
        for store in STORES
        for executor in EXECUTORS
    ]


class Worker:
    """`lottery work` in a process of its own, until nothing is left."""

    def __init__(self, store: Store, logs: Path, *arguments: object) -> None:
        logs.mkdir(exist_ok=True)
        self.log = logs / f"worker-{len(list(logs.iterdir()))}"
        self.log.touch()
        where = ("--store", store.location, "--jobs", 1, "--device", "cpu")
        self.process = start_command(self.log, "work", *where, *arguments)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None:
            assert self.wait() == 0, self.log.read_text()
        self.process.kill()
        self.process.join()

    def wait(self) -> int:
        self.process.join(PATIENCE_SECONDS)
        return self.process.exitcode


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("LOTTERY_LEASE_SECONDS", LEASE_SECONDS)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return planned(spec_from_mapping(SPEC))


@pytest.fixture(scope="module")
def undisturbed(plan, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("undisturbed"))
    assert in_process(store, plan, Observer(), Path()).is_complete
    return held(store)


@pytest.fixture
def store(request, tmp_path):
    return STORES[request.param](tmp_path / "store", request.getfixturevalue)


def held(store: Store) -> dict[str, bytes]:
    """The records of all finished cells, to the byte; all files are held to what these say."""
    return {
        name: found.record.to_bytes()
        for name in store.cell_names()
        if (found := store.checked(name))
    }


def check_same(store, plan, undisturbed) -> None:
    """It is all there, nothing is in progress, and who comes later finds it."""
    assert held(store) == undisturbed
    assert store.work_names() == set()
    assert submitted_runs(store) == []
    later = in_process(store, plan, Observer(), Path())
    assert (later.num_made, later.num_found) == (0, len(plan.cells))
    assert store.run("last").cells() == set(undisturbed)


def check_run(store, run, plan, undisturbed, logs) -> None:
    outcome = run(store, plan, Observer(), logs)
    assert outcome.is_complete, outcome.failures
    check_same(store, plan, undisturbed)


@pytest.mark.parametrize(
    ("store", "executor"), pairs(pool="memory s3", workers="memory lock s3"), indirect=["store"]
)
def test_the_same_run_on_each_pair(store, executor, plan, undisturbed, tmp_path):
    check_run(store, EXECUTORS[executor].run, plan, undisturbed, tmp_path / "logs")


class Unkept(LocalStore):
    """Takes what it is given, and keeps nothing of one cell."""

    def commit(self, claim, record, files, execution):
        if "test_accuracy" not in record.results or self.cell_names():
            return super().commit(claim, record, files, execution)
        claim.clear()
        return True


class Rounds(LocalStore):
    """Keeps results in fewer digits."""

    def commit(self, claim, record, files, execution):
        results = record.results
        if "test_loss" in results:
            results = {**results, "test_loss": round(results["test_loss"], 3)}
        rounded = type(record).of(record.name, record.inputs, record.parents, files, results)
        return super().commit(claim, rounded, files, execution)


class Hides(LocalStore):
    """Shows nothing to who comes later."""

    def survey(self, names, *, is_thorough=True):
        return iter(())

    def finished(self, name):
        return None


@pytest.mark.parametrize("wrong", [Unkept, Rounds, Hides])
def test_other_stores_are_caught(wrong, plan, undisturbed, tmp_path):
    with pytest.raises(AssertionError):
        check_run(wrong(tmp_path / "store"), in_process, plan, undisturbed, tmp_path)


def test_an_engine_that_trains_otherwise_is_caught(plan, undisturbed, tmp_path, own_kinds):
    def wrong(train, cell, parents, workspace):
        return train(replace(cell, seeds=replace(cell.seeds, order=1)), parents, workspace)

    trains_by(wrong)
    with pytest.raises(AssertionError):
        check_run(Store(tmp_path / "store"), in_process, plan, undisturbed, tmp_path)


# disturbed


def check_outlives(store, moment, plan, undisturbed, folder) -> None:
    """One of two workers dies; the other goes on, and takes what it had as soon as it may."""
    death = folder / f"die at {moment}"
    death.touch()
    dies_once = shutil.copy(HERE / "dies_once.py", folder)
    submit_plan(plan, store, Context(store))
    workers = [Worker(store, folder / "logs", "--import", dies_once) for _ in range(2)]
    codes = {worker.wait() for worker in workers}
    assert codes == {0, -signal.SIGKILL}, [worker.log.read_text() for worker in workers]
    assert not death.exists()
    check_same(store, plan, undisturbed)


@pytest.mark.parametrize(
    ("store", "moment"),
    [
        pytest.param(store, moment, marks=[] if (store == "lock") == is_early else pytest.mark.slow)
        for store in SHARED
        for moment, is_early in (("step 5", True), ("the end of a commit", False))
    ],
    indirect=["store"],
)
def test_a_worker_that_dies_takes_nothing_with_it(store, moment, plan, undisturbed, tmp_path):
    check_outlives(store, moment, plan, undisturbed, tmp_path)


class Interrupts(Observer):
    """Ctrl-C as a cell begins that is not among the first."""

    def __init__(self) -> None:
        self.num_started = 0

    def started(self, cell) -> None:
        self.num_started += 1
        if self.num_started == 5:
            signal.raise_signal(signal.SIGINT)


def check_continues(store, way, plan, undisturbed, logs) -> None:
    stopped = way.run_here(store, plan, Interrupts(), logs)
    assert stopped.is_stopped
    before = held(store)
    assert before.items() <= undisturbed.items()
    assert 0 < len(before) < len(undisturbed)
    check_run(store, way.run, plan, undisturbed, logs)


@pytest.mark.parametrize(
    ("store", "executor"), pairs(pool="memory", workers="memory lease"), indirect=["store"]
)
def test_what_ctrl_c_stopped_goes_on(store, executor, plan, undisturbed, tmp_path):
    check_continues(store, EXECUTORS[executor], plan, undisturbed, tmp_path / "logs")
