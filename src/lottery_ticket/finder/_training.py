"""One training by the user's `train_fn`: watched, never repaired."""

import contextlib
import inspect
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Attachment, PruningMask, RewindPoint, copied_to_cpu
from lottery_ticket.names import named_state
from lottery_ticket.pruning import rewind_optimizer_

__all__ = [
    "EvalFn",
    "Start",
    "TrainFn",
    "Training",
    "checked_callables",
    "evaluated",
    "metric_problems",
    "seeded",
    "state_on_cpu",
    "train_watched",
]

TrainFn = Callable[..., object]
EvalFn = Callable[[nn.Module], float]


@dataclass(frozen=True)
class Start:
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
        num_steps: optimiser steps, those before `Start.step` included.
        seconds: wall-clock time of `train_fn`.
        problems: why its result is not one of a masked training; empty when it is.
        rewind_point: θ_k, if k was reached in it.
        optimizer_state: the optimiser's state at the end; None when none was seen.
    """

    num_steps: int
    seconds: float
    problems: tuple[str, ...]
    rewind_point: RewindPoint | None
    optimizer_state: Mapping[int, Any] | None


def train_watched(
    model: nn.Module,
    mask: PruningMask,
    train_fn: TrainFn,
    start: Start,
    *,
    rewind_step: int | None = None,
) -> Training:
    """Rewind `model` in place, run `train_fn(model, mask)` under the mask, and look at the result.

    Raises:
        UsageError: `start.step` is not 0 and `train_fn` takes no `start_step`.
    """
    extra = _start_step(train_fn, start.step)
    model.load_state_dict(dict(start.weights))
    attached = Attachment(mask, model, rewind_step=rewind_step, start_step=start.step)
    before = state_on_cpu(model)
    optimizers = _Optimizers(model, mask, attached, start.optimizer_state)
    started = time.monotonic()
    try:
        with seeded(start.seed), optimizers:
            train_fn(model, mask, **extra)
        seconds = time.monotonic() - started
        problems = _problems(model, attached, before)
    finally:
        attached.detach()
        model.zero_grad(set_to_none=True)
    return Training(
        attached.num_steps, seconds, problems, attached.rewind_point, optimizers.final_state()
    )


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A block under torch's global random state of `seed`; the caller's comes back after it."""
    # all of them named: fork_rng warns where there are several and none is
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


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


def checked_callables(train_fn: TrainFn | None, eval_fn: EvalFn | None) -> tuple[TrainFn, EvalFn]:
    """The two functions of the user's.

    Raises:
        UsageError: one of them is none.
    """
    for name, wanted, value in (
        ("train_fn", "train_fn(model, mask)", train_fn),
        ("eval_fn", "eval_fn(model) -> float", eval_fn),
    ):
        if not callable(value):
            raise UsageError(f"{name}: got {type(value).__name__}, wanted a function {wanted}")
    assert train_fn is not None
    assert eval_fn is not None
    return train_fn, eval_fn


def evaluated(eval_fn: EvalFn, model: nn.Module) -> float:
    """What `eval_fn` says of the model, as a number.

    Raises:
        UsageError: it is none.
    """
    value = eval_fn(model)
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(
            f"eval_fn returned {type(value).__name__}, wanted one number such as an accuracy"
        ) from None


def metric_problems(metric: float) -> tuple[str, ...]:
    """Why a metric makes a result invalid; empty when it does not."""
    return () if math.isfinite(metric) else (f"eval_fn returned {metric}",)


class _Optimizers:
    """Finds the optimiser that `train_fn` makes, at its first step on the model's parameters."""

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
        self._found: torch.optim.Optimizer | None = None

    def __enter__(self) -> "_Optimizers":
        self._hook = register_optimizer_step_pre_hook(self._before_step)
        return self

    def __exit__(self, *exception: object) -> None:
        self._hook.remove()

    def final_state(self) -> Mapping[int, Any] | None:
        return None if self._found is None else copied_to_cpu(self._found.state_dict()["state"])

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        # with several optimisers the first one counts the steps
        if self._found is not None or not self._attached.is_trained_by(optimizer):
            return
        self._found = optimizer
        if self._state is not None:
            rewind_optimizer_(optimizer, self._state, self._model, self._mask)
        self._attached.follow(optimizer)


def _start_step(train_fn: TrainFn, step: int) -> dict[str, int]:
    parameters = inspect.signature(train_fn).parameters
    if "start_step" in parameters:
        return {"start_step": step}
    if step == 0:
        return {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return {"start_step": step}
    raise UsageError(
        f"this pipeline starts its trainings at step {step} of the learning-rate schedule; "
        "let train_fn take it: train_fn(model, mask, start_step=0)"
    )


def _problems(
    model: nn.Module, attached: Attachment, before: Mapping[str, torch.Tensor]
) -> tuple[str, ...]:
    problems = []
    if revived := attached.revived():
        problems.append(
            f"train_fn wrote pruned weights: {revived[0]!r} is not zero where the mask prunes"
            + (f" (nor are {len(revived) - 1} others)" if revived[1:] else "")
        )
    after = state_on_cpu(model)
    trained = [name for name, _ in model.named_parameters()]
    if all(torch.equal(before[name], after[name]) for name in trained if name in before):
        problems.append("train_fn changed no parameter of the model it was given")
    broken = [n for n in trained if n in after and not bool(after[n].isfinite().all())]
    if broken:
        problems.append(f"after train_fn {broken[0]!r} holds values that are not finite")
    return tuple(problems)
