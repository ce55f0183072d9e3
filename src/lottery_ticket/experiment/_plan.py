"""`plan`: spec → cells, a pure function. Every cell has its name before anything runs.

A cell's name is the fingerprint of its own inputs and of its parents' names, so that equal work is
one cell however many arms and runs ask for it: the dense level 0 of a recipe and seed is trained
once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from lottery_ticket.criteria import CRITERIA
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Budget, budget_at_densities, budget_at_rates
from lottery_ticket.seeds import derive
from lottery_ticket.spec import ArmSpec, Spec, canonical, fingerprint
from lottery_ticket.steps import Duration, steps_per_epoch
from lottery_ticket.store import RunRow
from lottery_ticket.train import NUMERICS as LOOP_NUMERICS

__all__ = ["Cell", "Inputs", "Plan", "plan"]

_INIT_NUMERICS = 1  # raised when a seed gives other initial weights
_AUGMENT_NUMERICS = 1  # raised when a seed gives other augmented images
_MASK_NUMERICS = 1  # raised when the same scores give another mask


@dataclass(frozen=True)
class Inputs:
    """What a plan needs to know of the outside world.

    Args:
        data_digest: SHA-256 of the decoded data.
        num_train: training examples.
        data_options: the data set's options, except where its files lie.
        model_options: the model's options, those that follow from the data included.
        layers: prunable parameter → its shape, in model order.
        sources: hashes of the user's code, by what it defines (`data`, `model`).
    """

    data_digest: str
    num_train: int
    data_options: Mapping[str, Any]
    model_options: Mapping[str, Any]
    layers: Mapping[str, tuple[int, ...]]
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        """Weights per prunable parameter."""
        sizes = {}
        for name, shape in self.layers.items():
            sizes[name] = 1
            for side in shape:
                sizes[name] *= side
        return sizes


@dataclass(frozen=True)
class Cell:
    """One node of the plan: a training, or a mask.

    Args:
        name: fingerprint of `inputs`, which hold the parents' names.
        inputs: everything that decides the cell's bytes.
        parents: role → name of the cell it reads.
        label: where it stands in the run, for people: arm, level, replicate, draw, density.
        num_steps: optimiser steps; 0 for a mask.
        feeds_mask: whether some mask of the plan is made from its weights.
    """

    name: str
    inputs: Mapping[str, Any]
    parents: Mapping[str, str]
    label: Mapping[str, Any]
    num_steps: int = 0
    feeds_mask: bool = False

    @property
    def is_training(self) -> bool:
        """Whether the cell trains."""
        return self.inputs["kind"] == "train"


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
        UsageError: a level would prune or keep nothing, or a length in `train` has no effect.
    """
    return _Planner(spec, inputs).plan()


class _Planner:
    def __init__(self, spec: Spec, inputs: Inputs) -> None:
        self.spec = spec
        self.inputs = inputs
        epoch = steps_per_epoch(inputs.num_train, spec.train.batch_size)
        spec.train.check_lengths(epoch)
        self.budgets = _budgets(spec, inputs.sizes)
        self.cells: dict[str, Cell] = {}
        self.recipe = _recipe(spec, inputs)
        self.num_steps = Duration.parse(spec.train.duration).steps(epoch)

    def plan(self) -> Plan:
        rows = []
        for replicate in range(self.spec.replicates):
            rows += _Replicate(self, replicate).rows()
        arms = [arm.name for arm in self.spec.arms]
        shown = [row for row in rows if row.arm in arms]
        shown.sort(key=lambda row: (arms.index(row.arm), row.level, row.replicate, row.draw))
        cells = self._needed_cells(shown)
        suffix = fingerprint([[*vars(row).values()] for row in shown])[:8]
        return Plan(
            f"{self.spec.name}-{suffix}",
            self.spec,
            self.inputs,
            tuple(self.budgets),
            cells,
            tuple(shown),
        )

    def add(
        self,
        inputs: dict[str, Any],
        parents: dict[str, str],
        label: dict[str, Any],
        num_steps: int = 0,
    ) -> str:
        full = {**inputs, "parents": parents}
        name = fingerprint(full)
        if name not in self.cells:
            self.cells[name] = Cell(name, full, parents, label, num_steps)
        return name

    def _needed_cells(self, rows: list[RunRow]) -> dict[str, Cell]:
        needed: set[str] = set()
        todo = [row.cell for row in rows]
        while todo:
            name = todo.pop()
            if name not in needed:
                needed.add(name)
                todo += self.cells[name].parents.values()
        feeding = {self.cells[name].parents.get("weights") for name in needed}
        cells = [self.cells[name] for name in self.cells if name in needed]
        cells.sort(key=lambda cell: cell.label["level"])  # stable: parents stay first
        return {
            cell.name: Cell(**{**vars(cell), "feeds_mask": cell.name in feeding}) for cell in cells
        }


