"""Schedules: law 1 at every level; amount, sparsity, density and percent are never confused."""

from fractions import Fraction
from itertools import pairwise
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery_ticket import UsageError
from lottery_ticket.pruning import (
    densities,
    iterative,
    one_shot,
    polynomial,
    prune,
    target_sparsity,
)
from lottery_ticket.pruning._amount import density_of

SHAPES = {"conv": (8, 3, 3, 3), "fc1": (40, 72), "fc2": (10, 40)}
SIZE = 216 + 2880 + 400


def rounded(value):
    return floor(Fraction(value) + Fraction(1, 2))


def check_target_sparsity(make):
    for sparsity in ("0.5", "0.75", "0.9", "0.95", "0.99"):
        for rounds in (1, 2, 4, 11):
            totals = [
                b.total for b in make(float(sparsity), rounds).budgets(SHAPES, scope="global")
            ]
            assert len(totals) == rounds + 1
            assert totals[0] == SIZE
            assert totals[-1] == SIZE - rounded(Fraction(sparsity) * SIZE), "the last is exact"
            last = 1 - Fraction(sparsity)
            for i, total in enumerate(totals):
                assert total == pytest.approx(SIZE * float(last) ** (i / rounds), abs=0.5 + 1e-6)


def test_target_sparsity_is_geometric_and_ends_exactly():
    check_target_sparsity(target_sparsity)


def linear(sparsity, rounds):
    return densities(*(1 - sparsity * i / rounds for i in range(1, rounds + 1)))


def of_what_remains(sparsity, rounds):
    return iterative(round(1 - (1 - sparsity) ** (1 / rounds), 3), rounds)


@pytest.mark.parametrize("mutant", [linear, of_what_remains])
def test_other_schedules_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_target_sparsity(mutant)


@given(st.sampled_from(["global", "layerwise", "erk"]), st.integers(1, 12))
def test_chains_nest_in_every_layer(scope, rounds):
    budgets = target_sparsity(0.9, rounds).budgets(SHAPES, scope=scope)
    for before, after in pairwise(budgets):
        assert after.total < before.total
        if scope != "global":
            layers = dict(before.per_layer)
            assert all(count <= layers[name] for name, count in after.per_layer)
            assert sum(count for _, count in after.per_layer) == after.total


def test_iterative_is_law_1():
    shapes = {"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}
    totals = [b.total for b in iterative(0.2, 5).budgets(shapes, scope="global")]
    assert totals == [266_200, 212_960, 170_368, 136_294, 109_035, 87_228]
    layers = [dict(b.per_layer) for b in iterative(0.2, 2).budgets(shapes, scope="layerwise")]
    assert layers[1] == {"fc1": 188_160, "fc2": 24_000, "fc3": 800}
    assert layers[2] == {"fc1": 150_528, "fc2": 19_200, "fc3": 640}
    erk = iterative(0.2, 5).budgets(shapes, scope="erk")
    assert [b.total for b in erk] == totals
    assert dict(erk[-1].per_layer)["fc3"] == 1000


def test_a_floor_holds_in_every_scope():
    for scope in ("layerwise", "erk"):
        budgets = iterative(0.5, 3).budgets(SHAPES, scope=scope, min_layer_density=0.1)
        assert all(count >= 0.1 * 216 for _, count in budgets[-1].per_layer)


def test_one_shot_and_densities():
    assert [b.total for b in one_shot(0.9).budgets({"w": (10, 20)}, scope="global")] == [200, 20]
    made = densities(0.5, 0.25).budgets({"w": (10, 20)}, scope="global")
    assert [b.total for b in made] == [200, 100, 50]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: iterative(20, 3), "rate: 20 is not a fraction between 0 and 1; for 20 % write 0"),
        (lambda: iterative(0.2, 0), "levels: got 0"),
        (lambda: one_shot(90), "sparsity: 90 is not a fraction .*; for 90 % write 0.9"),
        (lambda: target_sparsity(0.0, 2), "sparsity: 0 is not a fraction"),
        (lambda: target_sparsity(True, 2), r"sparsity: got True \(bool\)"),
        (lambda: densities(0.1, 0.5), "they must fall from level to level"),
        (lambda: densities(), "they must fall from level to level"),
        (lambda: densities(0.5, 0.5), "they must fall"),
        (lambda: densities(50), "densities: 50 is not a fraction"),
        (lambda: iterative(0.2, 90).budgets({"w": (5, 5)}, scope="global"), "would prune nothing"),
        (lambda: one_shot(0.9999).budgets({"w": (5, 5)}, scope="global"), "would keep nothing"),
        (lambda: polynomial(0.9, end_step=0), "begin_step 0 must come before end_step 0"),
        (lambda: polynomial(0.5, end_step=9, initial_sparsity=0.6), "must be more than initial"),
        (lambda: polynomial(0.5, end_step=9, every_steps=0), "every_steps: got 0"),
        (lambda: polynomial(0.5, end_step=9, power=0), "power must be above 0"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def check_polynomial(make):
    schedule = make(0.875, begin_step=10, end_step=110, every_steps=20)
    due = [step for step in range(200) if schedule.is_due(step)]
    assert due == [10, 30, 50, 70, 90, 110]
    found = [schedule.density_at(step) for step in due]
    expected = [0.125 + 0.875 * (1 - i / 5) ** 3 for i in range(6)]
    assert found == pytest.approx(expected)
    assert found[-1] == 0.125
    assert schedule.density_at(0) == 1.0
    assert schedule.density_at(500) == 0.125


def test_polynomial_is_zhu_and_gupta():
    check_polynomial(polynomial)


def test_other_powers_are_caught():
    with pytest.raises(AssertionError):
        check_polynomial(lambda *a, **k: polynomial(*a, **k, power=2))


def test_the_end_is_always_due():
    schedule = polynomial(0.5, end_step=10, every_steps=4)
    assert [step for step in range(20) if schedule.is_due(step)] == [0, 4, 8, 10]


class TestAmounts:
    def test_each_means_what_it_says(self):
        assert density_of(1.0, sparsity=0.9) == 0.1
        assert density_of(0.5, density=0.1) == 0.1
        assert density_of(0.5, amount=0.2) == 0.4
        assert density_of(1.0, amount=0.2) == 0.8

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"sparsity": 90}, "sparsity: 90 is not a fraction .* for 90 % write 0.9"),
            ({"amount": 20}, "amount: 20 is not a fraction .* for 20 % write 0.2"),
            ({"density": 0}, "density: 0 is not a fraction"),
            ({"sparsity": 0.5, "amount": 0.2}, "give one of .*; got sparsity and amount"),
            ({}, "give one of sparsity, density and amount; got none of them"),
            ({"sparsity": 0.2}, "sparsity 0.2 means density 0.8, but only 0.5 is left"),
        ],
    )
    def test_mistakes(self, arguments, message):
        with pytest.raises(UsageError, match=message):
            density_of(0.5, **arguments)

    def test_prune_refuses_percent(self):
        import torch

        with pytest.raises(UsageError, match=r"for 90 % write 0\.9"):
            prune(torch.nn.Linear(4, 4), sparsity=90)
