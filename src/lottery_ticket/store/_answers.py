"""What a store answers: finished cells, and what a clean-up freed."""

from dataclasses import dataclass
from typing import Any

from lottery_ticket.store._execution import Execution
from lottery_ticket.store._record import CellRecord

__all__ = ["Finished", "Freed", "IndexedCell"]


@dataclass(frozen=True)
class Finished:
    """A finished cell: what it is, and how it ran."""

    record: CellRecord
    execution: Execution

    @property
    def kept(self) -> frozenset[str]:
        """The names of its files that are there."""
        return frozenset(self.record.files) - self.execution.not_kept


@dataclass(frozen=True)
class IndexedCell:
    """What the index knows of a finished cell: its scalar results, and how it ran."""

    name: str
    content: str
    summary: dict[str, Any]
    execution: dict[str, Any]


@dataclass(frozen=True)
class Freed:
    """What a clean-up removed (or would remove)."""

    num_cells: int
    num_bytes: int
