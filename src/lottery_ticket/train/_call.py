"""Calling a model on what a data set holds, whatever that looks like."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from lottery_ticket.data import Features

__all__ = ["as_plain_", "called", "output_of"]


def called(model: Callable[..., Any], x: Features) -> torch.Tensor:
    """`model(x)`, or `model(**x)` of several tensors by name; see `output_of`."""
    return output_of(model(x) if isinstance(x, torch.Tensor) else model(**x))


def output_of(found: Any) -> Any:
    """What a loss is taken of: the `logits` where a model returns more, as those of Hugging Face.

    >>> output_of({"logits": torch.ones(1)})
    tensor([1.])
    """
    if isinstance(found, torch.Tensor):
        return found
    if isinstance(found, dict) and "logits" in found:
        return found["logits"]
    return getattr(found, "logits", found)


def as_plain_(model: nn.Module) -> nn.Module:
    """Let `model(x)` do what `called(model, x)` does, in place: for code that knows no more."""

    def named(module: nn.Module, args: Any, kwargs: Any) -> Any:
        is_named = len(args) == 1 and isinstance(args[0], Mapping) and not kwargs
        return ((), dict(args[0])) if is_named else None

    model.register_forward_pre_hook(named, with_kwargs=True)
    model.register_forward_hook(lambda module, args, found: output_of(found))
    return model
