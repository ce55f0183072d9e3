"""One node of a plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lottery_ticket.spec import DataSpec

__all__ = ["OPTIMIZER", "WEIGHTS", "Cell"]

WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"


@dataclass(frozen=True)
class Cell:
    """A training, or a mask.

    Args:
        name: fingerprint of `inputs`, which hold the parents' names.
        inputs: everything that decides the cell's bytes.
        parents: role → name of the cell it reads.
        label: where it stands in the run, for people: arm, level, replicate, draw, density.
        data: which data it looks at, and where that is found; None for a mask made from weights.
        num_steps: optimiser steps; 0 for a mask.
        feeds: which of its files other cells of the plan read.
    """

    name: str
    inputs: Mapping[str, Any]
    parents: Mapping[str, str]
    label: Mapping[str, Any]
    data: DataSpec | None = None
    num_steps: int = 0
    feeds: frozenset[str] = frozenset()

    @property
    def is_training(self) -> bool:
        """Whether the cell trains."""
        return self.inputs["kind"] == "train"

    @property
    def first_step(self) -> int:
        """The step at which a training starts: its place in the schedule and in the data."""
        return self.inputs.get("start_step", 0)

    @property
    def last_step(self) -> int:
        """The step at which a training ends."""
        return self.first_step + self.num_steps

    def is_alike(self, other: "Cell") -> bool:
        """Whether both are trainings that can be made as one batch."""
        kinds = ("numerics", "data", "model", "train")
        return (
            self.is_training
            and other.is_training
            and (self.first_step, self.num_steps) == (other.first_step, other.num_steps)
            and all(self.inputs[kind] == other.inputs[kind] for kind in kinds)
        )
