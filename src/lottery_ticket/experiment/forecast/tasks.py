"""What is left of a plan, as tasks of a simulation: seconds and bytes of each cell."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lottery_ticket.experiment.cells.cell import MASK, OPTIMIZER, WEIGHTS, Cell
from lottery_ticket.experiment.forecast.assumptions import Task
from lottery_ticket.experiment.planning.plan import Plan

__all__ = ["cell_seconds", "tasks_of"]

_SET_UP_SECONDS = 0.01  # data, model and mask; and all that a cell without steps takes
_RECORD_BYTES = 4_000  # a record and how it ran, with the history of a training
_WEIGHT_BYTES = 4
_CHECKPOINT_WEIGHTS = 3  # the weights, and two numbers for each that an optimiser remembers


def tasks_of(
    plan: Plan, done: Collection[str], seconds: Mapping[str, float], *, keep: str = "all"
) -> dict[str, Task]:
    """The cells that are left, parents first.

    Bytes are counted by the weights that can be pruned, which are nearly all.

    Args:
        plan: the cells.
        done: names of those that are finished.
        seconds: name → seconds of making it, as of `cell_seconds`.
        keep: which trained weights are kept, as of a run.
    """
    sizes = _Sizes(sum(plan.inputs.sizes.values()))
    return {
        name: Task(
            parents=tuple(cell.parents.values()),
            seconds=seconds[name],
            num_read=len(cell.parents),
            read_bytes=sum(sizes.of_file(cell.reads[role]) for role in cell.parents),
            num_written=len(written := sizes.files(cell, keep)),
            written_bytes=_RECORD_BYTES + sum(map(sizes.of_file, written)),
            checkpoint_bytes=sizes.of_checkpoint if cell.num_steps else 0,
            label=cell.label,
        )
        for name, cell in plan.cells.items()
        if name not in done
    }


@dataclass(frozen=True)
class _Sizes:
    """Bytes of what cells write.

    Args:
        num_weights: of the model.
    """

    num_weights: int

    @property
    def of_checkpoint(self) -> int:
        return _CHECKPOINT_WEIGHTS * _WEIGHT_BYTES * self.num_weights

    def of_file(self, file: str) -> int:
        of_weights = _WEIGHT_BYTES * self.num_weights
        known = {WEIGHTS: of_weights, OPTIMIZER: of_weights, MASK: self.num_weights // 8}
        return known.get(file, _RECORD_BYTES)

    def files(self, cell: Cell, keep: str) -> Collection[str]:
        """What a cell commits."""
        if not cell.num_steps:
            return cell.feeds or {MASK}
        kept = cell.feeds if keep == "needed" else cell.feeds | {WEIGHTS}
        return kept | {"test_correct.bits"}


def cell_seconds(
    plan: Plan, tried: Mapping[str, float], executions: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """Name → seconds of making it, of each cell of a plan: as long as cells took that are like it,
    else as long as its steps were tried to take.

    Cells are alike that are of the same arm and level, or at least of the same level; trainings
    are counted by their steps.

    Args:
        plan: the cells.
        tried: name → seconds of steps, as of `training_seconds`.
        executions: name → how it ran, of those that are finished.
    """
    foreseen = {name: _SET_UP_SECONDS + tried.get(name, 0.0) for name in plan.cells}
    return foreseen | _measured_seconds(plan, executions)


def _measured_seconds(plan: Plan, executions: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    measured: dict[Hashable, list[tuple[float, int]]] = defaultdict(list)
    for name, execution in executions.items():
        if name in plan.cells and "train_seconds" in execution:
            cell = plan.cells[name]
            for likeness in _likenesses(cell):
                measured[likeness].append((execution["train_seconds"], cell.num_steps))
    seconds = {}
    for name, cell in plan.cells.items():
        like = next((measured[key] for key in _likenesses(cell) if key in measured), None)
        if like is not None:
            total, num_steps = map(sum, zip(*like, strict=True))
            share = cell.num_steps / num_steps if num_steps else 1 / len(like)
            seconds[name] = total * share
    return seconds


def _likenesses(cell: Cell) -> Iterator[Hashable]:
    """What it shares with cells that take as long, the closest likeness first."""
    kind = cell.kind, bool(cell.num_steps)
    yield (*kind, cell.label.arm, cell.label.level)
    yield (*kind, cell.label.level)
