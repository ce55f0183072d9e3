"""Saliency: gradient × weight."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from lottery_ticket.criteria._batch_loss import BatchLoss
from lottery_ticket.criteria._criterion import Criterion
from lottery_ticket.criteria._gradients import gradients, mean_over_batches
from lottery_ticket.criteria._prepared import scored_parameters
from lottery_ticket.criteria._registry import CRITERIA

__all__ = ["saliency"]


def saliency(
    model: nn.Module,
    mask: Mapping[str, torch.Tensor],
    batches: Iterable[Any],
    batch_loss: BatchLoss,
) -> dict[str, torch.Tensor]:
    """`|g·w|` with g = ∂L/∂w: keep the weights whose removal changes the loss most, to first order.

    The gradient is that of the mean loss over all batches. Dropout is off and batch norms use the
    batch's statistics, see `score`.

    Args:
        model: the model, prepared by `score`.
        mask: the parameters to score.
        batches: what the loss is taken over.
        batch_loss: (model, batch) → mean loss.

    >>> from lottery_ticket.criteria import score
    >>> model = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = model.weight.copy_(torch.tensor([[3.0, -1.0]]))
    >>> kept = {"weight": torch.tensor([[True, True]])}
    >>> score(saliency, model=model, mask=kept, batches=[torch.tensor([[2.0, 5.0]])],
    ...       batch_loss=lambda model, batch: model(batch).mean())
    {'weight': tensor([[6., 5.]])}

    Source: `|∂L/∂c|` for a gate c on w is Mozer & Smolensky's relevance (1989), of weights instead
    of units; the gradient magnitude of Blalock et al. 2020.
    """
    parameters = scored_parameters(model, mask)
    means = mean_over_batches(
        batches, lambda batch: gradients(batch_loss(model, batch), list(parameters.values()))
    )
    return {
        name: (gradient * parameter.detach()).abs()
        for (name, parameter), gradient in zip(parameters.items(), means, strict=True)
    }


CRITERIA.register("saliency")(Criterion(saliency))
