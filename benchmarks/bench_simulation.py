"""Simulated against measured: `python benchmarks/bench_simulation.py [--executor workers]`.

Runs on workers of this machine, which have started before the clock does: small trainings on one
and two, and cells that wait on up to sixteen. The simulation is given the seconds of claims and
commits in a store here, and of cells: those that they took in this very run, which shows how well
it is simulated, and those of tried steps, as `lottery plan` counts them, which shows how well it is
foretold. Whatever else the machine does meanwhile is in the second alone.

The workers of `--executor local` are told what is ready; those of `workers` (`lottery work`, over
locks) and `workers by lease` look for it, and plan the run before they do.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from crew import Crew
from measure import report

from lottery_ticket.api import Prepared, prepare
from lottery_ticket.experiment import (
    IDEAL,
    Assumptions,
    Cell,
    Context,
    Executor,
    Outcome,
    cell_seconds,
    forecast,
    run_plan,
    tasks_of,
    training_seconds,
)
from lottery_ticket.experiment.executors.local import InProcess, Pool
from lottery_ticket.store import CellRecord, Store

Executes = Callable[[int, Context], Executor]

WAITING = Path(__file__).with_name("waiting.py")
LONGEST_POLL_SECONDS = 10.0
SCHEDULER_SECONDS = 0.3  # that a look takes by itself where nothing is ready


@dataclass(frozen=True)
class Case:
    """An experiment, and on how many workers.

    Args:
        spec, changes: what is run; cells that wait are of digits.
        workers: how many, one after the other.
        kernels: how steps are executed.
    """

    spec: str
    changes: tuple[str, ...]
    workers: tuple[int, ...]
    kernels: str = "auto"


CASES = {
    "quickstart, 80 epochs": Case(
        "quickstart", ("train.duration=80ep", "prune.levels=6", "replicates=3"), (1, 2)
    ),
    "lenet-mnist, 1 epoch": Case(
        "lenet-mnist", ("train.duration=1ep", "prune.levels=6", "replicates=2"), (1, 2)
    ),
    "cells that wait": Case(
        "quickstart",
        (
            "model={name: Waits, seconds: 0.5}", "train.duration=3it",
            "prune.levels=4", "replicates=8",
        ),
        (1, 2, 4, 8, 16),
        kernels="autograd",  # what is executed directly skips the pause
    ),
}  # fmt: skip


class Kept:
    """An executor that outlives runs, so that its workers need not start in each."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    @property
    def slots(self) -> int:
        return self._executor.slots

    @property
    def is_isolated(self) -> bool:
        return self._executor.is_isolated

    def submit(
        self, cells: Sequence[Cell], contents: Sequence[Mapping[str, str]]
    ) -> Future[list[Outcome]]:
        return self._executor.submit(cells, contents)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Whoever made it ends it."""


@dataclass(frozen=True)
class Measured:
    """How long a run took.

    Args:
        seconds: from when its workers were let go.
        own: cell → how long it took.
        assumed: what its workers were like.
    """

    seconds: float
    own: dict[str, float]
    assumed: Assumptions


@contextmanager
def prepared(case: Case, folder: Path, seed: int, claims: str | None = None) -> Iterator[Prepared]:
    """A plan in a store of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as store:
        yield prepare(
            case.spec, overrides=(*case.changes, f"seed={seed}"), store=store, claims=claims,
            executor="workers", threads=1, kernels=case.kernels, imports=[str(WAITING)],
        )  # fmt: skip


def executions(ready: Prepared) -> dict[str, dict[str, Any]]:
    return {cell: found.execution for cell, found in ready.store.cells(ready.plan.cells).items()}


def own_seconds(ready: Prepared) -> dict[str, float]:
    return {cell: how["train_seconds"] for cell, how in executions(ready).items()}


def quick_store(ready: Prepared, folder: Path, times: int = 30) -> Assumptions:
    """Workers of this machine, that are told what is ready; claims and commits as measured."""
    claims, commits = [], []
    num_bytes = 4 * sum(ready.plan.inputs.sizes.values())
    with tempfile.TemporaryDirectory(dir=folder) as root:
        store = Store(root, claims=ready.store.claims)
        store.open_for_writing()
        for number in range(times):
            name, files = f"{number:064x}", {"weights": os.urandom(num_bytes)}
            started = time.perf_counter()
            claim = store.claim(name)
            assert claim is not None
            store.get(name)
            claims.append(time.perf_counter() - started)
            started = time.perf_counter()
            record = CellRecord.of(name, {"kind": "none"}, {}, files, {})
            store.commit(claim, record, files, {})
            commits.append(time.perf_counter() - started)
    return replace(
        IDEAL,
        claim_seconds=statistics.median(claims),
        commit_seconds=statistics.median(commits),
    )


