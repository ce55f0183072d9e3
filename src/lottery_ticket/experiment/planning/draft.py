"""A plan in the making: its cells so far, and how many weights each level keeps."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.objects.inputs import Inputs
from lottery_ticket.experiment.planning.budgets import level_budgets
from lottery_ticket.experiment.planning.narrow import narrowed
from lottery_ticket.spec import Spec

__all__ = ["Draft"]


class Draft:
    """Names cells, and keeps account of those there are.

    Args:
        spec, inputs: of the plan.
        cells: those that a draft of another spec has, which from now on are of both; None for none.

    Raises:
        UsageError: a level would prune or keep nothing.
    """

    def __init__(self, spec: Spec, inputs: Inputs, cells: dict[str, Cell] | None = None) -> None:
        self.budgets = level_budgets(spec.prune, inputs)
        self._model = (spec.model.name, inputs.model_options)
        self._num_ignored = inputs.num_ignored
        self._cells: dict[str, Cell] = {} if cells is None else cells
        self._narrow: dict[int, tuple[dict[str, Any], int]] = {}

    def add(self, cell: Cell) -> str:
        """The name of a cell, which is part of the draft from now on."""
        return self._cells.setdefault(cell.name, cell).name

    def narrow(self, level: int) -> tuple[dict[str, Any], int]:
        """The options of the narrower net of a level, and its number of weights beyond those that
        the experiment leaves dense: nets are compared as wholes.

        Raises:
            UsageError: the widths of the model cannot be scaled, or not so far.
        """
        if level not in self._narrow:
            ignored = self._num_ignored
            options, count = narrowed(*self._model, self.budgets[level].total + ignored)
            if count <= ignored:
                raise UsageError(
                    f"dense_small: the narrower net of level {level} has {count:,} weights, no "
                    f"more than prune.ignore leaves dense ({ignored:,}); leave the arm out"
                )
            self._narrow[level] = options, count - ignored
        return self._narrow[level]

    def needed(self, names: Iterable[str]) -> dict[str, Cell]:
        """These cells and all that they are made from, parents first."""
        needed: set[str] = set()
        feeds: dict[str, set[str]] = defaultdict(set)
        todo = list(names)
        while todo:
            name = todo.pop()
            if name in needed:
                continue
            needed.add(name)
            cell = self._cells[name]
            for role, parent in cell.parents.items():
                todo.append(parent)
                feeds[parent].add(cell.reads[role])
        cells = [self._cells[name] for name in self._cells if name in needed]
        cells.sort(key=lambda cell: cell.label.level)  # stable: parents stay first
        return {cell.name: cell.feeding(frozenset(feeds[cell.name])) for cell in cells}
