"""The torch optimiser that really steps, inside whatever a trainer has put around it."""

from collections.abc import Iterable
from types import CodeType
from typing import Any

import torch

from lottery_ticket.errors import UsageError

__all__ = ["names_a_library", "torch_optimizer", "trains_any"]

_ENGINES = ("deepspeed.runtime", "accelerate.utils.deepspeed", "accelerate.utils.megatron_lm")


def torch_optimizer(given: object, what: str = "attach") -> torch.optim.Optimizer:
    """The torch optimiser in `given`, through any wrappers that keep one in `.optimizer`.

    So do accelerate's `AcceleratedOptimizer`, Lightning's `LightningOptimizer` and that of Fabric.
    They look like torch optimisers, but have no hooks of their own, and some of their steps are
    none (accumulation, overflow): only what they wrap knows which steps happened.

    Args:
        given: an optimiser, or a wrapper around one.
        what: is asking, in an error.

    Raises:
        UsageError: it is none, or one that trains nothing by its `step()` (DeepSpeed, Megatron).

    >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])
    >>> torch_optimizer(optimizer) is optimizer
    True
    """
    seen: list[Any] = []
    here: Any = given
    while not any(here is each for each in seen):
        _check_steps_itself(here, what)
        if not all(hasattr(here, name) for name in ("step", "param_groups")):
            break  # a scheduler, a trainer, … has an optimiser too, but is none
        if _has_own_hooks(here):
            return here
        seen.append(here)
        here = getattr(here, "optimizer", here)
    raise UsageError(f"{what}: got a {type(given).__name__}, wanted a torch optimizer")


def trains_any(optimizer: torch.optim.Optimizer, parameters: Iterable[torch.Tensor]) -> bool:
    """Whether the optimiser holds any of the parameters."""
    theirs = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return any(id(p) in theirs for p in parameters)


def names_a_library(value: object, *modules: str) -> bool:
    """Whether the class of a value, or one of its parents, was defined in one of these modules."""
    defined = [each.__module__ for each in type(value).__mro__]
    return any(d == m or d.startswith(m + ".") for d in defined for m in modules)


def _has_own_hooks(value: object) -> bool:
    """Whether its constructor is that of a torch optimiser: a wrapper has none of its own."""
    return isinstance(value, torch.optim.Optimizer) and "_optimizer_step_pre_hooks" in vars(value)


def _check_steps_itself(value: object, what: str) -> None:
    if isinstance(value, type):
        raise UsageError(
            f"{what}: got the class {value.__name__}, wanted a torch optimizer: "
            f"{value.__name__}(model.parameters(), …)"
        )
    code = getattr(getattr(type(value), "step", None), "__code__", None)
    is_empty = isinstance(code, CodeType) and not (code.co_names or code.co_freevars)
    if is_empty or names_a_library(value, *_ENGINES):
        raise UsageError(
            f"{what}: {type(value).__name__}.step() trains nothing: an engine (DeepSpeed, "
            "Megatron) makes the steps where no mask can see them, on copies of the weights in "
            "other shapes; train with DDP (`accelerate launch --multi_gpu`, Lightning's "
            'strategy="ddp"), or on one device'
        )
