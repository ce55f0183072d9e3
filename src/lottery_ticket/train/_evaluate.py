"""Evaluation in large batches under inference mode."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from lottery_ticket.data import Split
from lottery_ticket.train._call import called
from lottery_ticket.train._losses import Loss
from lottery_ticket.train._metrics import Measured, Metric, measured

__all__ = ["EVALUATED_TOGETHER", "Evaluation", "evaluate", "is_right"]

EVALUATED_TOGETHER = 1000
"""Examples that go through a net at once."""


@dataclass(frozen=True)
class Evaluation:
    """What a model does on a split.

    Args:
        loss: mean over the examples.
        accuracy: fraction of examples classified right; None for a regression.
        correct: which examples were right, bool (N,) on the CPU; None for a regression, and where
            an example has several targets.
        metric: the run's own metric, if it has one.
    """

    loss: float
    accuracy: float | None
    correct: torch.Tensor | None
    metric: Measured | None = None


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    split: Split,
    loss: Loss,
    *,
    outputs: Callable[..., torch.Tensor] | None = None,
    metric: Metric | None = None,
) -> Evaluation:
    """Loss and accuracy of `model` in eval mode; each module's mode is put back afterwards.

    Args:
        outputs: what computes the model's outputs, when that is not the model itself.
        metric: (outputs, targets) → values, measured too.
    """
    outputs = outputs or model
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    is_classification = not split.y.is_floating_point()
    sums, correct, said = [], [], []
    try:
        for x, y in split.pieces(EVALUATED_TOGETHER):
            output = called(outputs, x)
            sums.append(loss(output, y) * len(y))
            if is_classification:
                correct.append(is_right(output, y))
            if metric is not None:
                said.append(output.cpu())
    finally:
        for module, mode in was_training.items():
            module.training = mode
    mean = float(torch.stack(sums).cpu().double().sum()) / len(split)
    own = None if metric is None else measured(metric, torch.cat(said), split.y.cpu())
    if not is_classification:
        return Evaluation(mean, None, None, own)
    rights = torch.cat(correct).cpu()
    share = int(rights.sum()) / rights.numel()
    return Evaluation(mean, share, rights if rights.ndim == 1 else None, own)


def is_right(output: torch.Tensor, y: torch.Tensor, dim: int = 1) -> torch.Tensor:
    """Whether each target is the likeliest class, bool of y's shape.

    Args:
        output: `(N, classes, …)`, as cross entropy takes it, or `(N, …, classes)`; of several nets
            `(R, N, …)`.
        y: `(N, …)`.
        dim: where the classes are in the first case: 1, of several nets 2.

    >>> is_right(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
    tensor([ True, False])
    """
    found = output.argmax(dim)
    return (found if found.shape[dim - 1 :] == y.shape else output.argmax(-1)) == y
