"""Losses by name; each is a mean over the batch."""

from collections.abc import Callable
from typing import TypeVar

import torch
import torch.nn.functional as F

from lottery_ticket.errors import UsageError
from lottery_ticket.registry import Registry

__all__ = ["LOSSES", "TASKS", "Loss", "register_loss"]

Loss = Callable[..., torch.Tensor]

LOSSES: Registry[Loss] = Registry("loss")
"""Losses by name: (output, target, **options) → the mean over the batch."""

TASKS: dict[str, str] = {}
"""Loss → what it is for: `"classification"` or `"regression"`; one that is not named fits both."""

_Made = TypeVar("_Made", bound=Loss)


def register_loss(name: str, *, task: str | None = None) -> Callable[[_Made], _Made]:
    """Decorator that lets specs say `loss: name` of a loss of one's own.

    Args:
        name: what specs call it.
        task: `"classification"` (targets are class numbers) or `"regression"` (they are floats),
            where it fits one of them alone.

    Returns:
        A decorator for a function `(output, target, …) → scalar`, a mean over the batch. What it
        takes beside these two are its options.

    Raises:
        UsageError: the name is taken, or there is no such task.

    >>> @register_loss("smooth", task="classification")
    ... def smooth(output, target, smoothing=0.1):
    ...     return F.cross_entropy(output, target, label_smoothing=smoothing)
    """
    if task not in (None, "classification", "regression"):
        raise UsageError(f"loss {name!r}: task is classification or regression; got {task!r}")

    def file(loss: _Made) -> _Made:
        LOSSES.add(name, loss, is_user=True)
        TASKS.pop(name, None)
        if task is not None:
            TASKS[name] = task
        return loss

    return file


for _name, _loss, _task in (
    ("cross_entropy", F.cross_entropy, "classification"),  # logits (B, C), classes (B,)
    ("nll", F.nll_loss, "classification"),  # log-probabilities (B, C), classes (B,)
    ("mse", F.mse_loss, "regression"),  # (B, k), (B, k)
):
    LOSSES.add(_name, _loss)
    TASKS[_name] = _task
