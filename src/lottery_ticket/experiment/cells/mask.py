"""Mask cells: from trained weights and the mask before, from another mask, or from a model as it
is at initialisation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from lottery_ticket.arms import ARMS
from lottery_ticket.connectivity import align
from lottery_ticket.criteria import CRITERIA, inverse
from lottery_ticket.data import Features, Split, take
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.cells.cell import MASK, WEIGHTS, Cell
from lottery_ticket.experiment.cells.making import Made, Parents, Workspace
from lottery_ticket.experiment.objects.build import load_data
from lottery_ticket.experiment.objects.initial import Described, drawn_model
from lottery_ticket.experiment.objects.recipe import loss_of
from lottery_ticket.masks import SCOPES, Budget, PruningMask, shuffle
from lottery_ticket.pruning import next_mask
from lottery_ticket.seeds import generator
from lottery_ticket.spec import TrainSpec
from lottery_ticket.train import as_plain_

__all__ = [
    "Aligned",
    "Examples",
    "MaskCell",
    "Remade",
    "Seen",
    "Selection",
    "Shuffle",
    "Structure",
    "make_mask",
    "remade_mask",
]


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
class Remade:
    """What the function of a user's arm makes of the parent's mask, which keeps as many weights.

    Args:
        arm: whose function.
        source: its hash.
        seed: of the generator that it is given.
    """

    arm: str
    source: str
    seed: int
    structure: Structure = Structure()

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs."""
        return {"how": "arm", "arm": self.arm, "source": self.source, "seed": self.seed}


@dataclass(frozen=True)
class Aligned:
    """The parent's mask of another net, its units permuted as that net is aligned to this one's, by
    their weights. The nets: the parents `weights`, and `other_weights`.

    Args:
        model: of both nets.
        input_shape: of one example, for which the model's graph is followed.
        numerics: raised when the same nets are aligned otherwise.
    """

    model: Described
    input_shape: tuple[int, ...]
    numerics: int
    structure: Structure = Structure()

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs."""
        return {
            "how": "align",
            "by": "weights",
            "align_numerics": self.numerics,
            "model": self.model.inputs(),
            "input_shape": list(self.input_shape),
        }


@dataclass(frozen=True)
class Selection:
    """The best of what the parent's mask keeps, or of all.

    Args:
        criterion: a registered name.
        numerics: the criterion's.
        structure: what is selected together, and over what.
        keep: weights, of all layers together or of each.
        seed: of a criterion that draws, or looks at no weights.
        is_inverted: whether the lowest scores are kept.
        source: hash of the criterion, if that is a user's.
        options: the criterion's own, if any are given.
    """

    criterion: str
    numerics: int
    structure: Structure
    keep: int | Mapping[str, int]
    seed: int | None = None
    is_inverted: bool = False
    source: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

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
            **({} if self.source is None else {"source": self.source}),
            **({"criterion_options": dict(self.options)} if self.options else {}),
            **self.structure.inputs(),
        }


@dataclass(frozen=True)
class Examples:
    """The training examples that a criterion looks at.

    Args:
        data: of which they are.
        train: the recipe, which says the loss and how many there are at a time.
        per_output: how many for each output of the model.
        seed: which.
        source: hash of the loss, if that is a user's.
    """

    data: Described
    train: TrainSpec
    per_output: int
    seed: int
    source: str | None = None

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs."""
        return {
            "data": self.data.inputs(),
            "loss": self.train.loss,
            "examples_per_output": self.per_output,
            "batch_size": self.train.batch_size,
            "examples_seed": self.seed,
            **({"loss_options": options} if (options := dict(self.train.loss_options)) else {}),
            **({"loss_source": self.source} if self.source else {}),
        }


@dataclass(frozen=True)
class Seen:
    """What a criterion sees beside weights: the model, and examples.

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
        how: by shuffling the parent, by a user's function of it, by alignment, or by selection.
        seen: what the criterion sees beside trained weights, or instead of them.
    """

    kind: ClassVar[str] = "mask"
    reads: ClassVar[Mapping[str, str]] = {**Cell.reads, "other_weights": WEIGHTS}

    numerics: int
    layers: tuple[tuple[str, tuple[int, ...]], ...]
    how: Shuffle | Remade | Aligned | Selection
    seen: Seen | None = None

    def own_inputs(self) -> dict[str, Any]:
        return {
            "numerics": self.numerics,
            # as pairs: in canonical JSON the keys of a mapping lose their order
            "layers": [[name, list(shape)] for name, shape in self.layers],
            **self.how.inputs(),
            **({} if self.seen is None else self.seen.inputs()),
        }


