"""How many weights each level of an experiment keeps: counts that are known before it runs."""

from itertools import pairwise
from math import prod

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment._setting import Inputs
from lottery_ticket.masks import Budget, budget_at_densities, budget_at_rates, unfit_for_nm
from lottery_ticket.spec import PruneSpec

__all__ = ["level_budgets"]


def level_budgets(prune: PruneSpec, inputs: Inputs) -> list[Budget]:
    """The budgets of level 0, which is dense, and of each level of pruning, in weights.

    Raises:
        UsageError: a level would prune or keep nothing, or the scope does not fit a layer.
    """
    if prune.n_of_m is not None:
        budgets = _of_every_m(prune, inputs)
    elif prune.scope == "channel":
        budgets = _of_channels(prune, inputs)
    else:
        budgets = _counted(prune, inputs.sizes, prune.scope)
    for level, (before, after) in enumerate(pairwise(budgets), 1):
        if after.total == 0 or after.total == before.total:
            outcome = "prune nothing" if after.total else "keep nothing"
            raise UsageError(
                f"prune: level {level} would {outcome} ({before.total:,} weights are left before "
                f"it, of {budgets[0].total:,}); use fewer levels"
            )
    return budgets


def _counted(prune: PruneSpec, sizes: dict[str, int], scope: str) -> list[Budget]:
    if prune.densities:
        return budget_at_densities(sizes, scope=scope, densities=list(prune.densities))
    assert prune.rate is not None
    return budget_at_rates(
        sizes, scope=scope, rate=prune.rate, levels=prune.num_levels, rates=prune.rates
    )


def _of_every_m(prune: PruneSpec, inputs: Inputs) -> list[Budget]:
    """n of every m weights of each layer, with the n of the level."""
    assert prune.n_of_m is not None
    m = prune.n_of_m[1]
    if unfit := unfit_for_nm(inputs.layers, m, inputs.input_dims):
        shapes = ", ".join(f"{name} {inputs.layers[name]}" for name in unfit)
        layers = ", ".join(name.removesuffix(".weight") for name in unfit)
        raise UsageError(
            f"prune: scope {prune.scope!r} wants a multiple of {m} inputs, not so: {shapes}; leave "
            f"such layers dense with prune.ignore: [{layers}]"
        )
    scopes = [prune.scope_at(level) for level in range(1, prune.num_levels + 1)]
    kept = [m, *(int(scope.partition(":")[0]) for scope in scopes)]
    return [_per_layer({name: size // m * n for name, size in inputs.sizes.items()}) for n in kept]


def _of_channels(prune: PruneSpec, inputs: Inputs) -> list[Budget]:
    """Whole output channels of each layer."""
    channels = {
        name: shape[1 - inputs.input_dims.get(name, 1)] for name, shape in inputs.layers.items()
    }
    weights = {name: prod(shape) // channels[name] for name, shape in inputs.layers.items()}
    budgets = []
    for level, counted in enumerate(_counted(prune, channels, "layerwise")):
        counts = dict(counted.per_layer or ())
        if empty := [name for name, count in counts.items() if not count]:
            raise UsageError(
                f"prune: level {level} would keep no channel of {empty[0]!r}, which has "
                f"{channels[empty[0]]}; use fewer levels or higher densities"
            )
        budgets.append(_per_layer({name: n * weights[name] for name, n in counts.items()}))
    return budgets


def _per_layer(counts: dict[str, int]) -> Budget:
    return Budget(sum(counts.values()), tuple(counts.items()))
