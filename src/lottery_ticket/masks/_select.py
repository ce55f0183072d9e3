"""Which weights to keep: exactly as many as asked for, by one tie rule."""

from collections.abc import Mapping

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._budget import Budget
from lottery_ticket.masks._mask import PruningMask

__all__ = ["select"]


def select(scores: Mapping[str, torch.Tensor], mask: PruningMask, budget: Budget) -> PruningMask:
    """The `budget` highest-scoring weights among those that `mask` keeps.

    On a tie the lower flat index is kept, layers in model order. What is pruned stays pruned.

    Args:
        scores: a score per weight, same names and shapes as `mask`; higher is kept.
        mask: what is kept now.
        budget: how many to keep, over all layers or in each.

    Returns:
        A new mask, nested in `mask`.

    Raises:
        UsageError: a score is NaN, a name or shape does not fit, or more is asked for than is kept
            (or less than nothing).

    >>> mask = PruningMask.from_tensors({"w": torch.ones(4, dtype=torch.bool)})
    >>> select({"w": torch.tensor([3.0, 1.0, 3.0, 3.0])}, mask, Budget(2))["w"].tolist()
    [True, False, True, False]
    """
    _check(scores, mask)
    if not mask:
        raise UsageError("the mask names no layer; the model has no prunable parameters")
    if budget.per_layer is None:
        flat = _keep_highest(
            torch.cat([scores[name].detach().flatten() for name in mask]),
            torch.cat([mask[name].flatten() for name in mask]),
            budget.total,
            "all layers",
        )
        pieces = flat.split([mask[name].numel() for name in mask])
        kept = {
            name: piece.view(mask[name].shape).clone()
            for name, piece in zip(mask, pieces, strict=True)
        }
    else:
        if sorted(name for name, _ in budget.per_layer) != sorted(mask):
            layers = sorted(name for name, _ in budget.per_layer)
            raise UsageError(f"the budget is for {layers}, the mask is for {sorted(mask)}")
        kept = {
            name: _keep_highest(
                scores[name].detach().flatten(), mask[name].flatten(), count, name
            ).view(mask[name].shape)
            for name, count in budget.per_layer
        }
    return PruningMask.from_tensors(kept)


def _check(scores: Mapping[str, torch.Tensor], mask: PruningMask) -> None:
    if set(scores) != set(mask):
        raise UsageError(f"scores are for {sorted(scores)}, the mask is for {sorted(mask)}")
    for name, score in scores.items():
        if score.shape != mask[name].shape:
            raise UsageError(
                f"scores of {name!r} have shape {tuple(score.shape)}, "
                f"its mask has {tuple(mask[name].shape)}"
            )
        if torch.isnan(score).any():
            raise UsageError(f"scores of {name!r} contain NaN; nothing was pruned")


def _keep_highest(
    score: torch.Tensor, is_kept: torch.Tensor, count: int, where: str
) -> torch.Tensor:
    candidates = is_kept.nonzero().squeeze(1)
    if not 0 <= count <= len(candidates):
        raise UsageError(f"{where}: asked to keep {count} weights of {len(candidates)} left")
    chosen = torch.zeros_like(is_kept)
    if count == 0:
        return chosen
    values = score[candidates]
    threshold = values.kthvalue(len(values) - count + 1).values
    is_above = values > threshold
    is_tied = values == threshold
    num_ties = count - int(is_above.sum())
    # cumsum numbers the tied entries by flat index: the first ones fill what is left
    is_chosen = is_above | (is_tied & (is_tied.cumsum(0) <= num_ties))
    chosen[candidates[is_chosen]] = True
    return chosen
