"""`mask.attach(model, optimizer)`: a mask that holds in anyone's training loop.

The same rule as in our own loop (`_enforce.py`): weights and optimiser state start at zero, and
gradients are masked as they are made. Here hooks on the parameters do it, so the loop needs no
change. Nothing is added to the model's modules or its `state_dict`.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._enforce import keep_bits, keep_only_, mask_optimizer_state_
from lottery_ticket.names import find_parameters

__all__ = ["Attachment", "RewindPoint", "copied_to_cpu"]


@dataclass(frozen=True)
class RewindPoint:
    """θ_k: what training can be rewound to.

    Args:
        step: k, optimiser steps done.
        weights: the model's state at that step (buffers too), on the CPU.
        optimizer_state: the optimiser's `state_dict()["state"]` then; empty without an optimiser.
    """

    step: int
    weights: Mapping[str, torch.Tensor]
    optimizer_state: Mapping[int, Any]


class Attachment:
    """A mask at work on a model; `PruningMask.attach` makes it.

    Used as a context manager it ends with the block; else `detach()` ends it.
    """

    num_steps: int
    """Optimiser steps counted, the ones before `start_step` included."""

    rewind_point: RewindPoint | None
    """θ_k, once step k has been reached."""

    def __init__(
        self,
        mask: Mapping[str, torch.Tensor],
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        rewind_step: int | None = None,
        start_step: int = 0,
        siblings: list["Attachment"] | None = None,
    ) -> None:
        if rewind_step is not None and rewind_step < start_step:
            raise UsageError(f"rewind_step {rewind_step} lies before start_step {start_step}")
        self._model = model
        self._parameters = find_parameters(model, mask)
        self._mask = self._fitted(mask)
        if optimizer is not None:
            self._check_trains(optimizer)  # before the model is touched
        self._rewind_step = rewind_step
        self.num_steps = start_step
        self.rewind_point = None
        self._depth = 0
        self._has_looked = False
        self._note_rewind_point(optimizer)
        self.zero_()
        self._gradient_hooks = self._masking_hooks()
        self._optimizer_hooks: list[Any] = []
        self._optimizers: list[torch.optim.Optimizer] = []
        if optimizer is not None:
            self.follow(optimizer)
        self._siblings = [] if siblings is None else siblings
        self._siblings.append(self)

    def __enter__(self) -> "Attachment":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.detach()

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Count the steps of an optimiser over the model, and keep its state zero where pruned."""
        self._check_trains(optimizer)
        self._zero_state_(optimizer)
        self._optimizers.append(optimizer)
        self._optimizer_hooks += [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
            optimizer.register_load_state_dict_post_hook(self._zero_state_),
        ]

    def is_trained_by(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether the optimiser holds any of the masked parameters."""
        theirs = {id(p) for group in optimizer.param_groups for p in group["params"]}
        return any(id(p) in theirs for p in self._parameters.values())

    def detach(self) -> None:
        """Remove the hooks; pruned weights stay zero until something trains them."""
        for hook in [*self._gradient_hooks, *self._optimizer_hooks]:
            hook.remove()
        self._gradient_hooks, self._optimizer_hooks, self._optimizers = [], [], []
        if self in self._siblings:
            self._siblings.remove(self)

    def replace_mask(self, mask: Mapping[str, torch.Tensor]) -> None:
        """Go on with another mask of the same parameters, as when pruning during training."""
        self._mask = self._fitted(mask)
        for hook in self._gradient_hooks:
            hook.remove()
        self._gradient_hooks = self._masking_hooks()
        self.zero_()
        for optimizer in self._optimizers:
            self._zero_state_(optimizer)

    @torch.no_grad()
    def zero_(self) -> None:
        """Set the pruned weights to exactly zero, as after loading a checkpoint."""
        for name, parameter in self._parameters.items():
            parameter.masked_fill_(~self._mask[name], 0.0)

    def revived(self) -> list[str]:
        """The parameters in which some pruned weight is not exactly zero."""
        return [n for n, p in self._parameters.items() if bool(p.detach()[~self._mask[n]].any())]

    def _check_trains(self, optimizer: torch.optim.Optimizer) -> None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise UsageError(f"attach: got a {type(optimizer).__name__}, wanted a torch optimizer")
        if self._parameters and not self.is_trained_by(optimizer):
            raise UsageError(
                f"attach: the {type(optimizer).__name__} trains none of the "
                f"{len(self._parameters)} masked parameters; it was made for another model (or "
                "before this one was copied)"
            )

    def _fitted(self, mask: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        for name, parameter in self._parameters.items():
            if mask[name].shape != parameter.shape:
                raise UsageError(
                    f"the mask of {name!r} has shape {tuple(mask[name].shape)}, "
                    f"the model has {tuple(parameter.shape)}"
                )
        return {name: mask[name].to(p.device) for name, p in self._parameters.items()}

    def _masking_hooks(self) -> list[Any]:
        hooks = []
        for name, parameter in self._parameters.items():
            if bool(self._mask[name].all()):
                continue  # kept whole: costs nothing
            bits = keep_bits(self._mask[name], parameter)
            hook = functools.partial(_mask_gradient_, name, bits)
            is_trained = parameter.requires_grad
            parameter.requires_grad_(True)  # hooks want it; a frozen layer may be thawed later
            hooks.append(parameter.register_post_accumulate_grad_hook(hook))
            parameter.requires_grad_(is_trained)
            if parameter.grad is not None:
                hook(parameter)
        return hooks

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._depth += 1

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._depth -= 1
        if self._depth > 0:  # the step of a subclass called that of its parent, hooks and all
            return
        skipped = getattr(optimizer, "found_inf", None)  # a fused optimiser under GradScaler
        if skipped is not None and bool(skipped):
            return
        self.num_steps += 1
        if not self._has_looked:  # once, as it waits for the device
            self._has_looked = True
            if revived := self.revived():
                self.zero_()
                raise UsageError(
                    f"{type(optimizer).__name__} moved pruned weights of {revived[0]!r} though "
                    "their gradients, weights and state were zero; attach works with optimisers "
                    "that do not (SGD, Adam, AdamW, RMSprop, …), for others call "
                    "mask.apply(model) after each step"
                )
        self._note_rewind_point(optimizer)

    def _zero_state_(self, optimizer: torch.optim.Optimizer) -> None:
        mask_optimizer_state_(optimizer, self._parameters, self._mask)

    def _note_rewind_point(self, optimizer: torch.optim.Optimizer | None) -> None:
        if self.num_steps == self._rewind_step and self.rewind_point is None:
            state = {} if optimizer is None else optimizer.state_dict()["state"]
            self.rewind_point = RewindPoint(
                self.num_steps, copied_to_cpu(self._model.state_dict()), copied_to_cpu(state)
            )


def _mask_gradient_(name: str, bits: torch.Tensor, parameter: torch.Tensor) -> None:
    gradient = parameter.grad
    assert gradient is not None
    if gradient.layout != torch.strided:
        raise UsageError(
            f"{name!r} has a {gradient.layout} gradient; a pruned parameter wants a dense one "
            "(nn.Embedding(…, sparse=False)), or `ignore` it when making the mask"
        )
    keep_only_(gradient, bits)


def copied_to_cpu(value: Any) -> Any:
    """A deep copy of nested mappings of tensors, on the CPU: training on does not change it."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: copied_to_cpu(item) for key, item in value.items()}
    return value
