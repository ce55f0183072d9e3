"""FORCE and iterative SNIP: connection sensitivity after pruning, found in many rounds."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from lottery_ticket.criteria._batch_loss import BatchLoss
from lottery_ticket.criteria._criterion import Criterion
from lottery_ticket.criteria._gradients import gradients, mean_over_batches
from lottery_ticket.criteria._prepared import scored_parameters
from lottery_ticket.criteria._registry import CRITERIA
from lottery_ticket.criteria._saliency import saliency

__all__ = ["force", "iterative_snip"]

_ROUNDS = 60


def force(
    model: nn.Module,
    mask: Mapping[str, torch.Tensor],
    kept: Mapping[str, torch.Tensor],
    batches: Iterable[Any],
    batch_loss: BatchLoss,
) -> dict[str, torch.Tensor]:
    """`|w · ∂L/∂w̄|` with w̄ = w ⊙ kept: what a weight would do in the net as it is pruned so far.

    Scored and pruned in 60 rounds, at densities that fall by equal ratios. A weight that a round
    left out has a score too, and comes back where that is high.

    Variant: the same examples in each round; the authors draw new ones.

    Args:
        model: the model, prepared by `score`.
        mask: the parameters to score.
        kept: what the round before kept; all of `mask` in the first.
        batches: what the loss is taken over.
        batch_loss: (model, batch) → mean loss.

    >>> from lottery_ticket.criteria import score
    >>> model = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = model.weight.copy_(torch.tensor([[3.0, -1.0]]))
    >>> whole, half = {"weight": torch.ones(1, 2) > 0}, {"weight": torch.tensor([[True, False]])}
    >>> score("force", model=model, mask=whole, kept=half, batches=[torch.tensor([[2.0, 5.0]])],
    ...       batch_loss=lambda model, batch: model(batch).square().mean())
    {'weight': tensor([[72., 60.]])}

    Source: de Jorge et al. 2021, equations 5 to 7 and the exponential schedule.
    """
    parameters = scored_parameters(model, mask)
    weights = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    for name, parameter in parameters.items():
        parameter.data.masked_fill_(~kept[name].to(parameter.device), 0.0)
    means = mean_over_batches(
        batches, lambda batch: gradients(batch_loss(model, batch), list(parameters.values()))
    )
    return {
        name: (gradient * weights[name]).abs()
        for name, gradient in zip(parameters, means, strict=True)
    }


def iterative_snip(
    model: nn.Module,
    mask: Mapping[str, torch.Tensor],
    batches: Iterable[Any],
    batch_loss: BatchLoss,
) -> dict[str, torch.Tensor]:
    """`|g·w|` of what is left, scored and pruned in 60 rounds: SNIP, a little at a time.

    As `force` without a way back. A round is `saliency`, which ranks as `snip` does.

    Args:
        model, mask, batches, batch_loss: as of `saliency`.

    >>> from lottery_ticket.pruning import prune
    >>> mask = prune(
    ...     nn.Linear(8, 2), sparsity=0.5, criterion="iterative_snip",
    ...     batches=[(torch.randn(4, 8), torch.tensor([0, 1, 0, 1]))],
    ... )
    >>> mask.num_kept
    8

    Source: de Jorge et al. 2021; Verdenius et al. 2020 (SNIP-it), with another schedule.
    """
    return saliency(model, mask, batches, batch_loss)


CRITERIA.register("force")(Criterion(force, rounds=_ROUNDS))
CRITERIA.register("iterative_snip")(Criterion(iterative_snip, rounds=_ROUNDS))
