"""What the scheduler asks of whoever executes cells, and what it is told of each."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, Self

from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.executors.context import Context

__all__ = ["Executes", "Executor", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Args:
        cell: its name.
        status: `"made"`, `"found"` (someone else made it), `"busy"` (someone else is making it),
            `"stopped"` (given back unfinished: on request, or because the machine is gone),
            `"unfounded"` (a parent is damaged or gone, and has to be made anew), `"refused"` (the
            store could not be read or written), `"failed"`, `"lost"` (its worker died, perhaps of
            this cell).
        content: the content hash of a finished cell.
        message: why it failed.
        notes: what to know of how it was made.
    """

    cell: str
    status: str
    content: str | None = None
    message: str | None = None
    notes: tuple[str, ...] = ()


class Executor(Protocol):
    """Executes groups of cells, several at a time; a context manager, which ends its workers.

    It knows no plan: which cell is next, and whether one is tried again, others decide. A worker
    that dies is an outcome of the cells that it had, `"lost"`, and never an exception; the executor
    goes on without it, or with another in its place.
    """

    @property
    def slots(self) -> int:
        """How many groups it takes at a time; what is submitted beyond that may wait."""
        ...

    @property
    def is_isolated(self) -> bool:
        """Whether a worker that dies takes nothing with it but the cells that it had itself: those
        alone are tried again, and all others go on meanwhile."""
        ...

    def submit(
        self, cells: Sequence[Cell], contents: Sequence[Mapping[str, str]]
    ) -> Future[list[Outcome]]:
        """Execute a group of cells.

        Args:
            cells: one, or several that can be made as one batch; their parents are finished.
            contents: role → content hash of the parents of each.

        Returns:
            What became of each, in their order.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


Executes = Callable[[Context], Executor]
"""Makes an executor for cells of a context."""
