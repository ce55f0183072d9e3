"""A plan in the making: its cells so far, and how many weights each level keeps."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment._budgets import level_budgets
from lottery_ticket.experiment._cell import OPTIMIZER, WEIGHTS, Cell
from lottery_ticket.experiment._narrow import narrowed
from lottery_ticket.experiment._setting import Inputs
from lottery_ticket.spec import DataSpec, Spec, fingerprint

__all__ = ["Draft"]

# role of a parent → which of its files is read
_READS = {"weights": WEIGHTS, "optimizer": OPTIMIZER}


class Draft:
    """Names cells, and keeps account of those there are.

    Args:
        spec, inputs: of the plan.

    Raises:
        UsageError: a level would prune or keep nothing.
    """

    def __init__(self, spec: Spec, inputs: Inputs) -> None:
        self.budgets = level_budgets(spec.prune, inputs)
        self._model = (spec.model.name, inputs.model_options)
        self._num_ignored = inputs.num_ignored
        self._cells: dict[str, Cell] = {}
        self._narrow: dict[int, tuple[dict[str, Any], int]] = {}

    def add(
        self,
        inputs: dict[str, Any],
        parents: Mapping[str, str],
        label: dict[str, Any],
        data: DataSpec | None = None,
        num_steps: int = 0,
    ) -> str:
        """The name of the cell of these inputs, which is part of the draft from now on."""
        full = {**inputs, "parents": parents}
        name = fingerprint(full)
        if name not in self._cells:
            self._cells[name] = Cell(name, full, parents, label, data, num_steps)
        return name

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
            for role, parent in self._cells[name].parents.items():
                todo.append(parent)
                if role in _READS:
                    feeds[parent].add(_READS[role])
        cells = [self._cells[name] for name in self._cells if name in needed]
        cells.sort(key=lambda cell: cell.label["level"])  # stable: parents stay first
        return {cell.name: replace(cell, feeds=frozenset(feeds[cell.name])) for cell in cells}
