"""Workers elsewhere: nothing is sent to them, they take what is ready of a submitted run by
themselves. What becomes of it is seen in the store."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Self

from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.executors.context import Context
from lottery_ticket.experiment.executors.execute import is_current
from lottery_ticket.experiment.executors.executor import Outcome
from lottery_ticket.experiment.executors.stop import StopSign
from lottery_ticket.store import Submission, read_failures, read_submission, submit

__all__ = ["Workers"]

_MOST_REFUSALS = 5  # looks in a row that the store refused, each after all its own tries


@dataclass
class _Awaited:
    """A group that is to be made.

    Args:
        cells, contents: as submitted.
        future: is told once each of them has an outcome.
        outcomes: so far, by name.
    """

    cells: Sequence[Cell]
    contents: Sequence[Mapping[str, str]]
    future: Future[list[Outcome]] = field(default_factory=Future)
    outcomes: dict[str, Outcome] = field(default_factory=dict)


class Workers:
    """Waits for the workers of a store (`lottery work`) to make cells of a submitted run.

    Args:
        context: whose store is looked at, again and again.
        submission: of the run: it is submitted again where workers took it for complete, and a cell
            was gone after all. None: somebody else sees to that.
    """

    slots = 2**31  # they take as many as there are workers
    is_isolated = True

    def __init__(self, context: Context, submission: Submission | None = None) -> None:
        self._store, self._run_id = context.store, context.run_id
        self._submission = submission
        self._sign = StopSign(context.store, context.stops)
        self._awaited: list[_Awaited] = []
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="workers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Look no more; the workers go on."""
        self._is_over.set()
        self._thread.join()
        self._give_up()

    def submit(
        self, cells: Sequence[Cell], contents: Sequence[Mapping[str, str]]
    ) -> Future[list[Outcome]]:
        """Wait for a group of cells."""
        awaited = _Awaited(cells, contents)
        with self._lock:
            self._awaited.append(awaited)
        return awaited.future

    def _watch(self) -> None:
        num_refusals = 0
        while not self._is_over.wait(self._store.retry_seconds):
            if self._sign.is_raised():
                self._give_up()
            try:
                self._look()
                num_refusals = 0
            except StoreError as error:
                num_refusals += 1
                if num_refusals == _MOST_REFUSALS:
                    self._give_up(error)
            except Exception as error:  # whoever waits has to hear of it
                self._give_up(error)

    def _look(self) -> None:
        with self._lock:
            awaited = list(self._awaited)
        names = {cell.name for one in awaited for cell in one.cells} - {
            name for one in awaited for name in one.outcomes
        }
        if not names:
            return
        self._see_that_it_is_submitted()
        failures = read_failures(self._store, names)
        finished = self._store.cells(names)
        for one in awaited:
            for cell, contents in zip(one.cells, one.contents, strict=True):
                if cell.name in failures:
                    failure = failures[cell.name]
                    message = f"{failure.message} (on {failure.host})"
                    one.outcomes[cell.name] = Outcome(cell.name, "failed", message=message)
                elif cell.name in finished and self._is_made_from(cell.name, contents):
                    content = finished[cell.name].content
                    one.outcomes[cell.name] = Outcome(cell.name, "made", content)
            if len(one.outcomes) == len(one.cells):
                self._tell(one)

    def _see_that_it_is_submitted(self) -> None:
        """Workers that took the run for complete do not know of a cell that was removed since."""
        if self._submission is not None and read_submission(self._store, self._run_id) is None:
            submit(self._store, self._run_id, replace(self._submission, submitted=time.time()))

    def _is_made_from(self, name: str, contents: Mapping[str, str]) -> bool:
        """Whether a finished cell was made from these parents; if not, a worker makes it anew."""
        try:
            record = self._store.get(name)
        except DamagedError:
            return False
        return record is not None and is_current(record.parents, contents)

    def _tell(self, one: _Awaited) -> None:
        with self._lock:
            self._awaited.remove(one)
        one.future.set_result([one.outcomes[cell.name] for cell in one.cells])

    def _give_up(self, error: Exception | None = None) -> None:
        with self._lock:
            awaited, self._awaited = self._awaited, []
        for one in awaited:
            if error is not None:
                one.future.set_exception(error)
            else:
                left = [Outcome(cell.name, "stopped") for cell in one.cells]
                one.future.set_result([one.outcomes.get(o.cell, o) for o in left])
