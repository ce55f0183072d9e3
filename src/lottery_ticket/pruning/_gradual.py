"""Pruning during training."""

from types import TracebackType
from typing import Any

import torch
from torch import nn

from lottery_ticket.criteria import CriterionLike
from lottery_ticket.errors import known_keywords
from lottery_ticket.masks import PruningMask, Structure
from lottery_ticket.pruning._channel_layers import channel_layers
from lottery_ticket.pruning._pruners import MASK_SAYS_IT, prune
from lottery_ticket.pruning._schedule import Polynomial

__all__ = ["GradualPruner"]


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

    mask: PruningMask
    """What is kept now; a new mask each time something is pruned."""

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
        self._model = model
        self._schedule = schedule
        self._how: dict[str, Any] = {
            "criterion": criterion,
            "scope": scope,
            "structure": structure,
            "min_layer_density": min_layer_density,
        }
        self.mask = PruningMask(model) if mask is None else mask
        if Structure.parse(structure).kind == "channel":  # the layers that are cut stay the same
            layers = channel_layers(model, self.mask, example)
            self.mask = layers.joined(layers.cut, self.mask)
        self._attached = self.mask.attach(model, optimizer)
        self._attached.after_step = self._prune_if_due
        self._prune_if_due()

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
    def num_steps(self) -> int:
        """Optimiser steps so far."""
        return self._attached.num_steps

    def detach(self) -> None:
        """Stop pruning; what is pruned stays zero until something trains it."""
        self._attached.detach()

    def _prune_if_due(self) -> None:
        step = self.num_steps
        density = self._schedule.density_at(step)
        if not self._schedule.is_due(step) or density >= self.mask.density:
            return
        self.mask = prune(self._model, self.mask, density=density, **self._how)
        self._attached.replace_mask(self.mask)
