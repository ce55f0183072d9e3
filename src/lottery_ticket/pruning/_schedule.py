"""How many weights each level keeps, or each step of a gradual pruning."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from numbers import Integral

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Budget, budget, budget_at_rates, check_falls, check_fraction

__all__ = [
    "Densities",
    "Iterative",
    "Polynomial",
    "Schedule",
    "densities",
    "iterative",
    "one_shot",
    "polynomial",
    "target_sparsity",
]

Shapes = Mapping[str, Sequence[int]]

_MOST_LEVELS = 1000  # as in a spec


@dataclass(frozen=True)
class Iterative:
    """Each level prunes `rate` of what the one before kept; see `iterative`."""

    rate: float
    levels: int

    def __post_init__(self) -> None:
        _set(self, rate=check_fraction("rate", self.rate))
        _set(self, levels=_count("levels", self.levels, most=_MOST_LEVELS))

    def budgets(
        self, shapes: Shapes, *, scope: str, min_layer_density: float = 0.0
    ) -> list[Budget]:
        """What levels 0 … `levels` keep."""
        sizes = {name: prod(shape) for name, shape in shapes.items()}
        if scope == "layerwise" and not min_layer_density:
            # each layer's own count follows the law; pruning at a total would round it otherwise
            made = budget_at_rates(sizes, scope=scope, rate=self.rate, levels=self.levels)
        else:
            totals = budget_at_rates(sizes, scope="global", rate=self.rate, levels=self.levels)
            made = _at_totals(shapes, [b.total for b in totals], scope, min_layer_density)
        return _checked(made)


@dataclass(frozen=True)
class Densities:
    """One level for each density of *all* prunable weights; see `densities`."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        _set(self, values=tuple(check_fraction("densities", value) for value in self.values))
        if not self.values or list(self.values) != sorted(set(self.values), reverse=True):
            raise UsageError(
                f"densities: got {list(self.values)}; they must fall from level to level"
            )

    @property
    def levels(self) -> int:
        """Levels beside the dense level 0."""
        return len(self.values)

    def budgets(
        self, shapes: Shapes, *, scope: str, min_layer_density: float = 0.0
    ) -> list[Budget]:
        """What level 0 (dense) and each level keep."""
        size = sum(prod(shape) for shape in shapes.values())
        dense = Budget(size, None if scope == "global" else _dense(shapes))
        pruned = [
            budget(shapes, scope=scope, density=value, min_layer_density=min_layer_density)
            for value in self.values
        ]
        return _checked([dense, *pruned])


Schedule = Iterative | Densities
"""What `iterative`, `densities`, `one_shot` and `target_sparsity` make."""


def iterative(rate: float = 0.2, levels: int = 20) -> Iterative:
    """Prune `rate` of what remains at each of `levels` levels: density (1 − rate)^level.

    >>> [b.total for b in iterative(0.2, 2).budgets({"w": (300, 784)}, scope="global")]
    [235200, 188160, 150528]

    Source: Frankle & Carbin 2019.
    """
    return Iterative(rate, levels)


def densities(*values: float) -> Densities:
    """Explicit densities of all prunable weights, falling from level to level.

    >>> densities(0.5, 0.1).levels
    2
    """
    return Densities(tuple(float(value) for value in values))


def one_shot(sparsity: float) -> Densities:
    """Prune once, to `sparsity` of all prunable weights.

    >>> one_shot(0.9).values
    (0.1,)
    """
    return target_sparsity(sparsity, rounds=1)


def target_sparsity(sparsity: float, rounds: int) -> Densities:
    """Reach `sparsity` of all prunable weights in `rounds` equal ratios; the last is exact.

    density_i = (1 − sparsity)^(i / rounds)

    >>> target_sparsity(0.75, rounds=2).values
    (0.5, 0.25)
    """
    sparsity = check_fraction("sparsity", sparsity)
    rounds = _count("rounds", rounds, most=_MOST_LEVELS)
    last = _complement(sparsity)
    steps = [last ** (i / rounds) for i in range(1, rounds)]
    return Densities((*steps, last))


