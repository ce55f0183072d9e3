import math
from fractions import Fraction

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from lottery_ticket.masks._share import share

law = settings(
    max_examples=60,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)


@st.composite
def divisions(draw):
    """(total, weights, least, most), the total anything between the bounds."""
    num = draw(st.integers(1, 5))
    weights = draw(st.lists(st.integers(1, 12), min_size=num, max_size=num))
    least = draw(st.lists(st.integers(0, 3), min_size=num, max_size=num))
    most = [low + draw(st.integers(0, 9)) for low in least]
    total = draw(st.integers(sum(least), sum(most)))
    return total, [Fraction(weight, draw(st.integers(1, 3))) for weight in weights], least, most


def cheapest_units(total, weights, least, most):
    """All units with their costs in one list, sorted: slow and plainly right."""
    units = sorted(
        (Fraction(2 * number - 1, 2) / weight, index)
        for index, (weight, low, high) in enumerate(zip(weights, least, most, strict=True))
        for number in range(low + 1, high + 1)
    )
    shares = list(least)
    for _, index in units[: total - sum(least)]:
        shares[index] += 1
    return shares


def check_shares(share_fn):
    @law
    @example((10, [Fraction(w) for w in (6, 6, 2)], [0] * 3, [9] * 3))
    @given(divisions())
    def check(division):
        total, weights, least, most = division
        shares = share_fn(total, weights, least, most)
        assert sum(shares) == total
        for number, low, high in zip(shares, least, most, strict=True):
            assert low <= number <= high
        if total > sum(least):  # none falls when the total rises
            fewer = share_fn(total - 1, weights, least, most)
            assert all(one <= other for one, other in zip(fewer, shares, strict=True))
        assert shares == cheapest_units(total, weights, least, most)

    check()


def test_shares():
    check_shares(share)


def largest_remainders(total, weights, least, most):
    """Exact in sum, but a share may fall when the total rises (Alabama paradox)."""
    quota = [total * weight / sum(weights) for weight in weights]
    shares = [math.floor(number) for number in quota]
    by_rest = sorted(range(len(quota)), key=lambda i: (shares[i] - quota[i], i))
    for index in by_rest[: total - sum(shares)]:
        shares[index] += 1
    return shares


def rounded(total, weights, least, most):
    quota = [total * weight / sum(weights) for weight in weights]
    return [
        min(max(round(number), low), high)
        for number, low, high in zip(quota, least, most, strict=True)
    ]


def later_first(total, weights, least, most):
    return cheapest_units(total, weights[::-1], least[::-1], most[::-1])[::-1]


def without_bounds(total, weights, least, most):
    return cheapest_units(total, weights, [0] * len(least), [total] * len(most))


@pytest.mark.parametrize("mutant", [largest_remainders, rounded, later_first, without_bounds])
def test_other_shares_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_shares(mutant)


def test_the_alabama_paradox():
    weights = [Fraction(weight) for weight in (6, 6, 2)]
    bounds = [0] * 3, [99] * 3
    assert [largest_remainders(total, weights, *bounds)[2] for total in (10, 11)] == [2, 1]
    assert [share(total, weights, *bounds)[2] for total in (10, 11)] == [1, 1]


def test_shares_of_many():
    weights = [Fraction(1 + index % 7) for index in range(300)]
    shares = share(100_003, weights, [0] * 300, [10**6] * 300)
    assert sum(shares) == 100_003
    pace = 100_003 / sum(weights)
    ideal = [pace * weight for weight in weights]
    assert max(abs(one - other) for one, other in zip(shares, ideal, strict=True)) <= 1


def test_shares_of_none():
    assert share(0, [], [], []) == []
