"""Runs in processes of their own, that can be killed or paused at an exact moment.

They are forked from a server that has imported everything, so that one starts in milliseconds; what
they do is told in a log beside the store.
"""

import math
import multiprocessing
import os
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import loky
import numpy as np
import torch
from each_step import look_at_each_step
from tiny_runs import planned

from lottery_ticket.experiment import (
    Context,
    Observer,
    Pace,
    execute,
    import_user_code,
    run_plan,
)
from lottery_ticket.experiment.executors.local import ignore_interrupts
from lottery_ticket.spec import Spec, spec_from_mapping
from lottery_ticket.store import Store

FORKS = multiprocessing.get_context("forkserver")
# this module alone is not found by the server of every version
FORKS.set_forkserver_preload(["run_processes", "lottery_ticket.experiment", "pytest"])

NOISY_NET = str(Path(__file__).with_name("noisy_net.py"))
NOISY = {
    "name": "noisy",
    "data": {"name": "digits"},
    "model": {"name": "Noisy"},
    "train": {"lr": 0.1, "momentum": 0.9, "batch_size": 512, "duration": "3ep"},
    "prune": {"rate": 0.4, "levels": 1},
    "arms": ["ticket"],
}  # a mask between two trainings of nine steps, three to an epoch

PATIENCE_SECONDS = 300.0  # where many share few cores
STOPPED = 130

Wrong = Callable[[], None]  # called in the process: puts a wrong part into the engine


class Moment(NamedTuple):
    """The `count`-th time that something happens in a process.

    `"step"` (trained, but in no checkpoint yet), `"half FILE"` and `"whole FILE"` (so much of it is
    written), or `"any"`: all of these, and each moment before an entry of a folder changes.
    """

    what: str
    count: int


class Told(NamedTuple):
    """A line of the log: `"step"`, or how a cell ended."""

    what: str
    cell: str
    step: int
    process: int


@dataclass(frozen=True)
class Orders:
    """What a process is to do: the whole spec, or `only` one cell of it."""

    values: Mapping[str, Any]
    store: Path
    wrong: Wrong | None = None
    kill_at: Moment | None = None
    pause_at: Moment | None = None
    checkpoint_seconds: float = 0.0  # at each step
    only: str | None = None
    random_state: int = 0
    jobs: int = 1
    are_workers_forked: bool = False  # to start as quickly as the run itself; else it is loky
    imports: tuple[str, ...] = ()
    lease_seconds: float | None = None  # the store is made with claims by lease, so long