def make_mask(cell: MaskCell, parents: Parents, workspace: Workspace) -> Made:
    """The mask of a cell; there is but one way to execute it."""
    before = parents.mask()
    if isinstance(cell.how, Shuffle):
        assert before is not None
        mask = shuffle(before, generator(cell.how.seed), **cell.how.structure.options())
    elif isinstance(cell.how, Remade):
        assert before is not None
        mask = remade_mask(cell.how.arm, before, generator(cell.how.seed))
    elif isinstance(cell.how, Aligned):
        assert before is not None
        mask = _aligned(cell.how, before, parents)
    else:
        mask = _selected(cell, cell.how, before, _scored(cell, cell.how, parents, workspace))
    results = {
        "num_kept": mask.num_kept,
        "num_prunable": mask.num_prunable,
        "layers": {name: int(kept.sum()) for name, kept in mask.items()},
    }
    return Made({MASK: mask.to_bytes()}, results)


def remade_mask(arm: str, before: PruningMask, draws: torch.Generator) -> PruningMask:
    """What the function of a user's arm makes of a mask.

    Raises:
        UsageError: it fails, or keeps another number of weights.
    """
    function = ARMS[arm].mask
    assert callable(function)
    given = {name: kept.clone() for name, kept in before.items()}
    try:
        made = PruningMask.from_tensors(dict(function(given, draws)))
    except Exception as error:  # a user's own may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UsageError(f"arm {arm!r}: its mask cannot be made: {reason}") from error
    shapes, wanted = ({n: tuple(k.shape) for n, k in mask.items()} for mask in (made, before))
    if shapes != wanted or made.num_kept != before.num_kept:
        raise UsageError(
            f"arm {arm!r}: its mask keeps {made.num_kept:,} weights of {len(made)} layers, "
            f"wanted {before.num_kept:,} of the ticket's {len(before)}"
        )
    return made


def _aligned(how: Aligned, before: PruningMask, parents: Parents) -> PruningMask:
    """A mask of another net, its units in the order of this one's; on the CPU, as all masks."""
    model = as_plain_(drawn_model(how.model, 0))
    model.load_state_dict(parents.tensors("other_weights"))
    found = align(parents.tensors("weights"), to=model, example=torch.zeros(2, *how.input_shape))
    return found.apply(before)


def _scored(
    cell: MaskCell, how: Selection, parents: Parents, workspace: Workspace
) -> dict[str, Any]:
    """What the criterion looks at."""
    given: dict[str, Any] = {"generator": generator(how.seed or 0)}
    if cell.seen is not None:
        start = parents.tensors("initial") if "initial" in parents else None
        given |= _beside_weights(cell, how, cell.seen, workspace, start)
    if "weights" in parents:
        given["weights"] = parents.tensors("weights")
    elif cell.seen is None:
        given["weights"] = {name: torch.empty(shape) for name, shape in cell.layers}
    return given


def _beside_weights(
    cell: MaskCell,
    how: Selection,
    seen: Seen,
    workspace: Workspace,
    start: Mapping[str, torch.Tensor] | None,
) -> dict[str, Any]:
    """The model before any training, on the CPU whatever the device, so that the mask is the same
    everywhere; and a few training examples, without augmentation."""
    model = as_plain_(drawn_model(seen.model, seen.seed))
    if start is not None:
        model.load_state_dict(dict(start))
    given: dict[str, Any] = {"model": model}
    if "initial" in CRITERIA[how.criterion].needs:
        given["initial"] = {name: value.clone() for name, value in model.state_dict().items()}
    if seen.input_shape is not None:
        given["input_shape"] = list(seen.input_shape)
    if (wanted := seen.examples) is not None:
        assert cell.data is not None
        data = load_data(cell.data, workspace.data_dir, digest=wanted.data.digest)
        num_examples = wanted.per_output * data.output_size
        order = torch.randperm(len(data.train), generator=generator(wanted.seed))
        given["batches"] = _batches(data.train, order[:num_examples], wanted.train.batch_size)
        given["loss"] = loss_of(wanted.train)
    return given


def _batches(
    split: Split, rows: torch.Tensor, batch_size: int
) -> list[tuple[Features, torch.Tensor]]:
    return [(take(split.x, part), split.y[part]) for part in rows.split(batch_size)]


def _selected(
    cell: MaskCell, how: Selection, before: PruningMask | None, given: Mapping[str, Any]
) -> PruningMask:
    if before is None:
        ones = {name: torch.ones(shape, dtype=torch.bool) for name, shape in cell.layers}
        before = PruningMask.from_tensors(ones)
    criterion = CRITERIA[how.criterion].with_options(how.options)
    if how.is_inverted:
        criterion = inverse(criterion)
    return next_mask(
        criterion, before, _budget(how.keep, before), **how.structure.options(), **given
    )


def _budget(keep: int | Mapping[str, int], layers: Mapping[str, Any]) -> Budget:
    if isinstance(keep, int):
        return Budget(keep)
    return Budget(sum(keep.values()), tuple((name, keep[name]) for name in layers))
