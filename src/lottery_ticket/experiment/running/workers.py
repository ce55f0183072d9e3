"""Where cells are executed: in this process, or in a pool of worker processes."""

import functools
import gc
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace

from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.running.context import Context
from lottery_ticket.experiment.running.device import num_devices
from lottery_ticket.experiment.running.execute import Outcome, execute
from lottery_ticket.experiment.running.interrupts import ignore_interrupts
from lottery_ticket.process import worker_pool

__all__ = ["Workers"]


@dataclass
class Workers:
    """Where cells are executed: here when jobs is 1, else in worker processes."""

    jobs: int
    context: Context
    _pool: Executor | None = field(default=None, repr=False)
    _next_device: int = 0

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exception: object) -> None:
        self._shut_down()

    def submit(
        self, cells: Sequence[Cell], contents: Sequence[Mapping[str, str]]
    ) -> Future[list[Outcome]]:
        """Execute a group of cells; in this process they have ended when this returns."""
        if self.jobs == 1:
            future: Future[list[Outcome]] = Future()
            future.set_result(execute(cells, contents, self.context))
            return future
        if self._pool is None:
            self._pool = _pool(self.jobs, self.context.threads)
        return self._pool.submit(_execute, cells, contents, self._placed())

    def restart(self) -> None:
        """After a worker died: the next submit makes a new pool."""
        self._shut_down()

    def _placed(self) -> Context:
        if self.context.device != "cuda":
            return self.context
        self._next_device = (self._next_device + 1) % num_devices("cuda")
        return replace(self.context, device=f"cuda:{self._next_device}")

    def _shut_down(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None


def _pool(jobs: int, threads: int) -> Executor:
    return worker_pool(jobs, threads, timeout=60, initializer=ignore_interrupts)


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
