"""Pruning during training."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import nn

from lottery_ticket.criteria import CriterionLike
from lottery_ticket.errors import known_keywords
from lottery_ticket.masks import Budget, MaskPolicy, Moment, PruningMask, Structure
from lottery_ticket.pruning._channel_layers import channel_layers
from lottery_ticket.pruning._level import next_mask
from lottery_ticket.pruning._policies import POLICIES, PolicyKind, Target
from lottery_ticket.pruning._pruners import MASK_SAYS_IT, prune
from lottery_ticket.pruning._schedule import Polynomial, polynomial

__all__ = ["Gradual", "GradualPruner"]

_SHARE = 0.75  # of a training: the rest is trained on at the last density
_PRUNINGS = 20  # at least, where a training is short
_EVERY = 100  # steps at most, as Zhu & Gupta have it


@dataclass(frozen=True)
class Gradual(MaskPolicy):
    """Prunes on a schedule in optimiser steps, to exact counts at its end.

    Args:
        schedule: from `polynomial(…)`; its final sparsity is that of `keep`.
        keep: what is left at the end, of all layers together or of each.
        criterion, scope: as in `next_mask`; of weights alone.

    Source: Zhu & Gupta 2017.
    """

    schedule: Polynomial
    keep: Budget
    criterion: CriterionLike = "magnitude"
    scope: str = "global"

    def is_due(self, step: int) -> bool:
        """On the schedule's steps."""
        return self.schedule.is_due(step)

    def next_mask(self, moment: Moment) -> PruningMask | None:
        """The best of what is kept, as many as are due now."""
        keep = self._kept_at(moment)
        if keep.total >= moment.mask.num_kept:
            return None
        return next_mask(
            self.criterion, moment.mask, keep, scope=self.scope, weights=moment.weights,
            generator=moment.generator,
        )  # fmt: skip

    def _kept_at(self, moment: Moment) -> Budget:
        """The share of what is to go that is gone by now, of each layer where counts are so."""
        mask = moment.mask
        if moment.step >= self.schedule.end_step:
            return self.keep
        gone = 1.0 - self.schedule.density_at(moment.step)
        share = gone / self.schedule.final_sparsity
        if self.keep.per_layer is None:
            return Budget(_left(mask.num_prunable, self.keep.total, share))
        counts = tuple(
            (name, min(_left(mask[name].numel(), count, share), int(mask[name].sum())))
            for name, count in self.keep.per_layer
        )
        return Budget(sum(count for _, count in counts), counts)


def _left(size: int, count: int, share: float) -> int:
    return size - int(share * (size - count))


def gradual(
    target: Target,
    *,
    begin_step: int = 0,
    end_step: int | None = None,
    every_steps: int | None = None,
    power: float = 3.0,
) -> Gradual:
    """Prune gradually during a training.

    Args:
        target: what is to be left, and how long the training is.
        begin_step, end_step: from where to where; by default three quarters of the training.
        every_steps: between two prunings; by default 100, or fewer where the training is short.
        power: of the polynomial.

    Source: Zhu & Gupta 2017 (power 3).
    """
    if end_step is None:
        end_step = max(begin_step + 1, int(_SHARE * target.last_step))
    if every_steps is None:
        every_steps = max(1, min(_EVERY, (end_step - begin_step) // _PRUNINGS))
    target.check_step("end_step", end_step)
    sparsity = 1.0 - target.keep.total / target.num_prunable
    schedule = polynomial(
        sparsity, begin_step=begin_step, end_step=end_step, every_steps=every_steps, power=power
    )
    return Gradual(schedule, target.keep, target.criterion, target.scope)


POLICIES.add("gradual", PolicyKind(gradual))


@dataclass(frozen=True)
class _OfModel(MaskPolicy):
    """A schedule on a model that is at hand, with every criterion and structure of `prune`."""

    model: nn.Module
    schedule: Polynomial
    how: Mapping[str, Any]

    def is_due(self, step: int) -> bool:
        return self.schedule.is_due(step)

    def next_mask(self, moment: Moment) -> PruningMask | None:
        density = self.schedule.density_at(moment.step)
        if density >= moment.mask.density:
            return None
        return prune(self.model, moment.mask, density=density, **self.how)


class GradualPruner:
    """Prunes a model while your loop trains it, on a schedule in optimiser steps.

    Args:
        model: the model being trained.
        optimizer: over its parameters; its steps are counted, and those of one that takes its
            place because parameters were replaced.
        schedule: from `polynomial(…)`.
        mask: what is kept at the start; None for all prunable weights.
        criterion, scope, structure, min_layer_density, example: as in `prune`.

    >>> from lottery_ticket.pruning import polynomial
    >>> model = nn.Linear(10, 2)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> schedule = polynomial(0.9, end_step=4, every_steps=1)
    >>> with GradualPruner(model, optimizer, schedule) as pruner:
    ...     for _ in range(5):
    ...         model(torch.ones(1, 10)).sum().backward()
    ...         optimizer.step()
    >>> pruner.mask.num_kept, int((model.weight != 0).sum())
    (2, 2)

    Source: Zhu & Gupta 2017.
    """

    @known_keywords("GradualPruner", elsewhere=MASK_SAYS_IT)
    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Polynomial,
        *,
        mask: PruningMask | None = None,
        criterion: CriterionLike = "magnitude",
        scope: str = "global",
        structure: str = "unstructured",
        min_layer_density: float = 0.0,
        example: Any = None,
    ) -> None:
        how: dict[str, Any] = {
            "criterion": criterion,
            "scope": scope,
            "structure": structure,
            "min_layer_density": min_layer_density,
        }
        mask = PruningMask(model) if mask is None else mask
        if Structure.parse(structure).kind == "channel":  # the layers that are cut stay the same
            layers = channel_layers(model, mask, example)
            mask = layers.joined(layers.cut, mask)
        self._attached = mask.attach(model, optimizer, policy=_OfModel(model, schedule, how))

    def __enter__(self) -> "GradualPruner":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.detach()

    @property
    def mask(self) -> PruningMask:
        """What is kept now; a new mask each time something is pruned."""
        return self._attached.mask

    @property
    def num_steps(self) -> int:
        """Optimiser steps so far."""
        return self._attached.num_steps

    def detach(self) -> None:
        """Stop pruning; what is pruned stays zero until something trains it."""
        self._attached.detach()
