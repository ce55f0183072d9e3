"""Training cells."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.objects.initial import Described, Initial
from lottery_ticket.spec import TrainSpec, canonical, canonical_json
from lottery_ticket.train import OPTIMIZERS

__all__ = ["Recipe", "Seeds", "TrainCell"]


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
    """

    kind: ClassVar[str] = "train"

    recipe: Recipe
    seeds: Seeds
    last_step: int
    first_step: int = 0
    until_step: int | None = None
    initial: Initial | None = None

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
        }
        given = {name: value for name, value in options.items() if value is not None}
        return {**self.recipe.inputs(), "seeds": self.seeds.inputs(), **given}

    @cached_property
    def batch_key(self) -> Hashable:
        if OPTIMIZERS.entry(self.train.optimizer).is_user:
            return None  # over stacked models only an elementwise update is the same
        return canonical_json(self.recipe.inputs()), self.first_step, self.last_step
