"""`plan`: spec → cells, a pure function. Every cell has its name before anything runs.

A cell's name is the fingerprint of its own inputs and of its parents' names, so that equal work is
one cell however many arms and runs ask for it: the dense level 0 of a recipe and seed is trained
once.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment._cell import OPTIMIZER, WEIGHTS, Cell
from lottery_ticket.experiment._narrow import narrowed
from lottery_ticket.experiment._replicate import At, Replicate
from lottery_ticket.experiment._setting import Inputs, Setting
from lottery_ticket.masks import Budget, budget_at_densities, budget_at_rates
from lottery_ticket.spec import DataSpec, Spec, fingerprint
from lottery_ticket.store import RunRow

__all__ = ["Plan", "plan"]

# role of a parent → which of its files is read
_READS = {"weights": WEIGHTS, "optimizer": OPTIMIZER}


@dataclass(frozen=True)
class Plan:
    """All cells of a run, parents first, and which of them fills which row of its table."""

    id: str
    spec: Spec
    inputs: Inputs
    budgets: tuple[Budget, ...]
    cells: Mapping[str, Cell]
    rows: tuple[RunRow, ...]

    @property
    def num_steps(self) -> int:
        """Optimiser steps of all trainings."""
        return sum(cell.num_steps for cell in self.cells.values())


def plan(spec: Spec, inputs: Inputs) -> Plan:
    """The cells and rows of an experiment; a pure function of its arguments.

    Raises:
        UsageError: a level would prune or keep nothing, a length in `train` has no effect, tickets
            of other data do not fit, or a model has no narrower form.
    """
    return _Planner(spec, inputs).plan()


class _Planner:
    """Names cells, and keeps account of those there are."""

    def __init__(self, spec: Spec, inputs: Inputs) -> None:
        self.spec = spec
        self.setting = Setting.of(spec, inputs)
        self.source = _source(spec, inputs)
        self.budgets = _budgets(spec, inputs.sizes)
        self.cells: dict[str, Cell] = {}
        self._narrow: dict[int, tuple[dict[str, Any], int]] = {}

    def plan(self) -> Plan:
        rows = [row for number in range(self.spec.replicates) for row in self._rows(number)]
        arms = [arm.name for arm in self.spec.arms]
        rows.sort(key=lambda row: (arms.index(row.arm), row.level, row.replicate, row.draw))
        cells = self._needed_cells(rows)
        suffix = fingerprint([[*vars(row).values()] for row in rows])[:8]
        return Plan(
            f"{self.spec.name}-{suffix}",
            self.spec,
            self.setting.inputs,
            tuple(self.budgets),
            cells,
            tuple(rows),
        )

    def add(
        self,
        inputs: dict[str, Any],
        parents: Mapping[str, str],
        label: dict[str, Any],
        data: DataSpec | None = None,
        num_steps: int = 0,
    ) -> str:
        full = {**inputs, "parents": parents}
        name = fingerprint(full)
        if name not in self.cells:
            self.cells[name] = Cell(name, full, parents, label, data, num_steps)
        return name

    def narrow(self, level: int) -> tuple[dict[str, Any], int]:
        if level not in self._narrow:
            name, options = self.spec.model.name, self.setting.inputs.model_options
            self._narrow[level] = narrowed(name, options, self.budgets[level].total)
        return self._narrow[level]

    def _rows(self, number: int) -> list[RunRow]:
        source = None if self.source is None else Replicate(self, self.source, number)
        replicate = Replicate(self, self.setting, number, source)
        # the ticket comes first, since most arms hang off its masks
        arms = sorted(self.spec.arms, key=lambda arm: arm.name != "ticket")
        rows = [
            replicate.row(At(arm.name, level, draw))
            for arm in arms
            for draw in range(arm.draws)
            for level in range(len(self.budgets))
        ]
        only = None if self.spec.source is None else self.spec.source.level
        return [row for row in rows if only is None or row.level in (0, only)]

    def _needed_cells(self, rows: list[RunRow]) -> dict[str, Cell]:
        needed: set[str] = set()
        feeds: dict[str, set[str]] = defaultdict(set)
        todo = [row.cell for row in rows]
        while todo:
            name = todo.pop()
            if name in needed:
                continue
            needed.add(name)
            for role, parent in self.cells[name].parents.items():
                todo.append(parent)
                if role in _READS:
                    feeds[parent].add(_READS[role])
        cells = [self.cells[name] for name in self.cells if name in needed]
        cells.sort(key=lambda cell: cell.label["level"])  # stable: parents stay first
        return {cell.name: replace(cell, feeds=frozenset(feeds[cell.name])) for cell in cells}


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
    return Setting.of(other, inputs.source)


def _budgets(spec: Spec, sizes: dict[str, int]) -> list[Budget]:
    prune = spec.prune
    if prune.densities:
        densities = list(prune.densities)
        budgets = budget_at_densities(sizes, scope=prune.scope, densities=densities)
    else:
        assert prune.rate is not None
        budgets = budget_at_rates(
            sizes, scope=prune.scope, rate=prune.rate, levels=prune.num_levels, rates=prune.rates
        )
    for level, (before, after) in enumerate(pairwise(budgets), 1):
        if after.total == 0 or after.total == before.total:
            outcome = "prune nothing" if after.total else "keep nothing"
            raise UsageError(
                f"prune: level {level} would {outcome} ({before.total:,} weights are left before "
                f"it, of {budgets[0].total:,}); use fewer levels"
            )
    return budgets