class RunProcess:
    """A process that follows its orders; `with` ends it if it has not ended."""

    def __init__(self, orders: Orders) -> None:
        self.store = orders.store
        self._line, far_end = FORKS.Pipe()
        self._process = FORKS.Process(target=_follow, args=(orders, far_end))
        self._process.start()
        far_end.close()

    def __enter__(self) -> "RunProcess":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.join()
        self._line.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def wait(self) -> int:
        """The exit code; negative: the signal that ended it."""
        self.wait_until(lambda: False)
        assert self._process.exitcode is not None
        return self._process.exitcode

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Return once it is so or the process has ended."""
        for _ in range(int(PATIENCE_SECONDS / 0.02)):
            if is_so():
                return
            self._process.join(0.02)
            if self._process.exitcode is not None:
                return
        raise AssertionError("it hangs")

    def wait_for_pause(self) -> None:
        assert self._line.poll(PATIENCE_SECONDS), "it never came to the moment"
        self._line.recv()

    def resume(self) -> None:
        self._line.send("go on")


def start(spec: Spec | dict[str, Any], store: Path, **orders: Any) -> RunProcess:
    """Start a run (of one job, with a checkpoint at each step)."""
    values = spec.model_dump(exclude_unset=True) if isinstance(spec, Spec) else spec
    return RunProcess(Orders(values, store, **orders))


def start_noisy(
    store: Path,
    spec: dict[str, Any] = NOISY,
    imports: tuple[str, ...] = (),
    **orders: Any,
) -> RunProcess:
    """Start the noisy run, or another of that net."""
    return start(spec, store, imports=(NOISY_NET, *imports), **orders)


def start_command(log: Path, *arguments: object) -> Any:
    """Start `lottery ARGUMENTS` in a process of its own, with this one's environment; what it says
    goes to `log`."""
    process = FORKS.Process(
        target=_call, args=(log, ["lottery", *map(str, arguments)], dict(os.environ))
    )
    process.start()
    return process


def _call(log: Path, line: list[str], environment: dict[str, str]) -> None:
    """In the process itself."""
    os.environ.clear()  # it was forked from one that was started before
    os.environ.update(environment)
    said = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.argv = line
    from lottery_ticket.cli import main

    main()


def told(store: Path) -> list[Told]:
    """What all processes at work on a store told, in that order."""
    path = _log(store)
    lines = path.read_text().splitlines() if path.exists() else []
    return [Told(w, c, int(s), int(p)) for w, c, s, p in map(str.split, lines)]


def cells_told(store: Path, what: str) -> Counter[str]:
    """How often that was told of each cell."""
    return Counter(line.cell for line in told(store) if line.what == what)


def steps_told(store: Path) -> Counter[tuple[str, int]]:
    """How often each step of each cell was trained."""
    return Counter((line.cell, line.step) for line in told(store) if line.what == "step")


def _log(store: Path) -> Path:
    return store.with_name(store.name + ".log")


def _follow(orders: Orders, line: Any) -> None:
    """In the process itself."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # threads for a GPU would not survive a worker's fork
    torch.manual_seed(orders.random_state)
    np.random.seed(orders.random_state)
    random.seed(orders.random_state)
    if orders.lease_seconds is not None:
        os.environ["LOTTERY_LEASE_SECONDS"] = str(orders.lease_seconds)
    if orders.are_workers_forked:
        loky.ProcessPoolExecutor = _forked_pool
    if orders.wrong is not None:
        orders.wrong()
    teller = _Teller(orders.store)
    moments = _Moments(orders, line)
    moments.watch()

    def look(cell: Any, step: int) -> None:
        teller.tell("step", cell.name, step)
        moments.now("step")

    look_at_each_step(look, Pace(0.0, orders.checkpoint_seconds, math.inf))
    import_user_code(orders.imports)
    plan = planned(spec_from_mapping(orders.values))
    claims = None if orders.lease_seconds is None else "lease"
    store = Store(orders.store, claims=claims)
    context = Context(store.absolute(), threads=1, imports=orders.imports)
    if orders.only is None:
        outcome = run_plan(plan, store, context, jobs=orders.jobs, observer=teller)
        sys.exit(STOPPED if outcome.is_stopped else int(not outcome.is_complete))
    store.open_for_writing()
    cell = plan.cells[orders.only]
    contents = {role: store.get(parent).content for role, parent in cell.parents.items()}
    (outcome,) = execute([cell], [contents], context)
    sys.exit(int(outcome.status != "made"))


def _forked_pool(max_workers: int, **options: Any) -> Executor:
    return ProcessPoolExecutor(max_workers, multiprocessing.get_context("fork"), _begin_as_a_worker)


def _begin_as_a_worker() -> None:
    ignore_interrupts()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a pool ends the others when one has died


class _Teller(Observer):
    def __init__(self, store: Path) -> None:
        self._file = os.open(_log(store), os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def tell(self, what: str, cell: str, step: int = 0) -> None:
        os.write(self._file, f"{what} {cell} {step} {os.getpid()}\n".encode())

    def ended(self, cell, outcome) -> None:
        self.tell(outcome.status, cell.name)


class _Moments:
    """Counts what happens, and acts when it is time."""

    def __init__(self, orders: Orders, line: Any) -> None:
        self._orders = orders
        self._line = line
        self._counts: Counter[str] = Counter()
        self._opened: Any = None

    def watch(self) -> None:
        """Act where files are opened and synced, and where entries of folders change."""
        entry_changes = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}

        def hear(event: str, arguments: tuple[Any, ...]) -> None:
            if threading.current_thread() is not threading.main_thread():
                return  # leases are renewed beside the work
            if event == "open":
                self._opened = arguments[0]
            elif event in entry_changes:
                self.now("entry")

        sys.addaudithook(hear)
        os.fsync, self._fsync = self._synced, os.fsync

    def _synced(self, descriptor: int) -> None:
        """A file that is synced has been written whole: it is half written first."""
        path = Path(self._opened)
        if path.is_dir():
            self._fsync(descriptor)
            return
        name = path.name.strip(".").partition(f".{os.getpid()}-")[0]  # written aside
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        self.now(f"half {name}")
        path.write_bytes(data)
        self._fsync(descriptor)
        self.now(f"whole {name}")

    def now(self, what: str) -> None:
        self._counts.update((what, "any"))
        moments = {Moment(what, self._counts[what]), Moment("any", self._counts["any"])}
        if self._orders.kill_at in moments:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._orders.pause_at in moments:
            self._line.send("paused")
            self._line.recv()
