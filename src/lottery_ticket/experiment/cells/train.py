"""Training cells."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import torch

from lottery_ticket.criteria import CRITERIA
from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.objects.initial import Described, Initial
from lottery_ticket.masks import Budget, MaskPolicy, PruningMask
from lottery_ticket.pruning import ScorePolicy, Target, made_policy
from lottery_ticket.spec import TrainSpec, canonical, canonical_json
from lottery_ticket.train import OPTIMIZERS

__all__ = ["MovingMask", "Recipe", "Seeds", "TrainCell"]


@dataclass(frozen=True)
class Recipe:
    """What decides how a cell trains, beside masks and seeds.

    Args:
        numerics: part → its version, raised when the same inputs train to other bytes.
        data, model: what is trained on what.
        train: how.
        sources: what of it is a user's own code → hash of the source.
    """

    numerics: Mapping[str, int]
    data: Described
    model: Described
    train: TrainSpec
    sources: Mapping[str, str] = field(default_factory=dict)

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs."""
        return {
            "numerics": dict(self.numerics),
            "data": self.data.inputs(),
            "model": self.model.inputs(),
            "train": canonical(self.train),
            **({"sources": dict(self.sources)} if self.sources else {}),
        }


@dataclass(frozen=True)
class Seeds:
    """Of what is drawn.

    Args:
        init: the weights.
        order: the order of the examples.
        noise: what the model draws, such as dropout.
        augment: changes of the examples, if there are any.
    """

    init: int
    order: int
    noise: int
    augment: int | None = None

    def inputs(self) -> dict[str, int]:
        """Their part of a cell's inputs."""
        return {name: seed for name, seed in vars(self).items() if seed is not None}


@dataclass(frozen=True)
class MovingMask:
    """A mask that changes during a training, from dense to what it ends with.

    Args:
        policy: a registered name.
        options: its own.
        layers: parameter and shape, in model order.
        keep: weights at the end, of all layers together or of each.
        criterion, scope: what the policy scores by, and over what.
        seed: of what it draws.
        numerics: raised when it makes other masks of the same.
        sources: what of it is a user's own code → hash of the source.
        criterion_options: the criterion's own, if any are given.
    """

    policy: str
    options: Mapping[str, Any]
    layers: tuple[tuple[str, tuple[int, ...]], ...]
    keep: Budget
    criterion: str
    scope: str
    seed: int
    numerics: Mapping[str, int]
    sources: Mapping[str, str] = field(default_factory=dict)
    criterion_options: Mapping[str, Any] = field(default_factory=dict)

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs."""
        per_layer, options = self.keep.per_layer, dict(self.criterion_options)
        return {
            "policy": self.policy,
            "options": dict(self.options),
            "layers": [[name, list(shape)] for name, shape in self.layers],
            "keep": self.keep.total if per_layer is None else dict(per_layer),
            "criterion": self.criterion,
            **({"criterion_options": options} if options else {}),
            "scope": self.scope,
            "seed": self.seed,
            "numerics": dict(self.numerics),
            **({"sources": dict(self.sources)} if self.sources else {}),
        }

    def first_mask(self) -> PruningMask:
        """The dense one."""
        ones = {name: torch.ones(shape, dtype=torch.bool) for name, shape in self.layers}
        return PruningMask.from_tensors(ones)

    def made(self, first_step: int, last_step: int) -> MaskPolicy:
        """The policy of a training from a step to another.

        Raises:
            UsageError: an option makes no sense, or it makes no policy.
        """
        size = sum(prod(shape) for _, shape in self.layers)
        criterion = CRITERIA[self.criterion].with_options(self.criterion_options)
        target = Target(self.keep, size, first_step, last_step, criterion, self.scope)
        return made_policy(self.policy, target, self.options)


@dataclass(frozen=True, kw_only=True)
class TrainCell(Cell):
    """A training.

    Its parents: `mask`, what it keeps; `weights`, what it starts from if that is not drawn;
    `optimizer`, what its optimiser remembers.

    Args:
        recipe: what trains on what, and how.
        seeds: of what is drawn.
        last_step: the step at which it ends.
        first_step: the step at which it starts: its place in the schedule and in the data.
        until_step: the same as `last_step`, of a training that ends before its recipe does.
        initial: how drawn weights are changed before it starts.
        moving: how its mask changes, where it does; then it makes a mask too.
    """

    kind: ClassVar[str] = "train"

    recipe: Recipe
    seeds: Seeds
    last_step: int
    first_step: int = 0
    until_step: int | None = None
    initial: Initial | None = None
    moving: MovingMask | None = None

    @property
    def train(self) -> TrainSpec:
        """How it trains."""
        return self.recipe.train

    @property
    def num_steps(self) -> int:
        return self.last_step - self.first_step

    @property
    def title(self) -> str:
        return str(self.label)

    def own_inputs(self) -> dict[str, Any]:
        options = {
            "start_step": self.first_step or None,
            "until_step": self.until_step,
            "initial": None if self.initial is None else self.initial.inputs(),
            "moving": None if self.moving is None else self.moving.inputs(),
        }
        given = {name: value for name, value in options.items() if value is not None}
        return {**self.recipe.inputs(), "seeds": self.seeds.inputs(), **given}

    @cached_property
    def batch_key(self) -> Hashable:
        if OPTIMIZERS.entry(self.train.optimizer).is_user:
            return None  # over stacked models only an elementwise update is the same
        if self.moving is not None:
            policy = self.moving.made(self.first_step, self.last_step)
            if isinstance(policy, ScorePolicy):
                return None  # what is trained is no weight
        return canonical_json(self.recipe.inputs()), self.first_step, self.last_step
