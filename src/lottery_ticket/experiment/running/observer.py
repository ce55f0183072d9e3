"""What a run tells: while it goes, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass

from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.executors.executor import Outcome
from lottery_ticket.experiment.planning.plan import Work
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.store import RunRecord, Store

__all__ = ["Observer", "RunOutcome"]


class Observer:
    """Is told how a run goes; override what you want to see."""

    def begin(self, plan: Work, finished: set[str], store: Store) -> None:
        """The run starts; `finished` cells are in the store already."""

    def started(self, cell: Cell) -> None:
        """A cell was handed to an executor."""

    def ended(self, cell: Cell, outcome: Outcome) -> None:
        """A cell is finished, was found finished, failed or was stopped."""

    def note(self, message: str) -> None:
        """Something to read, such as a damaged file."""


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Args:
        run_id: the run's id.
        num_made: cells made by this call.
        num_found: cells that were finished already or made by another process.
        failures: what failed, by cell name.
        num_blocked: cells that could not be made since something before them failed.
        is_stopped: whether it was interrupted; the same call continues.
        seconds: wall-clock time.
        record: the run as it is in the store.
        is_asked: whether somebody asked it to stop, be it that all was finished by then.
    """

    run_id: str
    num_made: int
    num_found: int
    failures: Mapping[str, str]
    num_blocked: int
    is_stopped: bool
    seconds: float
    record: RunRecord | None = None
    is_asked: bool = False

    _repr_html_ = notebook_html

    @property
    def is_complete(self) -> bool:
        """Whether every cell of the plan is finished."""
        return not (self.failures or self.num_blocked or self.is_stopped)

    @property
    def failure_lines(self) -> list[str]:
        """What failed, a line each; what failed alike in many cells is said once, with how many."""
        alike: dict[str, list[str]] = {}
        for said in self.failures.values():
            title, _, message = said.partition(": ")
            alike.setdefault(message, []).append(title)
        return [
            f"{titles[0]}{f' and {len(titles) - 1} more' * (len(titles) > 1)}: {message}"
            for message, titles in alike.items()
        ]
