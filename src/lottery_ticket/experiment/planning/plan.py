"""`plan`: spec → cells, a pure function. Every cell has its name before anything runs.

A cell's name is the fingerprint of its own inputs and of its parents' names, so that equal work is
one cell however many arms and runs ask for it: the dense level 0 of a recipe and seed is trained
once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lottery_ticket.arms import ARMS, TICKET
from lottery_ticket.chain import At
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.objects.inputs import Inputs
from lottery_ticket.experiment.planning.claim import claimed_level
from lottery_ticket.experiment.planning.draft import Draft
from lottery_ticket.experiment.planning.replicate import Replicate
from lottery_ticket.experiment.planning.setting import Setting
from lottery_ticket.masks import Budget
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.spec import Spec, fingerprint
from lottery_ticket.store import RunRow, staged_id

__all__ = ["Plan", "Work", "plan", "run_id"]


@dataclass(frozen=True)
class Work:
    """Cells to be made for a run, parents first; parents that are not among them are finished."""

    id: str
    cells: Mapping[str, Cell]

    _repr_html_ = notebook_html

    @property
    def num_steps(self) -> int:
        """Optimiser steps of all trainings."""
        return sum(cell.num_steps for cell in self.cells.values())


@dataclass(frozen=True)
class Plan(Work):
    """All cells of a run, and which of them fills which row of its table.

    `claim` is the level that the spec says the run is about.
    """

    spec: Spec
    inputs: Inputs
    budgets: tuple[Budget, ...]
    rows: tuple[RunRow, ...]
    claim: int | None = None


def plan(spec: Spec, inputs: Inputs) -> Plan:
    """The cells and rows of an experiment; a pure function of its arguments.

    Raises:
        UsageError: a level would prune or keep nothing, a length in `train` has no effect, tickets
            of other data do not fit, a model has no narrower form, or no level is the one claimed.
    """
    setting, source = Setting.of(spec, inputs), _source(spec, inputs)
    draft = Draft(spec, inputs)
    rows: list[RunRow] = []
    for number in range(spec.replicates):
        of_source = None if source is None else Replicate(draft, source, number)
        rows += _rows(Replicate(draft, setting, number, of_source))
    name, rows = run_id(spec, rows)
    return Plan(
        name,
        draft.needed(row.cell for row in rows),
        spec,
        inputs,
        tuple(draft.budgets),
        tuple(rows),
        claimed_level(spec.claim, rows, sum(inputs.sizes.values())),
    )


def run_id(spec: Spec, rows: Iterable[RunRow]) -> tuple[str, list[RunRow]]:
    """What a run of these rows is called, and the rows in their order.

    By all rows; of a staged run by its first replicate's, however many it comes to.
    """
    arms = [arm.name for arm in spec.arms]
    ordered = sorted(
        rows, key=lambda row: (arms.index(row.arm), row.level, row.replicate, row.draw)
    )
    if spec.until_decided is None:
        return f"{spec.name}-{_suffix(ordered)}", ordered
    first = _suffix(row for row in ordered if row.replicate == 0)
    return staged_id(spec.name, first), ordered


def _suffix(rows: Iterable[RunRow]) -> str:
    return fingerprint([[*vars(row).values()] for row in rows])[:8]


def _rows(replicate: Replicate) -> Iterator[RunRow]:
    """The rows of a replicate; a level hangs on the one before, whether or not it is shown."""
    spec = replicate.setting.spec
    only = None if spec.source is None else spec.source.level
    sparsest = len(replicate.draft.budgets) - 1 if only is None else only
    # the ticket comes first, since most arms hang off its masks
    for arm in sorted(spec.arms, key=lambda arm: arm.name != TICKET):
        for draw in range(arm.draws):
            for level in (0, sparsest) if ARMS[arm.name].is_long else range(sparsest + 1):
                row = replicate.row(At(arm.name, level, draw))
                if only is None or level in (0, only):
                    yield row


def _source(spec: Spec, inputs: Inputs) -> Setting | None:
    """The setting that tickets are taken over from; raises `UsageError` if they do not fit."""
    other = spec.source_spec
    if other is None:
        return None
    assert inputs.source is not None
    here, there = inputs.layers, inputs.source.layers
    for name in {**here, **there}:
        if here.get(name) != there.get(name):
            raise UsageError(
                f"source: tickets of {other.data.name!r} do not fit {spec.data.name!r}: "
                f"{name!r} is {there.get(name)} there and {here.get(name)} here; transfer to data "
                "of the same input shape and number of classes"
            )
    try:
        return Setting.of(other, inputs.source)
    except UsageError as error:
        raise UsageError(f"source: {error}") from None
