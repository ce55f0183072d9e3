"""How many weights to keep: globally, or layer by layer. Counts are exact and known in advance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import floor

from lottery_ticket.errors import UsageError, nearest

__all__ = [
    "SCOPES",
    "Budget",
    "budget_at_densities",
    "budget_at_rates",
    "exact",
    "num_pruned",
    "rate_per_layer",
]

SCOPES = ("global", "layerwise")
"""The scopes of an experiment; the library has `"erk"` too."""


@dataclass(frozen=True)
class Budget:
    """How many weights to keep: over all layers together (`total`), or in each (`per_layer`)."""

    total: int
    per_layer: tuple[tuple[str, int], ...] | None = None


def num_pruned(remaining: int, rate: float) -> int:
    r"""`floor(rate · remaining + ½)`, in exact decimal arithmetic.

    >>> num_pruned(266_200, 0.2)
    53240
    """
    return floor(exact(rate) * remaining + Fraction(1, 2))


def check_falls(budgets: Sequence[Budget], what: str = "") -> None:
    """See that each level keeps something, and less than the one before.

    Args:
        budgets: level 0 first.
        what: what an error begins with, such as `"prune: "`.

    Raises:
        UsageError: a level would prune or keep nothing.
    """
    for level, (before, after) in enumerate(pairwise(budgets), 1):
        if after.total == 0 or after.total >= before.total:
            outcome = "prune nothing" if after.total else "keep nothing"
            raise UsageError(
                f"{what}level {level} would {outcome} ({before.total:,} weights are left before "
                f"it, of {budgets[0].total:,}); use fewer levels"
            )


def budget_at_rates(
    sizes: Mapping[str, int],
    *,
    scope: str,
    rate: float,
    levels: int,
    rates: Mapping[str, float] | None = None,
) -> list[Budget]:
    """The budgets of levels 0 … `levels`, each pruning `rate` of what the one before kept.

    Args:
        sizes: weights per prunable parameter, in model order.
        scope: `"global"` ranks all weights together, `"layerwise"` each layer by itself.
        rate: fraction in (0, 1) of the remaining weights that a level prunes.
        levels: number of prunings; level 0 is dense.
        rates: layerwise only: other rates for some layers, by parameter or module name
            (the LTH paper prunes the output layer at half the rate).

    Raises:
        UsageError: a scope or layer that does not exist.

    >>> [b.total for b in budget_at_rates({"w": 266_200}, scope="global", rate=0.2, levels=2)]
    [266200, 212960, 170368]

    Source: Frankle & Carbin 2019, section 2 and appendix G.
    """
    rate_of = rate_per_layer(sizes, scope, rate, rates or {})
    kept = _scoped(sizes, scope)
    budgets = [_budget(kept, scope)]
    for _ in range(levels):
        kept = {name: n - num_pruned(n, rate_of[name]) for name, n in kept.items()}
        budgets.append(_budget(kept, scope))
    return budgets


def budget_at_densities(
    sizes: Mapping[str, int], *, scope: str, densities: list[float]
) -> list[Budget]:
    """The budgets of level 0 (dense) and of one level for each density of *all* prunable weights.

    >>> [b.total for b in budget_at_densities({"w": 200}, scope="global", densities=[0.5, 0.1])]
    [200, 100, 20]
    """
    dense = _scoped(sizes, scope)
    levels = [
        {name: n - num_pruned(n, float(1 - exact(density))) for name, n in dense.items()}
        for density in densities
    ]
    return [_budget(kept, scope) for kept in [dense, *levels]]


def _scoped(sizes: Mapping[str, int], scope: str) -> dict[str, int]:
    if scope not in SCOPES:
        raise UsageError(f"unknown scope {scope!r}{nearest(scope, SCOPES)}")
    return {"": sum(sizes.values())} if scope == "global" else dict(sizes)


def _budget(kept: Mapping[str, int], scope: str) -> Budget:
    per_layer = None if scope == "global" else tuple(kept.items())
    return Budget(sum(kept.values()), per_layer)


def rate_per_layer(
    sizes: Mapping[str, int], scope: str, rate: float, rates: Mapping[str, float]
) -> dict[str, float]:
    """Each layer's own rate, by parameter; raises `UsageError` as `budget_at_rates`."""
    rate_of = dict.fromkeys(_scoped(sizes, scope), rate)
    if rates and scope == "global":
        raise UsageError("rates per layer have no effect with scope 'global'; use 'layerwise'")
    for layer, layer_rate in rates.items():
        name = layer if layer in sizes else f"{layer}.weight"
        if name not in rate_of:
            known = [*sizes, *(size.removesuffix(".weight") for size in sizes)]
            raise UsageError(f"rates: no prunable layer {layer!r}{nearest(layer, known)}")
        rate_of[name] = layer_rate
    return rate_of


def exact(number: float) -> Fraction:
    """The decimal number that was written: 0.2 means two tenths, not the double next to it.

    >>> exact(0.2)
    Fraction(1, 5)
    """
    return Fraction(str(number))
