"""Which weights to keep: exactly as many as asked for, by one tie rule."""

from collections.abc import Mapping, Sequence

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._budget import Budget
from lottery_ticket.masks._density import least_kept
from lottery_ticket.masks._highest import keep_highest
from lottery_ticket.masks._mask import PruningMask
from lottery_ticket.names import check_shape

__all__ = ["check_scores", "select", "select_units"]


def select(
    scores: Mapping[str, torch.Tensor],
    mask: PruningMask,
    budget: Budget,
    *,
    min_layer_density: float = 0.0,
) -> PruningMask:
    """The `budget` highest-scoring weights among those that `mask` keeps.

    On a tie the lower flat index is kept, layers in model order. What is pruned stays pruned.

    Args:
        scores: a score per weight, same names and shapes as `mask`; higher is kept.
        mask: what is kept now.
        budget: how many to keep, over all layers or in each.
        min_layer_density: over all layers: each first keeps its ceil(min_layer_density · size)
            best, then the best of the rest are kept. A budget per layer must be made with it.

    Returns:
        A new mask, nested in `mask`.

    Raises:
        UsageError: a score is NaN, a name or shape does not fit, or more is asked for than is kept
            (or less than nothing, or than `min_layer_density` needs).

    >>> mask = PruningMask.from_tensors({"w": torch.ones(4, dtype=torch.bool)})
    >>> select({"w": torch.tensor([3.0, 1.0, 3.0, 3.0])}, mask, Budget(2))["w"].tolist()
    [True, False, True, False]
    """
    return select_units(scores, mask, budget, min_layer_density, "weights")


def select_units(
    scores: Mapping[str, torch.Tensor],
    mask: PruningMask,
    budget: Budget,
    min_layer_density: float,
    unit: str,
) -> PruningMask:
    """As `select`, for whatever the entries of `mask` stand for; errors call them `unit`."""
    check_scores(scores, mask)
    least = {name: least_kept(kept.numel(), min_layer_density) for name, kept in mask.items()}
    if budget.per_layer is None:
        best = _over_all(scores, mask, budget.total, least, unit)
        return PruningMask.from_tensors(best, mask.left_out)
    _check_per_layer(budget.per_layer, mask, least, unit)
    chosen = {}
    for name, count in budget.per_layer:
        (flat,) = _highest([scores[name]], [mask[name]], count, name, unit)
        chosen[name] = flat.view(mask[name].shape)
    return PruningMask.from_tensors(chosen, mask.left_out)


def _over_all(
    scores: Mapping[str, torch.Tensor],
    mask: PruningMask,
    total: int,
    least: Mapping[str, int],
    unit: str,
) -> dict[str, torch.Tensor]:
    """The `total` best of all layers together, `least` of each layer among them."""
    num_least = sum(least.values())
    if 0 <= total < num_least:
        raise UsageError(
            f"all layers: asked to keep {total:,} {unit}, but min_layer_density needs "
            f"{num_least:,}: {_counts(least)}"
        )
    names = list(mask)
    flat_scores, kept = [scores[name] for name in names], [mask[name] for name in names]
    if not num_least:
        best = _highest(flat_scores, kept, total, "all layers", unit)
        return {name: flat.view(mask[name].shape) for name, flat in zip(names, best, strict=True)}
    reserved = [
        _highest([score], [layer], least[name], f"{name}, min_layer_density", unit)[0]
        for name, score, layer in zip(names, flat_scores, kept, strict=True)
    ]
    rest = [layer.flatten() & ~held for layer, held in zip(kept, reserved, strict=True)]
    where = "all layers, beyond min_layer_density"
    best = _highest(flat_scores, rest, total - num_least, where, unit)
    return {
        name: (held | more).view(mask[name].shape)
        for name, held, more in zip(names, reserved, best, strict=True)
    }


def _highest(
    scores: Sequence[torch.Tensor],
    masks: Sequence[torch.Tensor],
    count: int,
    where: str,
    unit: str,
) -> list[torch.Tensor]:
    num_left = sum(int(mask.sum()) for mask in masks)
    if not 0 <= count <= num_left:
        raise UsageError(f"{where}: asked to keep {count} {unit} of {num_left} left")
    return keep_highest(
        [score.detach().flatten() for score in scores], [mask.flatten() for mask in masks], count
    )


def _check_per_layer(
    counts: tuple[tuple[str, int], ...], mask: PruningMask, least: Mapping[str, int], unit: str
) -> None:
    if sorted(name for name, _ in counts) != sorted(mask):
        layers = sorted(name for name, _ in counts)
        raise UsageError(f"the budget is for {layers}, the mask is for {sorted(mask)}")
    for name, count in counts:
        if count < least[name]:
            raise UsageError(
                f"{name}: the budget keeps {count:,} {unit}, but min_layer_density needs "
                f"{least[name]:,}; make the budget with it: budget(…, min_layer_density=…)"
            )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def check_scores(scores: Mapping[str, torch.Tensor], mask: PruningMask) -> None:
    """Raise `UsageError` unless every entry of a mask that is not empty has a score, never NaN."""
    if set(scores) != set(mask):
        raise UsageError(f"scores are for {sorted(scores)}, the mask is for {sorted(mask)}")
    if not mask:
        raise UsageError("the mask names no layer; the model has no prunable parameters")
    for name, score in scores.items():
        check_shape(f"scores: {name!r}", score.shape, mask[name].shape, "its mask")
        # one NaN makes the sum one, at a tenth of the time; so do infinities
        if torch.isnan(score.sum()) and torch.isnan(score).any():
            raise UsageError(f"scores of {name!r} contain NaN; nothing was pruned")