class _Replicate:
    """The chain and the branches of one replicate."""

    def __init__(self, planner: _Planner, replicate: int) -> None:
        self.planner = planner
        self.replicate = replicate
        self.root = derive(planner.spec.seed, "replicate", replicate)

    def rows(self) -> list[RunRow]:
        # the ticket comes first whether or not it is shown: the branches hang off its masks
        chain = list(self._chain())
        rows = chain
        for arm in self.planner.spec.arms:
            if arm.name != "ticket":
                rows = rows + [
                    row
                    for draw in range(arm.draws)
                    for row in self._branch(arm, draw, [row.mask for row in chain])
                ]
        return rows

    def _chain(self) -> Iterator[RunRow]:
        init = derive(self.root, "init")
        mask = None
        trained = self._training("ticket", 0, 0, init, mask)
        yield self._row("ticket", 0, 0, trained, mask)
        for level in range(1, len(self.planner.budgets)):
            mask = self._pruned(level, trained, mask)
            trained = self._training("ticket", level, 0, init, mask)
            yield self._row("ticket", level, 0, trained, mask)

    def _branch(self, arm: ArmSpec, draw: int, masks: list[str | None]) -> Iterator[RunRow]:
        init = derive(self.root, "init")
        if arm.name == "reinit":
            init = derive(self.root, "control", "reinit", draw)
        dense = self._training(arm.name, 0, draw, init, None)
        yield self._row(arm.name, 0, draw, dense, None)
        for level in range(1, len(masks)):
            mask = self._branch_mask(arm.name, level, draw, masks[level], dense)
            trained = self._training(arm.name, level, draw, init, mask)
            yield self._row(arm.name, level, draw, trained, mask)

    def _branch_mask(
        self, arm: str, level: int, draw: int, ticket_mask: str | None, dense: str
    ) -> str | None:
        if arm == "shuffled":
            assert ticket_mask is not None
            seed = derive(self.root, "control", "shuffled", draw, level)
            return self._mask(arm, level, draw, {"how": "shuffle", "seed": seed}, mask=ticket_mask)
        if arm == "random":
            seed = derive(self.root, "control", "random", draw)
            total = Budget(self.planner.budgets[level].total)
            return self._mask(arm, level, draw, self._selection("random", "global", total, seed))
        if arm == "oneshot":
            return self._pruned(level, dense, None, arm)
        return ticket_mask

    def _pruned(self, level: int, trained: str, mask: str | None, arm: str = "ticket") -> str:
        prune = self.planner.spec.prune
        seed = derive(self.root, "mask")
        budget = self.planner.budgets[level]
        inputs = self._selection(prune.criterion, prune.scope, budget, seed)
        weights = trained if CRITERIA[prune.criterion].needs_weights else None
        return self._mask(arm, level, 0, inputs, weights=weights, mask=mask)

    def _selection(self, criterion: str, scope: str, budget: Budget, seed: int) -> dict[str, Any]:
        entry = CRITERIA[criterion]
        inputs: dict[str, Any] = {"how": "prune", "criterion": criterion, "scope": scope}
        inputs["criterion_numerics"] = entry.numerics
        inputs["keep"] = budget.total if budget.per_layer is None else dict(budget.per_layer)
        if not entry.needs_weights:
            inputs["seed"] = seed
        return inputs

    def _mask(
        self, arm: str, level: int, draw: int, inputs: dict[str, Any], **parents: str | None
    ) -> str:
        full = {
            "kind": "mask",
            "numerics": _MASK_NUMERICS,
            # as pairs: in canonical JSON the keys of a mapping lose their order
            "layers": [[name, list(shape)] for name, shape in self.planner.inputs.layers.items()],
            **inputs,
        }
        present = {role: name for role, name in parents.items() if name is not None}
        return self.planner.add(full, present, self._label(arm, level, draw))

    def _training(self, arm: str, level: int, draw: int, init: int, mask: str | None) -> str:
        seeds = {
            "init": init,
            # by level too, so that a ticket never retrains on the order its mask was found with
            "order": derive(self.root, "order", level),
            "noise": derive(self.root, "noise", level),
        }
        if self.planner.spec.train.augment:
            seeds["augment"] = derive(self.root, "augment", level)
        inputs = {**self.planner.recipe, "seeds": seeds}
        parents = {} if mask is None else {"mask": mask}
        label = self._label(arm, level, draw)
        return self.planner.add(inputs, parents, label, self.planner.num_steps)

    def _label(self, arm: str, level: int, draw: int) -> dict[str, Any]:
        sizes = self.planner.inputs.sizes
        return {
            "arm": arm,
            "level": level,
            "replicate": self.replicate,
            "draw": draw,
            "density": self.planner.budgets[level].total / sum(sizes.values()),
        }

    def _row(self, arm: str, level: int, draw: int, cell: str, mask: str | None) -> RunRow:
        kept = self.planner.budgets[level].total
        return RunRow(arm, level, self.replicate, draw, kept, cell, mask)


def _recipe(spec: Spec, inputs: Inputs) -> dict[str, Any]:
    """What all trainings of a spec have in common."""
    numerics = {"loop": LOOP_NUMERICS, "init": _INIT_NUMERICS}
    if spec.train.augment:
        numerics["augment"] = _AUGMENT_NUMERICS
    data = {"name": spec.data.name, **inputs.data_options, "digest": inputs.data_digest}
    model = {"name": spec.model.name, **inputs.model_options}
    for kind, options in (("data", data), ("model", model)):
        if kind in inputs.sources:
            options["source"] = inputs.sources[kind]
    train = canonical(spec.train)
    if spec.train.schedule == "step":
        train["gamma"] = spec.train.step_gamma
    return {"kind": "train", "numerics": numerics, "data": data, "model": model, "train": train}


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
