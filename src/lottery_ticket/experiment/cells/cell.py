"""A node of a plan: a frozen record of everything that decides its bytes."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Self

from lottery_ticket.spec import DataSpec, fingerprint

__all__ = ["EXAMPLES", "MASK", "OPTIMIZER", "WEIGHTS", "Cell", "Label"]

EXAMPLES = "test_examples.safetensors"
MASK = "mask.safetensors"
OPTIMIZER = "optimizer.safetensors"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Label:
    """Where a cell stands in a run, for people; no part of its name.

    Args:
        arm, level, replicate, draw: its place.
        density: kept / prunable weights there.
    """

    arm: str
    level: int
    replicate: int
    draw: int
    density: float

    def __str__(self) -> str:
        draw = f", draw {self.draw}" if self.draw else ""
        return f"{self.arm} level {self.level}, replicate {self.replicate}{draw}"


@dataclass(frozen=True, kw_only=True)
class Cell(ABC):
    """The unit of work, of caching and of resuming; a subclass for each kind.

    A cell's name is the fingerprint of its inputs, in which its parents are by name: equal work is
    one cell, however many arms and runs ask for it.

    Args:
        label: where it stands in the run.
        parents: role → name of the cell it reads.
        data: which data it looks at, and where these are found; None if it looks at none. What
            they hold is said by the inputs.
        feeds: which of its files other cells of the plan read.
    """

    kind: ClassVar[str]
    reads: ClassVar[Mapping[str, str]] = {
        "weights": WEIGHTS,
        "initial": WEIGHTS,
        "optimizer": OPTIMIZER,
        "mask": MASK,
    }
    """Role of a parent → which of its files is read."""

    label: Label
    parents: Mapping[str, str] = field(default_factory=dict)
    data: DataSpec | None = None
    feeds: frozenset[str] = frozenset()

    @abstractmethod
    def own_inputs(self) -> dict[str, Any]:
        """What decides its bytes beside its kind and its parents, as plain values."""

    def inputs(self) -> dict[str, Any]:
        """All that decides its bytes, as plain values: what its name is made from."""
        return {"kind": self.kind, **self.own_inputs(), "parents": dict(self.parents)}

    @cached_property
    def name(self) -> str:
        """The fingerprint of its inputs."""
        return fingerprint(self.inputs())

    @property
    def num_steps(self) -> int:
        """Optimiser steps that making it takes."""
        return 0

    @cached_property
    def batch_key(self) -> Hashable:
        """What cells share that can be made as one batch; None of one that is made by itself."""
        return None

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.kind} of {self.label}"

    def feeding(self, files: frozenset[str]) -> Self:
        """The same cell, whose `feeds` are these."""
        cell = replace(self, feeds=files)
        object.__setattr__(cell, "name", self.name)  # of the same inputs; a plan has ten thousand
        return cell
