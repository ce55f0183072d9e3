"""What trainings depend on beside seeds and masks: the data, the model, the recipe."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lottery_ticket.pruning import PIPELINES, Pipeline
from lottery_ticket.spec import DataSpec, Spec, canonical
from lottery_ticket.steps import Duration, steps_per_epoch
from lottery_ticket.train import BF16_NUMERICS
from lottery_ticket.train import NUMERICS as LOOP_NUMERICS

__all__ = ["INIT_NUMERICS", "Inputs", "Setting"]

INIT_NUMERICS = 1  # raised when a seed gives other initial weights
_AUGMENT_NUMERICS = 1  # raised when a seed gives other augmented images


@dataclass(frozen=True)
class Inputs:
    """What a plan needs to know of the outside world.

    Args:
        data_digest: SHA-256 of the decoded data.
        num_train: training examples.
        data_options: the data set's options, except where its files lie.
        model_options: the model's options, those that follow from the data included.
        layers: parameter that is pruned → its shape, in model order.
        sources: hashes of the user's code, by what it defines (`data`, `model`).
        input_shape: of one example.
        source: the same for the experiment that tickets are taken over from.
        input_dims: which dimension of a layer counts its inputs, where it is not 1.
        num_ignored: weights of prunable layers that the experiment leaves dense.
        notes: what is odd about the data and yet allowed, a sentence each.
    """

    data_digest: str
    num_train: int
    data_options: Mapping[str, Any]
    model_options: Mapping[str, Any]
    layers: Mapping[str, tuple[int, ...]]
    sources: Mapping[str, str] = field(default_factory=dict)
    input_shape: tuple[int, ...] = ()
    source: "Inputs | None" = None
    input_dims: Mapping[str, int] = field(default_factory=dict)
    num_ignored: int = 0
    notes: tuple[str, ...] = ()

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
class Setting:
    """What all trainings on one data set by one recipe have in common.

    Args:
        spec, inputs: where it is from.
        recipe: the inputs that every cell of it has.
        num_steps: optimiser steps of a whole training.
        rewind_step: k, the step that tickets are rewound to.
    """

    spec: Spec
    inputs: Inputs
    recipe: Mapping[str, Any]
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

    def stretched(self, num_steps: int) -> dict[str, Any]:
        """The recipe's `train` over another number of steps, milestones in proportion."""
        epoch = steps_per_epoch(self.inputs.num_train, self.spec.train.batch_size)
        train = {**self.recipe["train"], "duration": f"{num_steps}it"}
        if milestones := train.get("milestones"):
            steps = [Duration.parse(milestone).steps(epoch) for milestone in milestones]
            train["milestones"] = [f"{step * num_steps // self.num_steps}it" for step in steps]
        return train

    def pipeline(self, name: str | None) -> Pipeline:
        """A pipeline by name; None for the ticket's own."""
        return PIPELINES[name or ("rewind" if self.rewind_step else "lth")]


def _recipe(spec: Spec, inputs: Inputs) -> dict[str, Any]:
    numerics = {"loop": LOOP_NUMERICS, "init": INIT_NUMERICS}
    if spec.train.augment:
        numerics["augment"] = _AUGMENT_NUMERICS
    if spec.train.precision == "bf16":
        numerics["bf16"] = BF16_NUMERICS
    data = {"name": spec.data.name, **inputs.data_options, "digest": inputs.data_digest}
    model = {"name": spec.model.name, **inputs.model_options}
    for kind, options in (("data", data), ("model", model)):
        if kind in inputs.sources:
            options["source"] = inputs.sources[kind]
    train = canonical(spec.train)
    if spec.train.schedule == "step":
        train["gamma"] = spec.train.step_gamma
    return {"kind": "train", "numerics": numerics, "data": data, "model": model, "train": train}
