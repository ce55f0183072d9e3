"""One function for every scope and structure."""

from collections.abc import Mapping
from fractions import Fraction
from math import floor

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._budget import Budget
from lottery_ticket.masks._channels import Asked, select_channels
from lottery_ticket.masks._density import budget as budget_at
from lottery_ticket.masks._density import least_kept
from lottery_ticket.masks._groups import num_groups, select_groups
from lottery_ticket.masks._mask import PruningMask
from lottery_ticket.masks._n_of_m import select_nm
from lottery_ticket.masks._select import select
from lottery_ticket.masks._structure import Structure

__all__ = ["select_at"]


def select_at(
    scores: Mapping[str, torch.Tensor],
    mask: PruningMask,
    *,
    density: float | None = None,
    budget: Budget | None = None,
    scope: str = "global",
    structure: str | Structure = "unstructured",
    min_layer_density: float = 0.0,
    input_dims: Mapping[str, int] | None = None,
) -> PruningMask:
    """The highest-scoring weights that `mask` keeps, at a density, in any scope and structure.

    Unstructured it is `select` with `budget(…)` and exact in weights. `"channel"` is of weights
    too, as nearly as whole channels allow: see `select_channels`. Blocks are `select_groups`:
    `density` is the fraction of *blocks* kept, and their number is exact. `"n:m"` is `select_nm`,
    which keeps n / m in every layer: it has no scope, and no other density.

    Args:
        scores: a score per weight, same names and shapes as `mask`; higher is kept.
        mask: what is kept now.
        density: kept / all prunable weights (blocks), pruned ones among the latter.
        budget: numbers of weights, in place of `density` (it wins where both are given). Blocks
            take the densities it comes to, of each layer if it counts those.
        scope: `"global"`, `"layerwise"` or `"erk"`; has no part where `budget` is per layer.
        structure: `"unstructured"`, `"2:4"`, `"block:4x4"`, `"channel"`, or a `Structure`.
        min_layer_density: no layer falls below it. With channels each keeps at least one.
        input_dims: as `lottery_ticket.masks.input_dims` gives it; 1 where not named. Only
            structures ask for it.

    Returns:
        A new mask, nested in `mask`.

    Raises:
        UsageError: as the functions named; neither `density` nor `budget` is given (n:m may go
            without); n:m at another density than n / m.

    >>> mask = PruningMask.from_tensors({"w": torch.ones(2, 4, dtype=torch.bool)})
    >>> scores = {"w": torch.arange(8.0).view(2, 4)}
    >>> select_at(scores, mask, density=0.25)["w"].sum().item()
    2
    >>> select_at(scores, mask, density=0.5, structure="channel")["w"].tolist()
    [[False, False, False, False], [True, True, True, True]]
    """
    structure = Structure.parse(structure)
    if structure.kind == "n:m":
        _check_fraction_kept(structure, mask, density, budget)
        found = select_nm(scores, mask, *structure.size, input_dims=input_dims)
        _check_least_kept(structure, found, min_layer_density)
        return found
    if budget is None and density is None:
        raise UsageError("select_at wants a density or a budget, got neither")
    if structure.kind == "unstructured":
        made = budget or budget_at(
            _shapes(mask), scope=scope, density=density or 0.0, min_layer_density=min_layer_density
        )
        return select(scores, mask, made, min_layer_density=min_layer_density)
    if structure.kind == "channel":
        asked = Asked(budget or density or 0.0, scope, min_layer_density)
        return select_channels(scores, mask, asked, input_dims=input_dims)
    counts = num_groups(mask, structure, input_dims=input_dims)
    if budget is not None and budget.per_layer is not None:
        made = _in_groups(budget.per_layer, mask, counts, min_layer_density)
    else:
        made = budget_at(
            _shapes(mask),
            scope=scope,
            density=budget.total / mask.num_prunable if budget else density or 0.0,
            min_layer_density=min_layer_density,
            num_groups=counts,
        )
    return select_groups(
        scores, mask, made, structure, min_layer_density=min_layer_density, input_dims=input_dims
    )


def _shapes(mask: PruningMask) -> dict[str, tuple[int, ...]]:
    return {name: tuple(kept.shape) for name, kept in mask.items()}


def _in_groups(
    per_layer: tuple[tuple[str, int], ...],
    mask: PruningMask,
    num_groups: Mapping[str, int],
    min_layer_density: float,
) -> Budget:
    """The number of groups at the density that each layer's number of weights comes to."""
    counts = []
    for name, count in per_layer:
        size, groups = mask[name].numel(), num_groups[name]
        num_kept = groups - floor(Fraction((size - count) * groups, size) + Fraction(1, 2))
        counts.append((name, max(num_kept, least_kept(groups, min_layer_density))))
    return Budget(sum(count for _, count in counts), tuple(counts))


def _check_fraction_kept(
    structure: Structure, mask: PruningMask, density: float | None, budget: Budget | None
) -> None:
    """n:m leaves no choice of density; who asks for another one should hear so."""
    n, m = structure.size
    size = mask.num_prunable
    asked = []
    if density is not None:
        asked = [(size, budget_at(_shapes(mask), scope="global", density=density).total)]
    if budget is not None:
        layers = budget.per_layer or (("", budget.total),)
        asked = [(mask[name].numel() if name else size, count) for name, count in layers]
    for total, count in asked:
        if abs(count * m - total * n) >= m:
            raise UsageError(
                f"structure '{structure}' keeps {n / m:g} of every layer; asked to keep {count:,} "
                f"of {total:,} ({count / total:.4g})"
            )


def _check_least_kept(structure: Structure, mask: PruningMask, min_layer_density: float) -> None:
    for name, kept in mask.items():
        least, count = least_kept(kept.numel(), min_layer_density), int(kept.sum())
        if count < least:
            raise UsageError(
                f"{name}: structure '{structure}' keeps {count:,} weights, but min_layer_density "
                f"{min_layer_density:g} needs {least:,}"
            )
