"""One training by the user's `train_fn`: watched, never repaired."""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from lottery_ticket.errors import UsageError
from lottery_ticket.finder._arguments import start_step, the_attachment
from lottery_ticket.finder._problems import check_can_be_rewound, training_problems
from lottery_ticket.masks import Attachment, MaskPolicy, PruningMask, RewindPoint, copied_to_cpu
from lottery_ticket.names import named_state
from lottery_ticket.process import random_state_kept, seeded
from lottery_ticket.pruning import rewind_optimizer_

__all__ = [
    "Beginning",
    "EvalFn",
    "TrainFn",
    "Training",
    "all_devices",
    "evaluated",
    "restore_",
    "state_on_cpu",
    "train_watched",
]

TrainFn = Callable[..., object]
EvalFn = Callable[[nn.Module], float]


@dataclass(frozen=True)
class Beginning:
    """Where a training starts.

    Args:
        weights: the model's whole state, before the mask is applied.
        seed: of the global random state that `train_fn` sees.
        step: position in the learning-rate schedule; given to `train_fn` as `start_step`.
        optimizer_state: put into `train_fn`'s optimiser before its first step; None for fresh.
    """

    weights: Mapping[str, torch.Tensor]
    seed: int
    step: int = 0
    optimizer_state: Mapping[int, Any] | None = None


@dataclass(frozen=True)
class Training:
    """How a training went.

    Args:
        num_steps: optimiser steps, those before `Beginning.step` included.
        seconds: wall-clock time of `train_fn`.
        problems: why its result is not one of a masked training; empty when it is.
        rewind_point: θ_k, if k was reached in it.
        optimizer_state: the optimiser's state at the end; None when none was seen.
        mask: what was kept at the end.
    """

    num_steps: int
    seconds: float
    problems: tuple[str, ...]
    rewind_point: RewindPoint | None
    optimizer_state: Mapping[int, Any] | None
    mask: PruningMask


def train_watched(
    model: nn.Module,
    mask: PruningMask,
    train_fn: TrainFn,
    start: Beginning,
    *,
    rewind_step: int | None = None,
    policy: MaskPolicy | None = None,
    policy_seed: int = 0,
) -> Training:
    """Rewind `model` in place, run `train_fn(model, mask)` under the mask, and look at the result.

    What is looked at is the model as it is then, by its names: parameters may be other ones. Which
    of them are trained (`requires_grad`) is put back: the next training starts as this one did.

    With a policy the mask in force changes on the way; `train_fn` gets the one it starts with. One
    that takes `attached` gets the attachment itself: with its `state_dict` in checkpoints of its
    own, a training that was killed goes on being counted from where it was.

    Raises:
        UsageError: `start.step` is not 0 and `train_fn` takes no `start_step`; or after it the
            model's state has other names, shapes or ties, so that it cannot be rewound.
    """
    extra: dict[str, Any] = {**start_step(train_fn, start.step)}
    restore_(model, start.weights)
    trained = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    attached = Attachment(
        mask, model, rewind_step=rewind_step, start_step=start.step,
        policy=policy, seed=policy_seed,
    )  # fmt: skip
    extra |= the_attachment(train_fn, attached)
    before = state_on_cpu(model)
    optimizers = _Optimizers(model, mask, attached, start.optimizer_state)
    begun = attached.mask  # a policy may have asked for another one at once
    given = copy.deepcopy(begun)  # what is done to it is not done to the one that holds
    started = time.monotonic()
    try:
        with seeded(start.seed, all_devices()), optimizers:
            returned = train_fn(model, given, **extra)
        seconds = time.monotonic() - started
        after = state_on_cpu(model)
        check_can_be_rewound(before, after)
        problems = training_problems(
            model, attached, start=start.weights, before=before, after=after, returned=returned
        )
        if given != begun:
            problems += ("train_fn changed the mask that it was given, which changes nothing",)
        state = optimizers.final_state()
    finally:
        attached.release()
        model.zero_grad(set_to_none=True)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(trained.get(name, parameter.requires_grad))
    return Training(
        attached.num_steps, seconds, problems, attached.rewind_point, state, attached.mask
    )


def restore_(model: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Put a whole state into the model in place.

    Raises:
        UsageError: it is of another model.
    """
    try:
        model.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise UsageError(
            f"the model is not the one that was searched; search it anew ({error})"
        ) from None


def all_devices() -> list[str]:
    """Every device whose random state `train_fn` may use."""
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def state_on_cpu(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the model's state on the CPU.

    Raises:
        UsageError: the state holds something other than dense tensors.
    """
    copied: dict[str, torch.Tensor] = {}
    places: dict[tuple[object, ...], torch.Tensor] = {}  # what is tied stays tied
    for name, value in named_state(model).items():
        place = (value.data_ptr(), value.shape, value.stride(), value.dtype)
        if value.numel() == 0 or place not in places:
            places[place] = value.detach().to("cpu", copy=True)
        copied[name] = places[place]
    return copied


def evaluated(eval_fn: EvalFn, model: nn.Module) -> float:
    """What `eval_fn` says of the model, as a number.

    Raises:
        UsageError: it is none.
    """
    with random_state_kept(all_devices()):
        value = eval_fn(model)
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(
            f"eval_fn returned {type(value).__name__}, wanted one number such as an accuracy"
        ) from None


class _Optimizers:
    """Finds the optimiser that `train_fn` makes, at its first step on the model's parameters.

    With several, the first one counts the steps; one that takes its place because parameters were
    replaced goes on counting.
    """

    def __init__(
        self,
        model: nn.Module,
        mask: PruningMask,
        attached: Attachment,
        state: Mapping[int, Any] | None,
    ) -> None:
        self._model, self._mask = model, mask
        self._attached = attached
        self._state = state

    def __enter__(self) -> "_Optimizers":
        self._hook = register_optimizer_step_pre_hook(self._before_step)
        return self

    def __exit__(self, *exception: object) -> None:
        self._hook.remove()

    def final_state(self) -> Mapping[int, Any] | None:
        found = self._attached.optimizers
        return copied_to_cpu(found[0].state_dict()["state"]) if found else None

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._attached.optimizers or not self._attached.is_trained_by(optimizer):
            return
        if self._state is not None:
            rewind_optimizer_(optimizer, self._state, self._model, self._mask)
        self._attached.follow(optimizer)
