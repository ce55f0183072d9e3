"""A search's state: what is finished of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch

from lottery_ticket.arms import TICKET
from lottery_ticket.finder._packed import PackedMasks
from lottery_ticket.masks import RewindPoint

__all__ = ["OF_A_SEED", "Row", "Search"]

OF_A_SEED = ("seed", "origin")
"""What may differ between the settings of a search's replicates."""


@dataclass(frozen=True)
class Row:
    """One training of a search, with `eval_fn`'s value as it was returned.

    Args:
        arm: `ticket`, or the control's name.
        level: position in the search; 0 is dense.
        draw: which of several draws of a control.
        num_kept: weights that its mask keeps.
        metric: what `eval_fn` returned after training.
        num_steps: optimiser steps.
        seconds: wall-clock time of `train_fn`.
        criterion, scope: how its mask was made.
        device: where it was trained.
        problems: why the result is invalid; empty when it is valid.
    """

    arm: str
    level: int
    draw: int
    num_kept: int
    metric: float
    num_steps: int
    seconds: float
    criterion: str
    scope: str
    device: str
    problems: tuple[str, ...] = ()


@dataclass
class Search:
    """What a search has found so far; kept after each level, it continues from there.

    Args:
        settings: what decides its course; it is only ever continued under the same.
        initial: θ₀, the model's state before any training.
        rows: the finished trainings.
        masks: level → its mask; the last one is that of the level to come, if any is.
        trained: θ_T of the last finished level.
        dense: θ_T of level 0, for controls that prune it.
        rewind_point: θ_k, once it is known.
        optimizer_state: of the last finished training, for pipelines that keep it.
        dense_optimizer_state: of level 0, for their controls.
        best_level: the level whose ticket is returned.
        best: θ_T of that level.
        unrated: a training that is finished but for `eval_fn`, which failed; `trained` is its θ_T.
        code: hashes of the functions that it was begun with.
        example: what the model reads, see `described_example`.
    """

    settings: dict[str, Any]
    initial: dict[str, torch.Tensor]
    rows: list[Row] = field(default_factory=list)
    masks: PackedMasks = field(default_factory=PackedMasks)
    trained: dict[str, torch.Tensor] = field(default_factory=dict)
    dense: dict[str, torch.Tensor] = field(default_factory=dict)
    rewind_point: RewindPoint | None = None
    optimizer_state: Mapping[int, Any] | None = None
    dense_optimizer_state: Mapping[int, Any] | None = None
    best_level: int = 0
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    unrated: Row | None = None
    code: dict[str, str] = field(default_factory=dict)
    example: dict[str, Any] | None = None

    @property
    def chain(self) -> list[Row]:
        """The trainings of the ticket, level by level."""
        return [row for row in self.rows if row.arm == TICKET]

    @property
    def num_prunable(self) -> int:
        """All weights that masks speak of, kept or not."""
        return sum(prod(shape) for shape in self.settings["layers"].values())

    @property
    def is_percent(self) -> bool:
        """Whether `eval_fn` returns accuracies in percent: one exceeds 1."""
        return self.settings["mode"] == "max" and any(row.metric > 1 for row in self.rows)

    def add(self, row: Row) -> None:
        """Take a level of the ticket whose net is `trained`, once it is judged."""
        self.rows.append(row)
        self.unrated = None
        if not self.has_fallen:
            self.best_level, self.best = row.level, self.trained

    @property
    def last_level(self) -> int:
        """The level that `trained` is of."""
        return (self.chain[-1] if self.unrated is None else self.unrated).level

    @property
    def has_fallen(self) -> bool:
        """Whether the last level is worse than dense by more than `max_drop`."""
        max_drop = self.settings["max_drop"]
        if max_drop is None or len(self.chain) < 2:
            return False
        worse = self.chain[0].metric - self.chain[-1].metric
        if self.settings["mode"] == "min":
            worse = -worse
        return not worse <= max_drop  # what is no number is worse, too
