"""Parts of plans of which a sweep is made: what hangs on no ticket's mask, and controls by one
recipe under the masks that tickets found by another."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lottery_ticket.arms import ARMS
from lottery_ticket.chain import At
from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.planning.draft import Draft
from lottery_ticket.experiment.planning.plan import Plan, Work
from lottery_ticket.experiment.planning.replicate import Replicate
from lottery_ticket.experiment.planning.setting import Setting
from lottery_ticket.store import RunRow

__all__ = ["Part", "own_part", "tuned_controls"]


@dataclass(frozen=True)
class Part(Work):
    """Cells of a run, and the rows they fill.

    Args:
        rows: as those of a plan.
    """

    rows: tuple[RunRow, ...] = ()


def own_part(plan: Plan) -> Part:
    """What of a plan hangs on no ticket's mask: the ticket itself, arms with masks of their own,
    and all dense nets."""
    rows = tuple(row for row in plan.rows if not (row.level and ARMS[row.arm].branches))
    return Part(plan.id, _needed(plan.cells, (row.cell for row in rows)), rows)


def _needed(cells: Mapping[str, Cell], names: Iterable[str]) -> dict[str, Cell]:
    """Some cells and all that they are made from, in the same order."""
    needed: set[str] = set()
    todo = list(names)
    while todo:
        if (name := todo.pop()) not in needed:
            needed.add(name)
            todo += cells[name].parents.values()
    return {name: cell for name, cell in cells.items() if name in needed}


class _Controls(Replicate):
    """A replicate whose controls are under the masks of other tickets, level by level."""

    def __init__(
        self, draft: Draft, setting: Setting, number: int, tickets: Mapping[int, Replicate]
    ) -> None:
        super().__init__(draft, setting, number)
        self.tickets = tickets

    def _mask(self, at: At) -> str | None:
        # what another ticket's mask is made into, too: of its scope, with its seeds
        return self.tickets[at.level].mask(at)

    def _num_kept(self, at: At) -> int:
        return self.tickets[at.level]._num_kept(at) if at.level else super()._num_kept(at)


def tuned_controls(plan: Plan, tickets: Mapping[int, Plan]) -> Part:
    """The controls of a plan, by its recipe, under the masks of tickets of other plans.

    Where a ticket is the plan's own, so are the cells.

    Args:
        plan: whose recipe, controls, draws and replicates.
        tickets: level → the plan whose ticket of that level lends its mask; of the same layers.
    """
    cells: dict[str, Cell] = {}
    draft = Draft(plan.spec, plan.inputs, cells)
    setting = Setting.of(plan.spec, plan.inputs)
    found = {
        other.id: (Draft(other.spec, other.inputs, cells), Setting.of(other.spec, other.inputs))
        for other in tickets.values()
    }
    rows: list[RunRow] = []
    for number in range(plan.spec.replicates):
        lenders = {name: Replicate(*parts, number) for name, parts in found.items()}
        lent = {level: lenders[other.id] for level, other in tickets.items()}
        replicate = _Controls(draft, setting, number, lent)
        rows += [
            replicate.row(At(arm.name, level, draw))
            for arm in plan.spec.arms
            if ARMS[arm.name].branches
            for draw in range(arm.draws)
            for level in sorted(tickets)
        ]
    return Part(plan.id, draft.needed(row.cell for row in rows), tuple(rows))
