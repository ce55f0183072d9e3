"""Mask cells: from trained weights and the mask before, from another mask, or from a model as it
is at initialisation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from lottery_ticket.criteria import CRITERIA, inverse
from lottery_ticket.data import Split
from lottery_ticket.experiment.cells.cell import MASK, Cell
from lottery_ticket.experiment.cells.making import Made, Parents, Workspace
from lottery_ticket.experiment.objects.build import load_data
from lottery_ticket.experiment.objects.initial import Described, drawn_model
from lottery_ticket.masks import SCOPES, Budget, PruningMask, shuffle
from lottery_ticket.pruning import next_mask
from lottery_ticket.seeds import generator
from lottery_ticket.train import LOSSES

__all__ = ["AtInit", "Examples", "MaskCell", "Selection", "Shuffle", "Structure", "make_mask"]


@dataclass(frozen=True)
class Structure:
    """Which weights are kept or pruned together.

    Args:
        scope: a scope of single weights, or a structure: `"2:4"`, `"channel"`.
        input_dims: the input dimension of a structure's weights, where it is not 1.
    """

    scope: str = "global"
    input_dims: Mapping[str, int] = field(default_factory=dict)

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs; nothing where weights are single."""
        if self.scope in SCOPES:
            return {}
        dims = {"input_dims": dict(self.input_dims)} if self.input_dims else {}
        return {"scope": self.scope, **dims}

    def options(self) -> dict[str, Any]:
        """As `next_mask` and `shuffle` take it."""
        structure = "unstructured" if self.scope in SCOPES else self.scope
        return {"structure": structure, "input_dims": self.input_dims or None}


@dataclass(frozen=True)
class Shuffle:
    """The parent's mask, permuted within its layers."""

    seed: int
    structure: Structure

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs."""
        return {"how": "shuffle", "seed": self.seed, **self.structure.inputs()}


@dataclass(frozen=True)
class Selection:
    """The best of what the parent's mask keeps, or of all.

    Args:
        criterion: a registered name.
        numerics: the criterion's.
        structure: what is selected together, and over what.
        keep: weights, of all layers together or of each.
        seed: of a criterion that looks at no weights.
        is_inverted: whether the lowest scores are kept.
    """

    criterion: str
    numerics: int
    structure: Structure
    keep: int | Mapping[str, int]
    seed: int | None = None
    is_inverted: bool = False

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs."""
        keep = self.keep if isinstance(self.keep, int) else dict(self.keep)
        seed = {} if self.seed is None else {"seed": self.seed}
        inverted = {"inverted": True} if self.is_inverted else {}
        return {
            "how": "prune",
            "criterion": self.criterion,
            "criterion_numerics": self.numerics,
            "scope": self.structure.scope,
            "keep": keep,
            **seed,
            **inverted,
            **self.structure.inputs(),
        }


@dataclass(frozen=True)
class Examples:
    """The training examples that a criterion looks at.

    Args:
        data: of which they are.
        loss: a registered name.
        per_output: how many for each output of the model.
        batch_size: how many at a time.
        seed: which.
    """

    data: Described
    loss: str
    per_output: int
    batch_size: int
    seed: int

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs."""
        return {
            "data": self.data.inputs(),
            "loss": self.loss,
            "examples_per_output": self.per_output,
            "batch_size": self.batch_size,
            "examples_seed": self.seed,
        }


@dataclass(frozen=True)
class AtInit:
    """A model before any training, which is scored instead of trained weights.

    Args:
        model: what is built.
        seed: what its weights are drawn with.
        numerics: raised when a seed gives other initial weights.
        examples: if the criterion looks at any.
        input_shape: of one example, if the criterion wants to know.
    """

    model: Described
    seed: int
    numerics: int
    examples: Examples | None = None
    input_shape: tuple[int, ...] | None = None

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs."""
        shape = {} if self.input_shape is None else {"input_shape": list(self.input_shape)}
        return {
            "model": self.model.inputs(),
            "init": self.seed,
            "init_numerics": self.numerics,
            **({} if self.examples is None else self.examples.inputs()),
            **shape,
        }


