"""What trainings depend on beside seeds and masks: the data, the model, the recipe."""

import functools
from dataclasses import dataclass, replace

from lottery_ticket.experiment.cells.train import Recipe
from lottery_ticket.experiment.objects.initial import Described
from lottery_ticket.experiment.objects.inputs import Inputs
from lottery_ticket.pruning import PIPELINES, Pipeline
from lottery_ticket.spec import DataSpec, Spec
from lottery_ticket.steps import Duration, steps_per_epoch
from lottery_ticket.train import BF16_NUMERICS
from lottery_ticket.train import NUMERICS as LOOP_NUMERICS

__all__ = ["INIT_NUMERICS", "Setting"]

INIT_NUMERICS = 1  # raised when a seed gives other initial weights
_AUGMENT_NUMERICS = 1  # raised when a seed gives other augmented images


@dataclass(frozen=True)
class Setting:
    """What all trainings on one data set by one recipe have in common.

    Args:
        spec, inputs: where it is from.
        recipe: that every cell of it has.
        num_steps: optimiser steps of a whole training.
        rewind_step: k, the step that tickets are rewound to.
    """

    spec: Spec
    inputs: Inputs
    recipe: Recipe
    num_steps: int
    rewind_step: int

    @classmethod
    def of(cls, spec: Spec, inputs: Inputs) -> "Setting":
        """The setting of a spec.

        Raises:
            UsageError: a length has no effect.
        """
        epoch = steps_per_epoch(inputs.num_train, spec.train.batch_size)
        spec.check_lengths(epoch)
        num_steps = Duration.parse(spec.train.duration).steps(epoch)
        rewind_step = Duration.parse(spec.rewind).steps(epoch)
        return cls(spec, inputs, _recipe(spec, inputs), num_steps, rewind_step)

    @functools.cached_property
    def data(self) -> DataSpec:
        """Which data its cells look at, and where these are found."""
        return self.spec.data_said

    def stretched(self, num_steps: int) -> Recipe:
        """The recipe over another number of steps, milestones in proportion."""
        train = self.recipe.train
        epoch = steps_per_epoch(self.inputs.num_train, train.batch_size)
        steps = [Duration.parse(milestone).steps(epoch) for milestone in train.milestones]
        milestones = tuple(f"{step * num_steps // self.num_steps}it" for step in steps)
        changes = {"duration": f"{num_steps}it", "milestones": milestones}
        return replace(self.recipe, train=train.model_copy(update=changes))

    @property
    def pipeline(self) -> Pipeline:
        """The ticket's."""
        return PIPELINES["rewind" if self.rewind_step else "lth"]


def _recipe(spec: Spec, inputs: Inputs) -> Recipe:
    numerics = {"loop": LOOP_NUMERICS, "init": INIT_NUMERICS}
    if spec.train.augment:
        numerics["augment"] = _AUGMENT_NUMERICS
    if spec.train.precision == "bf16":
        numerics["bf16"] = BF16_NUMERICS
    train = spec.train
    if train.schedule == "step":
        train = train.model_copy(update={"gamma": train.step_gamma})
    return Recipe(
        numerics,
        Described(
            spec.data.name,
            inputs.data_options,
            inputs.sources.get(("data", spec.data.name)),
            inputs.data_digest,
        ),
        Described(
            spec.model.name, inputs.model_options, inputs.sources.get(("model", spec.model.name))
        ),
        train,
        {
            kind: inputs.sources[kind, name]
            for kind, name in train.code()
            if (kind, name) in inputs.sources
        },
    )