# ways to measure


def by_executor(case: Case, workers: int, folder: Path) -> tuple[Prepared, Measured]:
    """In this process, or in a pool that has made other cells before."""
    with prepared(case, folder, 1) as ready, local(workers, ready.context) as executor:
        kept = Kept(executor)
        first = replace(case, changes=(*case.changes, "prune.levels=1", f"replicates={workers}"))
        with prepared(first, folder, 0) as warm_up:
            run_seconds(replace(warm_up, store=ready.store), kept)
        seconds = run_seconds(ready, kept)
        return ready, Measured(seconds, own_seconds(ready), quick_store(ready, folder))


def local(workers: int, context: Context) -> Executor:
    return InProcess(context) if workers == 1 else Pool(workers, context)


def run_seconds(ready: Prepared, executor: Kept) -> float:
    """How long the cells take on workers that have started."""
    started = time.perf_counter()
    outcome = run_plan(ready.plan, ready.store, ready.context, executor=lambda _: executor)
    assert outcome.is_complete, outcome.failures
    return time.perf_counter() - started


def by_workers(
    case: Case, workers: int, folder: Path, claims: str = "lock"
) -> tuple[Prepared, Measured]:
    """`lottery work`, in so many processes; where it begins, it plans."""
    line = ("--jobs", 1, "--group", 1, "--import", WAITING)
    with prepared(case, folder, 1, claims) as ready:
        ready.submit()
        with Crew(workers, ready.store.location, *line) as crew:
            worked = crew.work()
        how = executions(ready)
        assert how.keys() == ready.plan.cells.keys()
        begun: dict[int, float] = defaultdict(lambda: float("inf"))
        for one in how.values():
            begun[one["process"]] = min(
                begun[one["process"]], one["finished"] - one["train_seconds"] - worked.began
            )
        seconds = max(one["finished"] for one in how.values()) - worked.began
        assumed = replace(
            quick_store(ready, folder),
            start_seconds=min(begun.values()),
            poll_seconds=ready.store.retry_seconds + SCHEDULER_SECONDS,
            longest_poll_seconds=LONGEST_POLL_SECONDS + SCHEDULER_SECONDS,
        )
        return ready, Measured(seconds, own_seconds(ready), assumed)


EXECUTORS: dict[str, Callable[[Case, int, Path], tuple[Prepared, Measured]]] = {
    "local": by_executor,
    "workers": by_workers,
    "workers by lease": partial(by_workers, claims="lease"),
}
"""Name → (case, number of workers, folder) → what was run, and how long it took."""


def compared(name: str, case: Case, workers: int, executor: str, folder: Path) -> dict[str, Any]:
    """A row: measured, and simulated with seconds of both kinds."""
    with prepared(case, folder, 1) as ready:
        tried = training_seconds(ready.plan, (), ready.context)
    ready, measured = EXECUTORS[executor](case, workers, folder)
    plan, assumed = ready.plan, measured.assumed
    row: dict[str, Any] = {"what": name, "workers": workers, "cells": len(plan.cells)}
    row["measured_s"] = measured.seconds
    for which, seconds in {"own": measured.own, "tried": cell_seconds(plan, tried, {})}.items():
        found = forecast(tasks_of(plan, (), seconds), workers, assumed)
        row[f"simulated/measured, {which}"] = found.makespan_seconds / measured.seconds
    return row | {"start_s": assumed.start_seconds, "commit_s": assumed.commit_seconds}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Simulated against measured.")
    parser.add_argument("--executor", default="local", choices=sorted(EXECUTORS))
    parser.add_argument("--case", choices=sorted(CASES), help="only this one")
    parser.add_argument("--out", type=Path, help="folder for the JSON file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            compared(name, case, workers, given.executor, Path(folder))
            for name, case in CASES.items()
            if given.case in (None, name)
            for workers in case.workers
        ]
    report("bench_simulation", rows, given.out, executor=given.executor)


if __name__ == "__main__":
    main()