@dataclass(frozen=True, kw_only=True)
class MaskCell(Cell):
    """A mask.

    Args:
        numerics: raised when the same scores give another mask.
        layers: parameter and shape, in model order.
        how: by shuffling the parent, or by selection.
        at_init: what is scored where no trained weights are.
    """

    kind: ClassVar[str] = "mask"

    numerics: int
    layers: tuple[tuple[str, tuple[int, ...]], ...]
    how: Shuffle | Selection
    at_init: AtInit | None = None

    def own_inputs(self) -> dict[str, Any]:
        return {
            "numerics": self.numerics,
            # as pairs: in canonical JSON the keys of a mapping lose their order
            "layers": [[name, list(shape)] for name, shape in self.layers],
            **self.how.inputs(),
            **({} if self.at_init is None else self.at_init.inputs()),
        }


def make_mask(cell: MaskCell, parents: Parents, workspace: Workspace) -> Made:
    """The mask of a cell; there is but one way to execute it."""
    before = parents.mask()
    if isinstance(cell.how, Shuffle):
        assert before is not None
        mask = shuffle(before, generator(cell.how.seed), **cell.how.structure.options())
    else:
        mask = _selected(cell, cell.how, before, _scored(cell, cell.how, parents, workspace))
    results = {
        "num_kept": mask.num_kept,
        "num_prunable": mask.num_prunable,
        "layers": {name: int(kept.sum()) for name, kept in mask.items()},
    }
    return Made({MASK: mask.to_bytes()}, results)


def _scored(
    cell: MaskCell, how: Selection, parents: Parents, workspace: Workspace
) -> dict[str, Any]:
    """What the criterion looks at."""
    if cell.at_init is not None:
        return _initial(cell, cell.at_init, workspace)
    if "weights" in parents:
        weights = parents.tensors("weights")
    else:
        weights = {name: torch.empty(shape) for name, shape in cell.layers}
    return {"generator": generator(how.seed or 0), "weights": weights}


def _initial(cell: MaskCell, at_init: AtInit, workspace: Workspace) -> dict[str, Any]:
    """The model before any training, on the CPU whatever the device, so that the mask is the same
    everywhere; and a few training examples, without augmentation."""
    given: dict[str, Any] = {"model": drawn_model(at_init.model, at_init.seed)}
    if at_init.input_shape is not None:
        given["input_shape"] = list(at_init.input_shape)
    if (wanted := at_init.examples) is not None:
        assert cell.data is not None
        data = load_data(cell.data, workspace.data_dir, digest=wanted.data.digest)
        num_examples = wanted.per_output * data.output_size
        order = torch.randperm(len(data.train), generator=generator(wanted.seed))
        given["batches"] = _batches(data.train, order[:num_examples], wanted.batch_size)
        given["loss"] = LOSSES[wanted.loss]
    return given


def _batches(
    split: Split, rows: torch.Tensor, batch_size: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(split.x[part], split.y[part]) for part in rows.split(batch_size)]


def _selected(
    cell: MaskCell, how: Selection, before: PruningMask | None, given: Mapping[str, Any]
) -> PruningMask:
    if before is None:
        ones = {name: torch.ones(shape, dtype=torch.bool) for name, shape in cell.layers}
        before = PruningMask.from_tensors(ones)
    criterion = CRITERIA[how.criterion]
    if how.is_inverted:
        criterion = inverse(criterion)
    return next_mask(
        criterion, before, _budget(how.keep, before), **how.structure.options(), **given
    )


def _budget(keep: int | Mapping[str, int], layers: Mapping[str, Any]) -> Budget:
    if isinstance(keep, int):
        return Budget(keep)
    return Budget(sum(keep.values()), tuple((name, keep[name]) for name in layers))
