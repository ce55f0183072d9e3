"""What a scheduler heeds of others who make cells of the same run at the same time."""

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Mapping, Set
from typing import Protocol

from lottery_ticket.errors import StoreError
from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.planning.plan import Work
from lottery_ticket.store import Failure, Store, forgive, note_failure, read_failures

__all__ = ["Alone", "Crew", "Peers", "remaining_steps"]


class Peers(Protocol):
    """The others."""

    is_alone: bool
    """Whether there are none: what is finished is then read whole before a run goes on with it."""

    def in_order(self, waiting: Mapping[str, Cell]) -> list[str]:
        """The waiting cells, those that are to be made first at the front."""
        ...

    def are_at(self, name: str) -> bool:
        """Whether one of them seems to make a cell; it is looked at again soon."""
        ...

    def finished(self) -> Set[str]:
        """The cells that are finished, as far as is known."""
        ...

    def failure_of(self, name: str) -> str | None:
        """Why a cell failed that one of them tried."""
        ...

    def tell_failure(self, cell: Cell, message: str) -> None:
        """Keep them from trying a cell that failed here."""
        ...

    def tell_made(self, cell: Cell) -> None:
        """What was said of its failure does not hold any more."""
        ...


class Alone:
    """Nobody is known; whoever makes a cell at the same time is met at its claim.

    Args:
        store: where those who look at the run read what failed.
    """

    is_alone = True

    def __init__(self, store: Store) -> None:
        self._store = store

    def in_order(self, waiting: Mapping[str, Cell]) -> list[str]:
        """The order of the plan."""
        return list(waiting)

    def are_at(self, name: str) -> bool:
        """No."""
        return False

    def finished(self) -> Set[str]:
        """It is not known: each is looked at."""
        return frozenset()

    def failure_of(self, name: str) -> str | None:
        """None."""
        return None

    def tell_failure(self, cell: Cell, message: str) -> None:
        """A note for people: who comes later tries it."""
        with contextlib.suppress(StoreError, OSError):  # how the run ends says it too
            note_failure(self._store, cell.name, _failure(message), is_final=False)

    def tell_made(self, cell: Cell) -> None:
        """What had failed was forgiven when the run began."""


class Crew:
    """Workers of one store. Cells that most hangs on come first; among equals each worker has an
    order of its own, so that they do not meet at every cell.

    Args:
        store: where they meet.
        work: what is to be made.
        token: of this worker.
    """

    is_alone = False

    def __init__(self, store: Store, work: Work, token: str) -> None:
        self._store, self._names = store, frozenset(work.cells)
        left = remaining_steps(work)
        self._ranks = {name: (-left[name], _mixed(token, name)) for name in work.cells}
        self._next_look = 0.0
        self._busy: Set[str] = frozenset()
        self._finished: Set[str] = frozenset()
        self.failures: dict[str, Failure] = {}

    def in_order(self, waiting: Mapping[str, Cell]) -> list[str]:
        """By what hangs on them."""
        return sorted(waiting, key=self._ranks.__getitem__)

    def are_at(self, name: str) -> bool:
        """By a listing that is a moment old."""
        self._look()
        return name in self._busy

    def finished(self) -> Set[str]:
        """By a listing that is a moment old."""
        self._look()
        return self._finished

    def failure_of(self, name: str) -> str | None:
        """As it stands on the board."""
        self._look()
        failure = self.failures.get(name)
        return None if failure is None else f"{failure.message} (on {failure.host})"

    def tell_failure(self, cell: Cell, message: str) -> None:
        """A note on the board."""
        failure = _failure(message)
        note_failure(self._store, cell.name, failure)
        self.failures[cell.name] = failure

    def tell_made(self, cell: Cell) -> None:
        """The note is taken away, if there was one."""
        if self.failures.pop(cell.name, None) is not None:
            forgive(self._store, [cell.name])

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + self._store.retry_seconds
        self._finished = self._store.cell_names()
        self.failures = read_failures(self._store, self._names, self.failures)
        if not self._store.claims_are_quick:
            self._busy = self._store.claimed_names(is_rough=True)


def remaining_steps(work: Work) -> dict[str, int]:
    """Cell → the steps of the longest chain that begins with it; a cell counts one at least."""
    left = {name: max(1, cell.num_steps) for name, cell in work.cells.items()}
    for name, cell in reversed(list(work.cells.items())):  # parents come first
        for parent in cell.parents.values():
            if parent in left:
                left[parent] = max(left[parent], max(1, work.cells[parent].num_steps) + left[name])
    return left


def _failure(message: str) -> Failure:
    """What failed here and now, in one line."""
    return Failure(" ".join(message.split()), socket.gethostname(), os.getpid(), time.time())


def _mixed(token: str, name: str) -> bytes:
    return hashlib.sha256(f"{token} {name}".encode()).digest()
