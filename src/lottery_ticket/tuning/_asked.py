"""What a sweep is to train: a plan for each point of its grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lottery_ticket.api import Prepared
from lottery_ticket.arms import ARMS, TICKET
from lottery_ticket.store import Store

if TYPE_CHECKING:
    from lottery_ticket.experiment import Part
    from lottery_ticket.spec import Point

__all__ = ["Asked", "Grid"]

Grid = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Asked:
    """All that a sweep trains.

    Args:
        grid: dotted key → values.
        points: of the grid, in order.
        prepared: of each the plan, all into one store.
        margin: that the verdict is made with; None for the spec's.
    """

    grid: Grid
    points: tuple["Point", ...]
    prepared: tuple[Prepared, ...]
    margin: float | None = None

    @property
    def store(self) -> Store:
        """Where all of it is."""
        return self.prepared[0].store

    @property
    def levels(self) -> list[int]:
        """Of the ticket, below dense."""
        rows = self.prepared[0].plan.rows
        return sorted({row.level for row in rows if row.arm == TICKET and row.level})

    @property
    def has_controls(self) -> bool:
        """Whether there is an arm under the ticket's masks."""
        return any(ARMS[arm.name].branches for arm in self.prepared[0].plan.spec.arms)

    @cached_property
    def own(self) -> "tuple[Part, ...]":
        """Of each point what hangs on no ticket's mask."""
        from lottery_ticket.experiment import own_part

        return tuple(own_part(each.plan) for each in self.prepared)

    def controls(self, tickets: Mapping[int, int]) -> "tuple[Part, ...]":
        """Of each point the controls under the ticket's masks; none where there is no such arm.

        Args:
            tickets: level → the point whose ticket lends its mask.
        """
        from lottery_ticket.experiment import tuned_controls

        if not self.has_controls:
            return ()
        lent = {level: self.prepared[point].plan for level, point in tickets.items()}
        return tuple(tuned_controls(each.plan, lent) for each in self.prepared)
