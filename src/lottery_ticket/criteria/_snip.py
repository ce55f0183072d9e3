"""SNIP: connection sensitivity."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from lottery_ticket.criteria._batch_loss import BatchLoss
from lottery_ticket.criteria._criterion import Criterion
from lottery_ticket.criteria._registry import CRITERIA
from lottery_ticket.criteria._saliency import saliency

__all__ = ["snip"]


def snip(
    model: nn.Module,
    mask: Mapping[str, torch.Tensor],
    batches: Iterable[Any],
    batch_loss: BatchLoss,
) -> dict[str, torch.Tensor]:
    """`|∂L/∂c_j| / Σ_k |∂L/∂c_k|`, c a gate of 1 on each weight, so that `∂L/∂c = g·w`.

    This is `saliency` divided by its sum over all scored weights, in float64: the same ranking to
    the last tie. The paper applies it once, before training, to one batch.

    Variant: the paper's formula, for the weights that will be trained (the authors' code scores one
    draw and trains another) and for those of the mask only (theirs: biases too). Batch norms use
    the batch's statistics; theirs use their initial averages, that is, do nothing. For that, wrap
    it in a function that calls `model.eval()` before `snip`.

    Args:
        model: the model, prepared by `score`.
        mask: the parameters to score.
        batches: what the loss is taken over.
        batch_loss: (model, batch) → mean loss.

    >>> from lottery_ticket.criteria import score
    >>> model = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = model.weight.copy_(torch.tensor([[3.0, -1.0]]))
    >>> kept = {"weight": torch.tensor([[True, True]])}
    >>> score("snip", model=model, mask=kept, batches=[torch.tensor([[1.0, 5.0]])],
    ...       batch_loss=lambda model, batch: model(batch).mean())["weight"].tolist()
    [[0.375, 0.625]]

    Source: Lee, Ajanthan & Torr 2019, and the authors' code (model.py).
    """
    scores = {
        name: value.double() for name, value in saliency(model, mask, batches, batch_loss).items()
    }
    total = sum(float(value.sum()) for value in scores.values())
    return {name: value / (total or 1.0) for name, value in scores.items()}  # a dead net: all 0


CRITERIA.register("snip")(Criterion(snip))
