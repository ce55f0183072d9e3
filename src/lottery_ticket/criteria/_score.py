"""`score`: the one way to apply a criterion."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from lottery_ticket.criteria._batch_loss import BatchLoss, Loss
from lottery_ticket.criteria._checks import check_mask, check_tensors, checked_scores
from lottery_ticket.criteria._criterion import Criterion, ScoreFunction
from lottery_ticket.criteria._given import Given
from lottery_ticket.criteria._prepared import prepared
from lottery_ticket.criteria._registry import CRITERIA
from lottery_ticket.errors import UsageError, known_keywords
from lottery_ticket.names import lazy_names
from lottery_ticket.process import random_state_kept

__all__ = ["CriterionLike", "as_criterion", "score"]

CriterionLike = str | Criterion | ScoreFunction
"""A registered name, a `Criterion`, or a function of one's own."""

Tensors = Mapping[str, torch.Tensor]


@known_keywords("score")
def score(
    criterion: CriterionLike,
    *,
    model: nn.Module | None = None,
    weights: Tensors | None = None,
    initial: Tensors | None = None,
    mask: Tensors | None = None,
    kept: Tensors | None = None,
    batches: Iterable[Any] | None = None,
    loss: Loss | None = None,
    batch_loss: BatchLoss | None = None,
    input_shape: Sequence[int] | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, torch.Tensor]:
    """What each weight is worth by a criterion; higher is kept.

    A criterion is a function that asks for what it needs by the names of its parameters: those of
    this function, and `batch` for the first of the batches. What it does not ask for is not used.

    The model that it gets is this model, working on copies of its tensors: pruned weights are zero,
    the scored parameters can be differentiated, their `.grad` is None, dropout and the like are
    off, and batch norms normalise by the batch. Whatever the function does to it, the model ends
    as it was: mode, parameters, gradients, buffers; and so do the global random numbers.

    Args:
        criterion: a registered name, a `Criterion`, or any function of one's own.
        model: the model to be scored.
        weights: the weights now, by name; by default the model's. Given with a model, the model is
            scored at them; a whole `state_dict` will do.
        initial: the weights at initialisation, by name.
        mask: what is kept now: bool tensors by name; they say which parameters are scored. By
            default all of `weights`.
        kept: what of these the round before kept, for criteria of several rounds in which weights
            may come back; by default `mask`.
        batches: an iterable of batches: a list, a DataLoader. What can be gone through only once
            is kept in memory. Tensors are moved to the model's device.
        loss: (output, target) → scalar, for batches (x, y); by default the cross entropy.
        batch_loss: (model, batch) → scalar, for any other batches; it should be a mean over the
            batch. By default `loss(model(x), y)` for a batch (x, y), and `model(**batch).loss` for
            a mapping.
        input_shape: the shape of one example; by default that of the first batch's x.
        generator: for criteria that draw; on the CPU, so that all devices draw the same.

    Returns:
        Scores of the shapes of `mask`, in its order and on its device.

    Raises:
        UsageError: something is missing or does not fit, or the scores do not, or contain NaN.

    >>> score("magnitude", weights={"w": torch.tensor([-2.0, 1.0])})
    {'w': tensor([2., 1.])}
    >>> model = nn.Linear(1, 2)
    >>> mask = {"weight": torch.tensor([[True], [False]])}
    >>> batch = (torch.ones(8, 1), torch.zeros(8, dtype=torch.long))
    >>> score("saliency", model=model, mask=mask, batches=[batch])["weight"][1]
    tensor([0.])
    >>> def gradient(model, batch):
    ...     x, y = batch
    ...     nn.functional.cross_entropy(model(x), y).backward()
    ...     return {"weight": model.weight.grad.abs()}
    >>> score(gradient, model=model, mask=mask, batches=[batch])["weight"].shape
    torch.Size([2, 1])
    """
    chosen = as_criterion(criterion)
    if loss is not None and batch_loss is not None:
        raise UsageError("loss and batch_loss say the same thing; pass one of them")
    if mask is None:
        mask = _all_kept(weights if weights is not None else initial)
    check_mask(mask, model)
    if kept is not None:
        check_tensors("kept", kept, mask)
    for what, tensors in (("weights", weights), ("initial", initial)):
        if tensors is not None:
            check_tensors(what, tensors, mask)
    if generator is not None and generator.device.type != "cpu":
        raise UsageError(f"generator: it is on {generator.device}, wanted one on the CPU")
    given = Given(
        model, weights, initial, mask, kept or mask, batches, loss, batch_loss, input_shape,
        generator,
    )  # fmt: skip
    given.check_for(chosen)
    is_used = "model" in chosen.needs
    if model is not None and is_used and (lazy := lazy_names(model)):
        raise UsageError(
            f"criterion {chosen.name!r} runs the model, whose {lazy[0]!r} has no shape yet (a lazy "
            "layer); run the model once on an example first"
        )
    devices = () if model is None else {parameter.device for parameter in model.parameters()}
    with (
        random_state_kept(devices),
        prepared(model, weights, mask) if model is not None and is_used else nullcontext(),
    ):
        inputs = given.inputs(chosen.needs)
        try:
            scores = chosen.call(inputs)
        except Exception as error:  # whatever a user's own may raise
            error.add_note(f"in criterion {chosen.name!r}")
            raise
        return checked_scores(chosen.name, scores, mask)


def as_criterion(criterion: CriterionLike) -> Criterion:
    """The criterion that a name, a `Criterion` or a function stands for."""
    if isinstance(criterion, str):
        return CRITERIA[criterion]
    if isinstance(criterion, Criterion):
        return criterion
    if callable(criterion):
        return Criterion(criterion)
    raise UsageError(
        f"criterion: got a {type(criterion).__name__}, wanted a name, a Criterion or a function"
    )


def _all_kept(weights: Tensors | None) -> dict[str, torch.Tensor]:
    if weights is None:
        raise UsageError("which parameters to score? Pass mask=PruningMask(model)")
    return {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()}
