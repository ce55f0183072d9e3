"""Masks that change during a training: what a policy is asked between steps, and what it sees."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from lottery_ticket.errors import TrainingError
from lottery_ticket.masks._enforce import mask_optimizer_state_
from lottery_ticket.masks._mask import PruningMask
from lottery_ticket.names import find_parameters
from lottery_ticket.seeds import generator

__all__ = ["MaskPolicy", "Moment", "asked", "impose_"]


@dataclass(frozen=True)
class Moment:
    """A training between two steps, as a policy sees it. Nothing of it may be changed.

    Args:
        step: optimiser steps done.
        weights: of each parameter that can be pruned, by name.
        gradients: dense ones, of pruned weights too, of the step just done; None unless the policy
            asked for them.
        optimizer_state: what the optimiser remembers of each, by name and key.
        mask: what is kept now.
        generator: on the CPU, fresh at each step: seeded by the training and the step alone, so
            that a training that is continued draws the same.
        memory: what the policy remembers, see `MaskPolicy.remember`.
    """

    step: int
    weights: Mapping[str, torch.Tensor]
    gradients: Mapping[str, torch.Tensor] | None
    optimizer_state: Mapping[str, Mapping[str, torch.Tensor]]
    mask: PruningMask
    generator: torch.Generator
    memory: Mapping[str, torch.Tensor] = field(default_factory=dict)


class MaskPolicy(ABC):
    """Says between steps what is kept from now on; override `next_mask`, and what else you need.

    A policy keeps nothing to itself: what it says follows from the moment alone, in which is what
    it asked to remember, so that a training that was killed goes on as if it never had been.
    Weights that are kept anew start at zero, with no memory in the optimiser; those that are
    pruned become zero.

    >>> class Halve(MaskPolicy):
    ...     def is_due(self, step):
    ...         return step == 100
    ...     def next_mask(self, moment):
    ...         return {n: w.abs() > w.abs().median() for n, w in moment.weights.items()}
    """

    def is_due(self, step: int) -> bool:
        """Whether it wants to be asked after optimiser step `step`; at every step by default.

        It is asked once before the first step too, with the step that the training starts at.
        """
        return True

    def wants_gradients(self, step: int) -> bool:
        """Whether it wants the dense gradients of step `step`, which others do not pay for."""
        return False

    def remember(self, moment: Moment) -> Mapping[str, torch.Tensor]:
        """What it finds as `moment.memory` from now on: tensors by name; nothing by default.

        Called before `next_mask` at each step at which it is due, with what it remembered until
        then. It is kept in checkpoints. Single numbers stand in the results of a training.
        """
        return {}

    @abstractmethod
    def next_mask(self, moment: Moment) -> Mapping[str, torch.Tensor] | None:
        """What is kept from now on: bool tensors by name, or None for what is kept already."""


def asked(
    policy: MaskPolicy,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    mask: PruningMask,
    seed: int,
    gradients: Mapping[str, torch.Tensor] | None = None,
    memory: Mapping[str, torch.Tensor] | None = None,
) -> tuple[PruningMask | None, dict[str, torch.Tensor]]:
    """What a policy says at a step, None where it leaves the mask as it is; and what it remembers.

    Args:
        model, optimizer: the training, which holds its current values.
        seed: of what the policy draws.
        memory: what it has remembered so far.

    Raises:
        TrainingError: it fails, or what it returned is no mask of these parameters.
    """
    parameters = find_parameters(model, mask)
    weights = {name: parameter.detach() for name, parameter in parameters.items()}
    state = {} if optimizer is None else optimizer.state
    moment = Moment(
        step,
        weights,
        gradients,
        {name: dict(state.get(parameter, {})) for name, parameter in parameters.items()},
        mask,
        generator(seed, "policy", step),
        dict(memory or {}),
    )
    name = type(policy).__name__
    try:
        moment = replace(moment, memory=_checked_memory(policy.remember(moment)))
        found = policy.next_mask(moment)
        if found is None:
            return None, dict(moment.memory)
        made = PruningMask.from_tensors(dict(found))
    except TrainingError:
        raise
    except Exception as error:  # a user's own may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise TrainingError(f"the policy {name} failed at step {step}: {reason}") from error
    got, wanted = ({n: tuple(kept.shape) for n, kept in m.items()} for m in (made, mask))
    if got != wanted:
        differing = next(n for n in {**wanted, **got} if got.get(n) != wanted.get(n))
        raise TrainingError(
            f"the policy {name} returned, at step {step}, a mask of other parameters: "
            f"{differing!r} has shape {got.get(differing)}, wanted {wanted.get(differing)}"
        )
    return made.told_by(mask), dict(moment.memory)


def _checked_memory(memory: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for name, value in memory.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"remember: {name!r} is a {type(value).__name__}, wanted a tensor")
    return {name: value.detach() for name, value in memory.items()}


def impose_(
    mask: Mapping[str, torch.Tensor], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Set what a mask prunes to exactly zero, in the model and in what its optimiser remembers."""
    parameters = find_parameters(model, mask)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.masked_fill_(~mask[name].to(parameter.device), 0.0)
    mask_optimizer_state_(optimizer, parameters, mask)
