"""The loss of a batch, whatever the batch looks like."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.errors import UsageError

__all__ = ["BatchLoss", "Loss", "default_batch_loss"]

Loss = Callable[[Any, Any], torch.Tensor]
BatchLoss = Callable[[nn.Module, Any], torch.Tensor]

_UNFIT = (RuntimeError, TypeError, ValueError, IndexError)
"""What torch raises where shapes, types or labels do not fit; all else is the user's own."""


def default_batch_loss(loss: Loss | None) -> BatchLoss:
    """What `batch_loss` is unless a caller passes one.

    `loss(model(x), y)` for a pair (x, y), where `loss` is the cross entropy if None;
    `model(**batch).loss` for a mapping, as Hugging Face models have it.
    """

    def batch_loss(model: nn.Module, batch: Any) -> torch.Tensor:
        if isinstance(batch, tuple | list) and len(batch) == 2:
            x, y = batch
            output = _called(f"the model does not run on {_described_part(x)}", model, x)
            what = f"the loss of {_described_part(output)} and {_described_part(y)} cannot be taken"
            return _called(what, loss or F.cross_entropy, output, y)
        if isinstance(batch, Mapping) and loss is None:
            return _own_loss(model, batch)
        raise UsageError(
            f"the loss of {_described(batch)} is not defined by a loss (output, target); pass "
            "batches of (x, y), or batch_loss=, a function (model, batch) → scalar"
        )

    return batch_loss


def _own_loss(model: nn.Module, batch: Mapping[str, Any]) -> torch.Tensor:
    output = model(**batch)
    value = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if value is None:
        raise UsageError(
            f"the model's output for a batch of {_listed(batch)} has no loss; add the 'labels' "
            "to the batch, or pass batch_loss=, a function (model, batch) → scalar"
        )
    return value


def _called(what: str, function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except UsageError:
        raise
    except _UNFIT as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise UsageError(
            f"batches: {what}: {lines[0]}; pass batches of (x, y) as the model and the loss take "
            "them, or batch_loss="
        ) from error


def _described_part(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"a {value.dtype} tensor of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def _described(batch: Any) -> str:
    if isinstance(batch, torch.Tensor):
        return f"a batch that is one tensor of shape {tuple(batch.shape)}"
    if isinstance(batch, Mapping):
        return f"a batch of {_listed(batch)}"
    if isinstance(batch, tuple | list):
        return f"a batch of {len(batch)} things"
    return f"a batch that is a {type(batch).__name__}"


def _listed(batch: Mapping[str, Any]) -> str:
    return ", ".join(repr(key) for key in batch)
