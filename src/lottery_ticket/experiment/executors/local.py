"""Executors of one machine: this process, or a pool of worker processes."""

import functools
import gc
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor as PoolOfProcesses
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Self

from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.executors.context import Context
from lottery_ticket.experiment.executors.device import num_devices
from lottery_ticket.experiment.executors.execute import execute
from lottery_ticket.experiment.executors.executor import Executor, Outcome
from lottery_ticket.process import worker_pool

__all__ = ["InProcess", "Pool", "ignore_interrupts", "local_executor"]


def local_executor(jobs: int, context: Context) -> Executor:
    """This process for one job, worker processes for several."""
    return InProcess(context) if jobs == 1 else Pool(jobs, context)


class InProcess:
    """Executes cells here; they have ended when `submit` returns."""

    slots = 1
    is_isolated = False

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """There is nothing to end."""

    def submit(
        self, cells: Sequence[Cell], contents: Sequence[Mapping[str, str]]
    ) -> Future[list[Outcome]]:
        """Execute a group of cells, now."""
        future: Future[list[Outcome]] = Future()
        future.set_result(execute(cells, contents, self._context))
        return future


class Pool:
    """Executes cells in worker processes, on one device after the other.

    A worker that dies takes its pool with it, and so the cells of all workers: they are lost, and
    the next group has a pool of its own.

    Args:
        jobs: how many processes.
        context: where and how.
    """

    is_isolated = False

    def __init__(self, jobs: int, context: Context) -> None:
        self.slots = jobs
        self._context = context
        self._pool: PoolOfProcesses | None = None
        self._next_device = 0
        self._lock = threading.Lock()  # futures end in another thread

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._replace(self._pool)

    def submit(
        self, cells: Sequence[Cell], contents: Sequence[Mapping[str, str]]
    ) -> Future[list[Outcome]]:
        """Execute a group of cells in one of the processes."""
        for _ in range(2):
            pool = self._open()
            try:
                return _told(pool.submit(_execute, cells, contents, self._placed()), cells)
            except BrokenProcessPool:  # a worker died while it was idle
                self._replace(pool)
        return _lost(cells)

    def _open(self) -> PoolOfProcesses:
        with self._lock:
            if self._pool is None:
                self._pool = worker_pool(
                    self.slots, self._context.threads, timeout=60, initializer=ignore_interrupts
                )
            return self._pool

    def _replace(self, pool: PoolOfProcesses | None) -> None:
        """End a pool, once what it still does has ended; the next submit makes another."""
        with self._lock:
            if pool is not None and pool is self._pool:
                self._pool = None
        if pool is not None:
            pool.shutdown(wait=True)

    def _placed(self) -> Context:
        if self._context.device != "cuda":
            return self._context
        self._next_device = (self._next_device + 1) % num_devices("cuda")
        return replace(self._context, device=f"cuda:{self._next_device}")


def _told(ran: Future[list[Outcome]], cells: Sequence[Cell]) -> Future[list[Outcome]]:
    """The same, with a dead worker as an outcome."""
    told: Future[list[Outcome]] = Future()

    def tell(ran: Future[list[Outcome]]) -> None:
        error = ran.exception()
        if isinstance(error, BrokenProcessPool):
            told.set_result([Outcome(cell.name, "lost") for cell in cells])
        elif error is not None:
            told.set_exception(error)
        else:
            told.set_result(ran.result())

    ran.add_done_callback(tell)
    return told


def _lost(cells: Sequence[Cell]) -> Future[list[Outcome]]:
    future: Future[list[Outcome]] = Future()
    future.set_result([Outcome(cell.name, "lost") for cell in cells])
    return future


def ignore_interrupts() -> None:
    """In a worker: Ctrl-C reaches every process of a terminal, and SIGTERM every process of a job,
    but only the parent acts on them: its workers checkpoint when it asks them to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _execute(
    cells: Sequence[Cell], contents: Sequence[Mapping[str, str]], context: Context
) -> list[Outcome]:
    outcomes = execute(cells, contents, context)
    if cells[0].num_steps:  # others import less
        _settle()
    return outcomes


@functools.cache
def _settle() -> None:
    """Once in a worker: what has been imported and compiled by now stays.

    loky collects garbage between cells, and walking through all of torch takes it longer than a
    small cell.
    """
    gc.collect()
    gc.freeze()
