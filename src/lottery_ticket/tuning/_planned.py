"""What a sweep would train, and about how long that takes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lottery_ticket.tuning._asked import Asked
from lottery_ticket.tuning._results import best_tickets

if TYPE_CHECKING:
    from lottery_ticket.experiment import Part

__all__ = ["Planned", "planned"]


@dataclass(frozen=True)
class Planned:
    """What a sweep would train.

    Args:
        points: of each: its label, its run, and how many trainings it asks for.
        num_asked: trainings of all points.
        num_trainings: those that differ.
        num_finished: of these, in the store.
        steps_to_train: optimiser steps that are left.
        seconds: about how long these take here.
        is_chosen: whether the ticket's best points are known, so that it is all exact.
    """

    points: Sequence[Mapping[str, Any]]
    num_asked: int
    num_trainings: int
    num_finished: int
    steps_to_train: int
    seconds: float
    is_chosen: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def planned(asked: Asked) -> Planned:
    """What is to be trained; while the ticket's best points are not known, as many controls under
    the masks of others."""
    from lottery_ticket.experiment import Work, finished_cells, least_seconds, training_seconds

    cells = {name: cell for part in asked.own for name, cell in part.cells.items()}
    is_chosen = finished_cells(Work("", cells), asked.store) == cells.keys()
    tickets = best_tickets(asked) if is_chosen else dict.fromkeys(asked.levels, 0)
    controls = asked.controls(tickets)
    cells |= {name: cell for part in controls for name, cell in part.cells.items()}
    work, first = Work("", cells), asked.prepared[0]
    done = finished_cells(work, asked.store)
    trainings = {name for name, cell in cells.items() if cell.num_steps}
    points = _points(asked, controls)
    return Planned(
        points,
        sum(point["own trainings"] + point["controls"] for point in points),
        len(trainings),
        len(trainings & done),
        sum(cells[name].num_steps for name in trainings - done),
        least_seconds(work, training_seconds(work, done, first.context), first.jobs),
        is_chosen,
    )


def _points(asked: Asked, controls: "Sequence[Part]") -> list[dict[str, Any]]:
    """Of each point how many trainings it asks for."""
    return [
        {
            "point": point.label,
            "run": asked.prepared[i].plan.id,
            "own trainings": len({row.cell for row in asked.own[i].rows}),
            "controls": len({row.cell for row in controls[i].rows}) if controls else 0,
        }
        for i, point in enumerate(asked.points)
    ]
