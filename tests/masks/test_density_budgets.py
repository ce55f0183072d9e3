import math
from fractions import Fraction

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Budget, budget, budget_at_densities, budget_erk
from lottery_ticket.masks._share import share

LENET300 = {"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}

law = settings(
    max_examples=60,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
shapes = st.lists(
    st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple), min_size=1, max_size=5
).map(lambda found: {"dbeca"[index]: shape for index, shape in enumerate(found)})
percents = st.integers(0, 100)


def size_of(found):
    return sum(math.prod(shape) for shape in found.values())


def total_at(found, percent):
    """size − floor((1 − density) · size + ½)"""
    return size_of(found) - (2 * (100 - percent) * size_of(found) + 100) // 200


def check_erk(erk):
    """The exact total; dense, or at one common pace; none rises when the density falls."""

    @law
    @given(shapes, percents)
    def check(shapes, percent):
        found = erk(shapes, percent / 100)
        counts = dict(found.per_layer)
        assert list(counts) == list(shapes)
        assert found.total == sum(counts.values()) == total_at(shapes, percent)
        slowest, fastest = Fraction(0), None
        for name, shape in shapes.items():
            assert 0 <= counts[name] <= math.prod(shape)
            if counts[name] > 0:  # its last weight was due at a pace at most this
                slowest = max(slowest, (counts[name] - Fraction(1, 2)) / sum(shape))
            if counts[name] < math.prod(shape):
                due = (counts[name] + Fraction(1, 2)) / sum(shape)
                fastest = due if fastest is None else min(fastest, due)
        assert fastest is None or slowest <= fastest
        denser = dict(erk(shapes, min(percent + 1, 100) / 100).per_layer)
        assert all(counts[name] <= denser[name] for name in shapes)

    check()


def test_erk():
    check_erk(budget_erk)
    check_erk(lambda shapes, density: budget(shapes, scope="erk", density=density))


def erdos_renyi(shapes, density):
    """Without the kernel's dimensions."""
    plain = {name: (*shape[:2], *(1 for _ in shape[2:])) for name, shape in shapes.items()}
    total, names = total_at(shapes, round(100 * density)), list(shapes)
    most = [math.prod(shapes[name]) for name in names]
    weights = [Fraction(sum(plain[name])) for name in names]
    counts = share(total, weights, [0] * len(names), most)
    return Budget(total, tuple(zip(names, counts, strict=True)))


def rounded_down(shapes, density):
    """RigL's code: each layer's count is rounded down."""
    weights = {name: sum(shape) for name, shape in shapes.items()}
    pace = Fraction(total_at(shapes, round(100 * density)), sum(weights.values()))
    counts = {n: min(math.floor(pace * w), math.prod(shapes[n])) for n, w in weights.items()}
    return Budget(sum(counts.values()), tuple(counts.items()))


def capped_without_solving_again(shapes, density):
    weights = {name: Fraction(sum(shape)) for name, shape in shapes.items()}
    total = total_at(shapes, round(100 * density))
    least = [0] * len(shapes)
    counts = share(total, list(weights.values()), least, [total] * len(shapes))
    counts = {n: min(c, math.prod(shapes[n])) for n, c in zip(shapes, counts, strict=True)}
    return Budget(sum(counts.values()), tuple(counts.items()))


def alike(shapes, density):
    return budget(shapes, scope="layerwise", density=density)


@pytest.mark.parametrize("mutant", [erdos_renyi, rounded_down, capped_without_solving_again, alike])
def test_other_erk_budgets_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_erk(mutant)


def test_erk_of_lenet300():
    """By hand: 13,310 of 266,200 over dimension sums 1084, 400, 110 is 8.3501 per dimension."""
    assert budget_erk(LENET300, 0.05) == Budget(
        13_310, (("fc1", 9051), ("fc2", 3340), ("fc3", 919))
    )
    # at 0.1 fc3 would keep 1837 of 1000, so it is dense; 25,620 are left for 1484
    assert budget_erk(LENET300, 0.1) == Budget(
        26_620, (("fc1", 18_714), ("fc2", 6_906), ("fc3", 1_000))
    )


def test_erk_counts_the_kernel():
    found = budget_erk({"conv": (8, 4, 3, 3), "fc": (10, 8)}, 0.1)
    # 37 of 368 over 8 + 4 + 3 + 3 = 18 and 10 + 8 = 18
    assert found == Budget(37, (("conv", 19), ("fc", 18)))


def test_erk_extremes():
    assert budget_erk(LENET300, 1.0).per_layer == (
        ("fc1", 235_200), ("fc2", 30_000), ("fc3", 1_000),
    )  # fmt: skip
    assert budget_erk(LENET300, 0.0).total == 0
    assert budget_erk({"scalar": (), "vector": (4,), "empty": (0, 3)}, 1.0) == Budget(
        5, (("scalar", 1), ("vector", 4), ("empty", 0))
    )


@law
@given(shapes, percents)
def test_global_and_layerwise_are_the_budgets_of_the_engine(shapes, percent):
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    for scope in ("global", "layerwise"):
        found = budget(shapes, scope=scope, density=percent / 100)
        assert found == budget_at_densities(sizes, scope=scope, densities=[percent / 100])[1]


def check_floor(budget_fn):
    """No layer below the floor; the total, and what is well above, as without it."""

    @law
    @example({"b": (2,), "d": (40,)}, "layerwise", 10, 10)
    @given(shapes, st.sampled_from(["layerwise", "erk"]), percents, percents)
    def check(shapes, scope, percent, floor):
        least = {n: math.ceil(Fraction(floor, 100) * math.prod(s)) for n, s in shapes.items()}
        plain = budget(shapes, scope=scope, density=percent / 100)
        options = {"scope": scope, "density": percent / 100, "min_layer_density": floor / 100}
        if plain.total < sum(least.values()):
            with pytest.raises(UsageError, match=f"needs {sum(least.values()):,}"):
                budget(shapes, **options)
            return
        found = budget_fn(shapes, **options)
        counts, before = dict(found.per_layer), dict(plain.per_layer)
        assert found.total == sum(counts.values()) == plain.total
        assert list(counts) == list(shapes)
        for name, shape in shapes.items():
            assert least[name] <= counts[name] <= math.prod(shape)
            assert counts[name] <= max(before[name], least[name]), "only lifted layers gain"
        if all(before[name] >= least[name] for name in shapes):
            assert counts == before

    check()


def test_min_layer_density():
    check_floor(budget)


def floor_ignored(shapes, *, scope, density, min_layer_density):
    return budget(shapes, scope=scope, density=density)


def floor_on_top(shapes, *, scope, density, min_layer_density):
    """Lifts layers and takes from none: the total grows."""
    plain = budget(shapes, scope=scope, density=density)
    counts = {
        n: max(count, math.ceil(Fraction(str(min_layer_density)) * math.prod(shapes[n])))
        for n, count in plain.per_layer
    }
    return Budget(sum(counts.values()), tuple(counts.items()))


def floor_rounded_down(shapes, *, scope, density, min_layer_density):
    sizes = {n: math.prod(s) for n, s in shapes.items()}
    total = budget(shapes, scope=scope, density=density).total
    least = [math.floor(min_layer_density * size) for size in sizes.values()]
    weights = [Fraction(sum(shapes[n]) if scope == "erk" else sizes[n]) for n in sizes]
    counts = share(total, weights, least, list(sizes.values()))
    return Budget(total, tuple(zip(sizes, counts, strict=True)))


@pytest.mark.parametrize("mutant", [floor_ignored, floor_on_top, floor_rounded_down])
def test_other_floors_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_floor(mutant)


def test_literal_floor():
    assert budget(LENET300, scope="erk", density=0.01, min_layer_density=0.0) == Budget(
        2_662, (("fc1", 1_810), ("fc2", 668), ("fc3", 184))
    )
    # 0.9 % of 235,200 is 2,116.8; what is left over 400 and 110
    found = budget_erk(LENET300, 0.01, min_layer_density=0.009)
    assert found == Budget(2_662, (("fc1", 2_117), ("fc2", 427), ("fc3", 118)))


def test_floor_of_global_is_checked_only():
    assert budget(LENET300, scope="global", density=0.01, min_layer_density=0.005) == Budget(2_662)


@pytest.mark.parametrize("scope", ["global", "layerwise", "erk"])
def test_a_floor_above_the_density(scope):
    with pytest.raises(UsageError) as caught:
        budget(LENET300, scope=scope, density=0.01, min_layer_density=0.02)
    assert str(caught.value) == (
        "density 0.01 keeps 2,662 of 266,200, but min_layer_density 0.02 needs 5,324"
    )


@law
@given(shapes, percents)
def test_groups_in_place_of_weights(shapes, percent):
    groups = {name: -(-math.prod(shape) // 4) for name, shape in shapes.items()}
    total = sum(groups.values()) - (2 * (100 - percent) * sum(groups.values()) + 100) // 200
    for scope in ("global", "erk"):
        found = budget(shapes, scope=scope, density=percent / 100, num_groups=groups)
        assert found.total == total
    assert all(count <= groups[name] for name, count in found.per_layer)


def test_erk_in_groups_has_the_densities_of_erk_in_weights():
    channels = {"wide": 300, "narrow": 300}
    shapes = {"wide": (300, 900), "narrow": (300, 60)}
    found = dict(budget(shapes, scope="erk", density=0.1, num_groups=channels).per_layer)
    # (300 + 900) / (300 · 900) against (300 + 60) / (300 · 60): 1 to 4.5
    assert found == {"wide": 11, "narrow": 49}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"scope": "erdos"}, "unknown scope 'erdos'; valid: erk, global, layerwise"),
        ({"scope": "layer_wise"}, "unknown scope 'layer_wise'; did you mean 'layerwise'?"),
        ({"density": 1.5}, "density: 1.5 is not a fraction between 0 and 1"),
        ({"density": -0.1}, "density: -0.1 is not a fraction"),
        ({"density": math.nan}, "density: nan is not a fraction"),
        ({"density": "0.5"}, "density: got '0.5'"),
        ({"density": None}, "density: got None"),
        ({"density": True}, "density: got True"),
        ({"min_layer_density": 2}, "min_layer_density: 2 is not a fraction between 0 and 1"),
    ],
)
def test_what_cannot_be(options, problem):
    with pytest.raises(UsageError) as caught:
        budget(LENET300, **{"scope": "global", "density": 0.5, **options})
    assert problem in str(caught.value)
