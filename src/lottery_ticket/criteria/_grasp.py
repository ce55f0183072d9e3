"""GraSP: gradient signal preservation."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lottery_ticket.criteria._batch_loss import BatchLoss
from lottery_ticket.criteria._criterion import Criterion
from lottery_ticket.criteria._gradients import gradients, mean_over_batches
from lottery_ticket.criteria._prepared import scored_parameters
from lottery_ticket.criteria._registry import CRITERIA
from lottery_ticket.errors import UsageError

__all__ = ["grasp"]


def grasp(
    model: nn.Module,
    mask: Mapping[str, torch.Tensor],
    batches: Iterable[Any],
    batch_loss: BatchLoss,
    temperature: float = 200.0,
) -> dict[str, torch.Tensor]:
    """`w·(H g)`: keep the weights whose removal weakens the gradient flow `gᵀg` most.

    To first order, removing w_q changes gᵀg by 2·S with `S(−w) = −w·(H g)`, g and H the gradient
    and Hessian of the loss with respect to the scored weights. The paper *removes* the highest S
    (it makes the gradient stronger), so the score, of which the highest are kept, is −S.

    Variant: the authors' code, which divides the model's output by a temperature; but for the
    weights that will be trained (theirs draws linear layers anew to score with), on the batches
    given (theirs: as many examples of each class, in two halves), and without its division by
    |Σ S|, which changes no rank. g and H g are means over all batches. Batch norms use the batch's
    statistics, as in theirs.

    Args:
        model: the model, prepared by `score`.
        mask: the parameters to score.
        batches: what the loss is taken over; gone through twice.
        batch_loss: (model, batch) → mean loss.
        temperature: what the model's output is divided by. For a model whose output is no tensor,
            as when it computes its loss itself, pass `functools.partial(grasp, temperature=1)`.

    >>> from functools import partial
    >>> from lottery_ticket.criteria import score
    >>> model = nn.Linear(2, 1, bias=False).requires_grad_(False)
    >>> _ = model.weight.copy_(torch.tensor([[3.0, -1.0]]))  # L = (3·1 − 1·2)² / 2 = 1/2
    >>> batches = [(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0]]))]
    >>> kept = {"weight": torch.tensor([[True, True]])}
    >>> half_square = lambda output, target: (output - target).square().mean() / 2
    >>> score(partial(grasp, temperature=1), model=model, mask=kept, batches=batches,
    ...       loss=half_square)  # g = (1, 2), H = [[1, 2], [2, 4]], H g = (5, 10)
    {'weight': tensor([[ 15., -10.]])}

    Source: Wang, Zhang & Grosse 2020, and the authors' code (GraSP.py).
    """
    named = scored_parameters(model, mask)
    parameters = list(named.values())

    def hessian_times(vector: list[torch.Tensor], loss: torch.Tensor) -> list[torch.Tensor]:
        found = gradients(loss, parameters, is_differentiable=True)
        products = [(g * v.to(g)).sum() for g, v in zip(found, vector, strict=True)]
        return gradients(torch.stack([p.to(products[0]) for p in products]).sum(), parameters)

    # the fused kernels of attention cannot be differentiated twice
    with _tempered(model, temperature), sdpa_kernel(SDPBackend.MATH):
        g = mean_over_batches(batches, lambda b: gradients(batch_loss(model, b), parameters))
        hg = mean_over_batches(batches, lambda b: hessian_times(g, batch_loss(model, b)))
    return {
        name: parameter.detach() * product
        for (name, parameter), product in zip(named.items(), hg, strict=True)
    }


@contextmanager
def _tempered(model: nn.Module, temperature: float) -> Iterator[None]:
    """A block in which the model's output is divided by `temperature`."""
    if temperature == 1:
        yield
        return

    def divide(module: nn.Module, inputs: Any, output: Any) -> torch.Tensor:
        if not isinstance(output, torch.Tensor):
            raise UsageError(
                f"grasp: the model's output is a {type(output).__name__}, which cannot be divided "
                f"by the temperature {temperature:g}; pass functools.partial(grasp, temperature=1)"
            )
        return output / temperature

    hook = model.register_forward_hook(divide)
    try:
        yield
    finally:
        hook.remove()


CRITERIA.register("grasp")(Criterion(grasp))
