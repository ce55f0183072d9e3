"""How many weights each layer keeps at one density: together, alike, or by Erdős–Rényi-Kernel."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, prod

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.masks._budget import SCOPES, Budget, exact, num_pruned
from lottery_ticket.masks._fraction import check_fraction
from lottery_ticket.masks._share import share

__all__ = ["DISTRIBUTIONS", "budget", "budget_erk", "layer_counts", "least_kept"]

DISTRIBUTIONS = ("erk", "uniform")
"""How so many weights are shared out among layers without looking at them."""

Shapes = Mapping[str, Sequence[int]]


def budget(
    shapes: Shapes,
    *,
    scope: str,
    density: float,
    min_layer_density: float = 0.0,
    num_groups: Mapping[str, int] | None = None,
) -> Budget:
    """What is kept at `density` of all prunable weights.

    | scope | total | in each layer |
    |---|---|---|
    | `"global"` | size − floor((1 − density) · size + ½) | left to `select` |
    | `"layerwise"` | the sum over layers | the same law, by the layer's own size |
    | `"erk"` | as global | in proportion to the sum of its dimensions, see `budget_erk` |

    A layer that `min_layer_density` lifts takes from the others; the total stays. Counts never
    rise when the density falls, so the budgets of a chain nest.

    Args:
        shapes: shape of each prunable parameter, in model order.
        scope: see above.
        density: kept / prunable weights, in [0, 1].
        min_layer_density: no layer keeps fewer than ceil(min_layer_density · size). With scope
            global, `select` must be told too.
        num_groups: groups of weights in each layer, to count those in place of weights; see
            `lottery_ticket.masks.num_groups`.

    Raises:
        UsageError: an unknown scope, a fraction outside [0, 1], or a floor above the density.

    >>> shapes = {"conv": (8, 4, 3, 3), "fc": (10, 8)}
    >>> budget(shapes, scope="global", density=0.25)
    Budget(total=92, per_layer=None)
    >>> budget(shapes, scope="layerwise", density=0.25)
    Budget(total=92, per_layer=(('conv', 72), ('fc', 20)))
    """
    scopes = (*SCOPES, "erk")
    if scope not in scopes:
        raise UsageError(f"unknown scope {scope!r}{nearest(scope, scopes)}")
    density = check_fraction("density", density, has_zero=True, has_one=True)
    sizes = {n: prod(s) for n, s in shapes.items()} if num_groups is None else dict(num_groups)
    least = {name: least_kept(size, min_layer_density) for name, size in sizes.items()}
    total = sum(sizes.values())
    total -= num_pruned(total, _complement(density))
    if scope == "layerwise":
        total = sum(n - num_pruned(n, _complement(density)) for n in sizes.values())
    if total < sum(least.values()):
        raise UsageError(
            f"density {density:g} keeps {total:,} of {sum(sizes.values()):,}, but "
            f"min_layer_density {min_layer_density:g} needs {sum(least.values()):,}"
        )
    if scope == "global":
        return Budget(total)
    counts = _shares(shapes, sizes, least, total, scope)
    return Budget(total, tuple(counts.items()))


def budget_erk(shapes: Shapes, density: float, *, min_layer_density: float = 0.0) -> Budget:
    """Erdős–Rényi-Kernel: narrow layers are kept denser, wide ones sparser.

    density_l ∝ (n_out + n_in + k₁ + …) / (n_out · n_in · k₁ · …)

    scaled to the exact total; a layer that would be above 1 is dense, and the others share what
    is left. Counts are whole by Webster's method.

    >>> budget_erk({"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}, 0.05).per_layer
    (('fc1', 9051), ('fc2', 3340), ('fc3', 919))

    Source: Mocanu et al. 2018 (Erdős–Rényi, fully connected); Evci et al. 2020 (RigL), with the
    kernel's dimensions, over all prunable layers. Their code rounds each layer down.
    """
    return budget(shapes, scope="erk", density=density, min_layer_density=min_layer_density)


def layer_counts(shapes: Shapes, total: int, distribution: str = "erk") -> Budget:
    """So many weights in all, shared out among layers without looking at their values.

    Args:
        shapes: shape of each prunable parameter, in model order.
        total: weights kept.
        distribution: `"erk"`, see `budget_erk`, or `"uniform"`: each layer's share is its size.

    Raises:
        UsageError: an unknown distribution, or more weights than there are.

    >>> layer_counts({"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}, 13310).per_layer
    (('fc1', 9051), ('fc2', 3340), ('fc3', 919))
    """
    if distribution not in DISTRIBUTIONS:
        raise UsageError(
            f"unknown distribution {distribution!r}{nearest(distribution, DISTRIBUTIONS)}"
        )
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    if not 0 <= total <= sum(sizes.values()):
        raise UsageError(f"total: got {total:,}, wanted 0 to {sum(sizes.values()):,} weights")
    counts = _shares(shapes, sizes, dict.fromkeys(sizes, 0), total, distribution)
    return Budget(total, tuple(counts.items()))


def least_kept(size: int, min_layer_density: float) -> int:
    """`ceil(min_layer_density · size)`, in exact decimal arithmetic.

    Raises:
        UsageError: it is no fraction.

    >>> least_kept(30, 0.1)
    3
    """
    least = check_fraction("min_layer_density", min_layer_density, has_zero=True, has_one=True)
    return ceil(exact(least) * size)


def _shares(
    shapes: Shapes, sizes: Mapping[str, int], least: Mapping[str, int], total: int, scope: str
) -> dict[str, int]:
    names = [name for name, size in sizes.items() if size]
    weights = [Fraction(sizes[name]) for name in names]
    if scope == "erk":  # groups are kept at the density that weights would be
        weights = [Fraction(sizes[n] * (sum(shapes[n]) or 1), prod(shapes[n])) for n in names]
    shares = share(total, weights, [least[n] for n in names], [sizes[n] for n in names])
    return dict.fromkeys(sizes, 0) | dict(zip(names, shares, strict=True))


def _complement(density: float) -> float:
    return float(1 - exact(density))
