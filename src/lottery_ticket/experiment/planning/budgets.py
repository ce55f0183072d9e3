"""How many weights each level of an experiment keeps: counts that are known before it runs."""

from fractions import Fraction
from math import prod

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.objects.inputs import Inputs
from lottery_ticket.masks import (
    Budget,
    budget_at_densities,
    budget_at_rates,
    channels_at,
    check_falls,
    exact,
    rate_per_layer,
    unfit_for_nm,
    warn_missed,
)
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
        budgets = _counted(prune, inputs.sizes)
    check_falls(budgets, "prune: ")
    return budgets


def _counted(prune: PruneSpec, sizes: dict[str, int]) -> list[Budget]:
    if prune.densities:
        return budget_at_densities(sizes, scope=prune.scope, densities=list(prune.densities))
    assert prune.rate is not None
    return budget_at_rates(
        sizes, scope=prune.scope, rate=prune.rate, levels=prune.num_levels, rates=prune.rates
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
    """Whole output channels of each layer: those nearest to the level's density of its weights.

    Warns:
        MissedDensityWarning: a layer keeps its last channel, and so more than is asked for.
    """
    channels = {
        name: shape[1 - inputs.input_dims.get(name, 1)] for name, shape in inputs.layers.items()
    }
    weights = {name: prod(shape) // channels[name] for name, shape in inputs.layers.items()}
    densities = _densities(prune, inputs)
    budgets = [_per_layer(inputs.sizes)]
    for level in range(prune.num_levels):
        counts = {n: channels_at(num, densities[n][level]) for n, num in channels.items()}
        budgets.append(_per_layer({name: n * weights[name] for name, n in counts.items()}))
        asked = {name: densities[name][level] * size for name, size in inputs.sizes.items()}
        is_lifted = any(n == 1 and 2 * asked[name] <= weights[name] for name, n in counts.items())
        target, kept = sum(asked.values(), Fraction(0)), budgets[-1].total
        if is_lifted and kept - target > Fraction(min(weights.values()), 2):
            warn_missed(f"prune: level {level + 1}", target, kept, budgets[0].total)
    return budgets


def _densities(prune: PruneSpec, inputs: Inputs) -> dict[str, list[Fraction]]:
    """Of each layer what is to be kept at levels 1, 2, …"""
    if prune.densities:
        return {name: [exact(density) for density in prune.densities] for name in inputs.sizes}
    assert prune.rate is not None
    rates = rate_per_layer(inputs.sizes, "layerwise", prune.rate, prune.rates)
    levels = range(1, prune.num_levels + 1)
    return {name: [(1 - exact(rate)) ** level for level in levels] for name, rate in rates.items()}


def _per_layer(counts: dict[str, int]) -> Budget:
    return Budget(sum(counts.values()), tuple(counts.items()))
