"""What a store and an executor cost a cell: `python benchmarks/bench_stores.py --repeats 2`.

Runs of the same trainings by each pair, in turns: trainings that wait for about .1, 1 and 30
seconds and need no processor, and small real ones. The overhead of a training is the time of the
run, for each that is made at a time, over the trainings, less what they took themselves. So that of
the masks between them is in it; of workers the time counts from when the first has planned the run.
The 30 seconds are measured once, all else `--repeats` times, of which medians are told. CPU and
requests are those of the processes that make cells; a pool's are not known. The server of the
bucket (moto, on 127.0.0.1) has its own CPU beside it.

The last rows are small trainings one by one and eight as one batch (`--group 8`).
"""

import math
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench_simulation import WAITING, Kept
from crew import Crew
from measure import arguments, report

from lottery_ticket.api import Prepared, prepare
from lottery_ticket.experiment import run_plan
from lottery_ticket.experiment.executors.local import InProcess, Pool

sys.path.append(str(Path(__file__).parent.parent / "tests" / "store" / "remote"))
from moto_server import KEYS, make_bucket, moto_server

POOL = 2
NUM_FORWARDS = 5.75  # of a training of three steps and its evaluations


@dataclass(frozen=True)
class Case:
    """Trainings.

    Args:
        changes: of quickstart.
        replicates: two trainings and a mask each.
        is_once: whether it is measured but once.
        group: trainings as one batch.
        by: the executors that it is for.
    """

    changes: tuple[str, ...]
    replicates: int
    is_once: bool = False
    group: int = 1
    by: tuple[str, ...] = ("in process", "pool of 2", "2 workers")


def waiting(seconds: float) -> tuple[str, ...]:
    pause = seconds / NUM_FORWARDS
    return (f"model={{name: Waits, seconds: {pause:.4f}}}", "train.duration=3it")


CASES = {
    "waits .1 s": Case(waiting(0.1), 8),
    "waits 1 s": Case(waiting(1.0), 2),
    "waits 30 s": Case(waiting(30.0), 2, is_once=True, by=("2 workers",)),
    "trains": Case(("train.duration=40ep",), 8),
    "trains, group 1": Case(("train.duration=40ep",), 16, by=("in process",)),
    "trains, group 8": Case(("train.duration=40ep",), 16, group=8, by=("in process",)),
}


@dataclass(frozen=True)
class Sample:
    """What a run took, of each of its trainings."""

    own: float
    overhead: float
    cpu: float
    requests: float


class Bench:
    """A store with its executors.

    Args:
        store: its folder or address.
        claims: how claims are held in a folder.
    """

    def __init__(self, store: str, claims: str | None, held: ExitStack) -> None:
        self.store, self.claims, self.num_runs = store, claims, 0
        warm_up = self.prepared(Case((), POOL))
        self.pool = Kept(held.enter_context(Pool(POOL, warm_up.context)))
        run_plan(warm_up.plan, warm_up.store, warm_up.context, executor=lambda _: self.pool)

    def prepared(self, case: Case) -> Prepared:
        """A run that was never made."""
        self.num_runs += 1
        changes = (
            "arms=[ticket]", "prune.levels=1", f"replicates={case.replicates}",
            f"seed={self.num_runs}",
        )  # fmt: skip
        return prepare(
            "quickstart", overrides=(*case.changes, *changes), store=self.store,
            claims=self.claims, device="cpu", jobs=1, threads=1, imports=[str(WAITING)],
            # what is executed directly skips a pause; batches have a way of their own
            kernels="autograd" if case.group == 1 else "auto",
        )  # fmt: skip

    def sample(self, case: Case, by: str) -> Sample:
        """Make such a run."""
        ready = self.prepared(case)
        ready = replace(ready, context=replace(ready.context, group=case.group))
        if by == "2 workers":
            return self._by_workers(ready)
        kept = self.pool if by == "pool of 2" else InProcess(ready.context)
        asked, cpu, began = self._requests(ready), time.process_time(), time.perf_counter()
        outcome = run_plan(ready.plan, ready.store, ready.context, executor=lambda _: kept)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        assert outcome.is_complete, outcome.failures
        if kept is self.pool:  # of whose processes nothing is known here
            return self._sample(ready, seconds * POOL)
        return self._sample(ready, seconds, cpu, self._requests(ready) - asked)

    def _by_workers(self, ready: Prepared) -> Sample:
        from lottery_ticket.experiment import submit_plan

        submit_plan(ready.plan, ready.store, ready.context)
        line = ("--jobs", 1, "--group", 1, "--import", WAITING)
        with Crew(POOL, self.store, *line) as crew:
            worked = crew.work()
        made = self._executions(ready)
        begun = min(how["finished"] - how["train_seconds"] for how in made)  # they plan before
        seconds = (max(how["finished"] for how in made) - begun) * POOL
        return self._sample(ready, seconds, sum(worked.cpu_seconds), worked.requests)

    def _sample(
        self, ready: Prepared, seconds: float, cpu: float = math.nan, requests: float = math.nan
    ) -> Sample:
        own = [how["train_seconds"] for how in self._executions(ready)]
        trainings = sum(1 for cell in ready.plan.cells.values() if cell.num_steps)
        own_seconds = sum(own) / trainings
        return Sample(
            own_seconds, seconds / trainings - own_seconds, cpu / trainings, requests / trainings
        )

    def _executions(self, ready: Prepared) -> list[dict[str, Any]]:
        return [found.execution for found in ready.store.cells(ready.plan.cells).values()]

    def _requests(self, ready: Prepared) -> int:
        bucket = getattr(ready.store, "bucket", None)
        return 0 if bucket is None else sum(bucket.requests.values())


@contextmanager
def benches() -> Iterator[dict[str, Bench]]:
    """Each kind of store."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        server = held.enter_context(moto_server())
        make_bucket(server, "bench")
        os.environ |= {f"AWS_{name.upper()}": value for name, value in KEYS.items()}
        os.environ |= {"AWS_ENDPOINT_URL": server, "AWS_REGION": "us-east-1"}
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        yield {
            "locks": Bench(str(folder / "locks"), "lock", held),
            "leases": Bench(str(folder / "leases"), "lease", held),
            "bucket": Bench("s3://bench/runs", None, held),
        }


def main() -> None:
    """Print a table."""
    given = arguments(__doc__, case="", by="")
    samples: dict[tuple[str, str, str], list[Sample]] = defaultdict(list)
    began = time.perf_counter()
    with benches() as stores:
        for name, case in CASES.items():
            if given.case not in name:
                continue
            for _ in range(1 if case.is_once else given.repeats):
                for store, bench in stores.items():
                    for by in filter(lambda by: given.by in by, case.by):
                        samples[name, store, by].append(bench.sample(case, by))
    rows = []
    for (name, store, by), found in samples.items():
        rows.append(
            {
                "trainings": name,
                "store": store,
                "by": by,
                "own_s": median(found, lambda sample: sample.own),
                "overhead_ms": median(found, lambda sample: 1000 * sample.overhead),
                "cpu_ms": median(found, lambda sample: 1000 * sample.cpu),
                "requests": median(found, lambda sample: sample.requests),
            }
        )
    report("bench_stores", rows, given.out, seconds=time.perf_counter() - began)


def median(samples: list[Sample], of: Callable[[Sample], float]) -> float | None:
    """None: it is not known."""
    found = statistics.median(map(of, samples))
    return None if math.isnan(found) else found


if __name__ == "__main__":
    main()