@dataclass(frozen=True)
class Polynomial:
    """A density that falls during training; see `polynomial`."""

    final_sparsity: float
    begin_step: int
    end_step: int
    every_steps: int = 1
    power: float = 3.0
    initial_sparsity: float = 0.0

    def __post_init__(self) -> None:
        _set(self, final_sparsity=check_fraction("final_sparsity", self.final_sparsity))
        initial = check_fraction("initial_sparsity", self.initial_sparsity, has_zero=True)
        _set(self, initial_sparsity=initial)
        for name, least in (("every_steps", 1), ("begin_step", 0), ("end_step", 0)):
            _set(self, **{name: _count(name, getattr(self, name), least=least)})
        if not 0 <= self.begin_step < self.end_step:
            raise UsageError(
                f"polynomial: begin_step {self.begin_step} must come before end_step "
                f"{self.end_step}"
            )
        if self.initial_sparsity >= self.final_sparsity:
            raise UsageError(
                f"polynomial: final_sparsity {self.final_sparsity:g} must be more than "
                f"initial_sparsity {self.initial_sparsity:g}"
            )
        if not self.power > 0:
            raise UsageError(f"polynomial: power must be above 0, got {self.power:g}")

    def is_due(self, step: int) -> bool:
        """Whether weights are pruned after optimiser step `step`."""
        if step == self.end_step:
            return True
        is_within = self.begin_step <= step < self.end_step
        return is_within and (step - self.begin_step) % self.every_steps == 0

    def density_at(self, step: int) -> float:
        """The density to prune to after optimiser step `step`; exact at `end_step`."""
        if step >= self.end_step:
            return _complement(self.final_sparsity)
        done = max(0, step - self.begin_step) / (self.end_step - self.begin_step)
        left = (self.initial_sparsity - self.final_sparsity) * (1.0 - done) ** self.power
        return 1.0 - (self.final_sparsity + left)


def polynomial(
    final_sparsity: float,
    *,
    begin_step: int = 0,
    end_step: int,
    every_steps: int = 100,
    power: float = 3.0,
    initial_sparsity: float = 0.0,
) -> Polynomial:
    """Prune gradually during training, fast at first, to `final_sparsity` at `end_step`.

    sparsity(t) = s_f + (s_i − s_f) · (1 − (t − begin) / (end − begin))^power

    >>> schedule = polynomial(0.8, end_step=100, every_steps=50)
    >>> [round(schedule.density_at(step), 3) for step in (0, 50, 100)]
    [1.0, 0.3, 0.2]

    Source: Zhu & Gupta 2017 (power 3).
    """
    return Polynomial(final_sparsity, begin_step, end_step, every_steps, power, initial_sparsity)


def _complement(fraction: float) -> float:
    return round(1.0 - fraction, 15)  # 0.1, not 0.09999999999999998


def _dense(shapes: Shapes) -> tuple[tuple[str, int], ...]:
    return tuple((name, prod(shape)) for name, shape in shapes.items())


def _at_totals(
    shapes: Shapes, totals: Sequence[int], scope: str, min_layer_density: float
) -> list[Budget]:
    size = sum(prod(shape) for shape in shapes.values())
    dense = Budget(size, None if scope == "global" else _dense(shapes))
    return [dense] + [
        budget(shapes, scope=scope, density=total / size, min_layer_density=min_layer_density)
        for total in totals[1:]
    ]


def _checked(budgets: list[Budget]) -> list[Budget]:
    check_falls(budgets)
    return budgets


def _count(name: str, value: object, *, least: int = 1, most: int | None = None) -> int:
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = operator.index(value)  # type: ignore[arg-type]  # of NumPy's, too
        if least <= number <= (most or number):
            return number
    limit = f"of at least {least}" + (f" and at most {most:,}" if most else "")
    raise UsageError(f"{name}: got {value!r}, wanted a whole number {limit}")


def _set(record: object, **values: object) -> None:
    """Put Python's own numbers into a frozen record, in place of NumPy's."""
    for name, value in values.items():
        object.__setattr__(record, name, value)
