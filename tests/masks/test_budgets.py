import math
from fractions import Fraction

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Budget, budget_at_densities, budget_at_rates, num_pruned
from lottery_ticket.models import build

LENET300 = {"fc1.weight": 235_200, "fc2.weight": 30_000, "fc3.weight": 1_000}
AT_20_PERCENT = [
    266_200, 212_960, 170_368, 136_294, 109_035, 87_228, 69_782, 55_826, 44_661, 35_729, 28_583,
    22_866, 18_293, 14_634, 11_707, 9_366, 7_493, 5_994, 4_795, 3_836, 3_069,
]  # fmt: skip

law = settings(max_examples=100, derandomize=True, phases=[Phase.explicit, Phase.generate])


def check_rounds_half_up(num_pruned):
    """`floor(rate · remaining + ½)`, where a rate is the decimal number the user wrote."""

    @law
    @example(thousandths=145, remaining=100)  # 0.145 · 100 is 14.499… in floats
    @example(thousandths=500, remaining=1)
    @example(thousandths=500, remaining=5)
    @given(st.integers(1, 999), st.integers(0, 10**7))
    def check(thousandths, remaining):
        wanted = (2 * thousandths * remaining + 1000) // 2000
        assert num_pruned(remaining, thousandths / 1000) == wanted

    check()


def test_rounds_half_up():
    check_rounds_half_up(num_pruned)


@pytest.mark.parametrize(
    "mutant",
    [
        lambda remaining, rate: round(Fraction(str(rate)) * remaining),  # half to even
        lambda remaining, rate: math.floor(rate * remaining + 0.5),  # in floats
        lambda remaining, rate: math.floor(Fraction(rate) * remaining + Fraction(1, 2)),
        lambda remaining, rate: int(rate * remaining),
        lambda remaining, rate: math.ceil(Fraction(str(rate)) * remaining),
    ],
)
def test_other_roundings_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_rounds_half_up(mutant)


def check_20_levels(totals):
    kept = Fraction(266_200)
    for level, total in enumerate(totals):
        assert total == AT_20_PERCENT[level] == kept
        kept -= math.floor(kept / 5 + Fraction(1, 2))
    assert len(totals) == 21


def totals_of(sizes):
    return [b.total for b in budget_at_rates(sizes, scope="global", rate=0.2, levels=20)]


def test_20_levels_of_lenet300():
    check_20_levels(totals_of(LENET300))


def test_counting_ignored_layers_is_caught():
    everything = {name: p.numel() for name, p in build("LeNet300", 0).named_parameters()}
    with pytest.raises(AssertionError):
        check_20_levels(totals_of(everything))


def test_pruning_of_the_dense_count_is_caught():
    with pytest.raises(AssertionError):
        check_20_levels([266_200 - level * num_pruned(266_200, 0.2) for level in range(21)])


def test_layerwise_with_the_output_layer_at_half_the_rate():
    budgets = budget_at_rates(
        LENET300, scope="layerwise", rate=0.2, levels=2, rates={"fc3.weight": 0.1}
    )
    assert [dict(budget.per_layer) for budget in budgets] == [
        {"fc1.weight": 235_200, "fc2.weight": 30_000, "fc3.weight": 1_000},
        {"fc1.weight": 188_160, "fc2.weight": 24_000, "fc3.weight": 900},
        {"fc1.weight": 150_528, "fc2.weight": 19_200, "fc3.weight": 810},
    ]
    assert [budget.total for budget in budgets] == [266_200, 213_060, 170_538]
    by_module = budget_at_rates(LENET300, scope="layerwise", rate=0.2, levels=2, rates={"fc3": 0.1})
    assert by_module == budgets


def test_layers_are_rounded_one_by_one():
    budgets = budget_at_rates({"a": 3, "b": 3}, scope="layerwise", rate=0.5, levels=2)
    assert budgets == [
        Budget(6, (("a", 3), ("b", 3))),
        Budget(2, (("a", 1), ("b", 1))),  # 1.5 + ½ pruned of each
        Budget(0, (("a", 0), ("b", 0))),
    ]


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        ("fcc3", "no prunable layer 'fcc3'; did you mean 'fc3'?"),
        ("fc3.weigth", "no prunable layer 'fc3.weigth'; did you mean 'fc3.weight'?"),
        ("fc3.bias", "no prunable layer 'fc3.bias'"),
    ],
)
def test_misspelt_layer_names_the_nearest(layer, problem):
    with pytest.raises(UsageError) as caught:
        budget_at_rates(LENET300, scope="layerwise", rate=0.2, levels=1, rates={layer: 0.1})
    assert problem in str(caught.value)


def test_rates_per_layer_have_no_effect_globally():
    with pytest.raises(UsageError, match="no effect with scope 'global'; use 'layerwise'"):
        budget_at_rates(LENET300, scope="global", rate=0.2, levels=1, rates={"fc3": 0.1})


@pytest.mark.parametrize("make", [
    lambda scope: budget_at_rates(LENET300, scope=scope, rate=0.2, levels=1),
    lambda scope: budget_at_densities(LENET300, scope=scope, densities=[0.1]),
])  # fmt: skip
def test_unknown_scope(make):
    with pytest.raises(UsageError, match="unknown scope 'layer_wise'; did you mean 'layerwise'"):
        make("layer_wise")


def test_densities_are_of_all_prunable_weights():
    densities = [0.5, 0.2, 0.1, 0.036]
    found = budget_at_densities(LENET300, scope="global", densities=densities)
    assert found == [Budget(n) for n in (266_200, 133_100, 53_240, 26_620, 9_583)]
    layers = budget_at_densities({"a": 5, "b": 7}, scope="layerwise", densities=[0.5])
    assert layers == [Budget(12, (("a", 5), ("b", 7))), Budget(5, (("a", 2), ("b", 3)))]


@law
@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 500), min_size=1),
    st.sampled_from(["global", "layerwise"]),
    st.integers(1, 99),
)
def test_budgets_never_grow_and_layers_add_up(sizes, scope, percent):
    budgets = budget_at_rates(sizes, scope=scope, rate=percent / 100, levels=6)
    assert budgets[0].total == sum(sizes.values())
    totals = [budget.total for budget in budgets]
    assert totals == sorted(totals, reverse=True)
    for budget in budgets:
        assert (budget.per_layer is None) == (scope == "global")
        if budget.per_layer is not None:
            assert budget.total == sum(count for _, count in budget.per_layer)
            assert [name for name, _ in budget.per_layer] == list(sizes)
