"""Dividing a whole number by weights, exactly and without paradoxes."""

from collections.abc import Sequence
from fractions import Fraction
from heapq import heapify, heappop, heappush
from math import floor

__all__ = ["share"]

_HALF = Fraction(1, 2)


def share(
    total: int, weights: Sequence[Fraction], least: Sequence[int], most: Sequence[int]
) -> list[int]:
    """Whole shares of `total`, in proportion to `weights` between `least` and `most`.

    The shares add up to `total`, and none falls when `total` rises. (With largest remainders it
    may, the Alabama paradox; the budgets of a chain of levels could then not nest.) On a tie the
    earlier one gets it.

    Args:
        total: from the sum of `least` to the sum of `most`.
        weights: above 0.
        least, most: bounds of each share.

    >>> share(10, [Fraction(w) for w in (6, 6, 2)], [0, 0, 0], [9, 9, 9])
    [5, 4, 1]

    Source: Webster's divisor method (Balinski & Young 1982), with bounds.
    """
    assert sum(least) <= total <= sum(most)
    pace = Fraction(_pace(total, [float(weight) for weight in weights], least, most))
    shares = [
        min(max(floor(pace * weight + _HALF), low), high)
        for weight, low, high in zip(weights, least, most, strict=True)
    ]
    # the k-th unit of a share costs (k − ½) / weight; the cheapest `total` units are handed out
    missing = total - sum(shares)
    step = 1 if missing > 0 else -1
    bound = most if missing > 0 else least

    def offer(index: int) -> tuple[Fraction, int]:
        return step * (shares[index] + step * _HALF) / weights[index], step * index

    offers = [offer(index) for index in range(len(shares)) if shares[index] != bound[index]]
    heapify(offers)
    for _ in range(abs(missing)):
        index = step * heappop(offers)[1]
        shares[index] += step
        if shares[index] != bound[index]:
            heappush(offers, offer(index))
    return shares


def _pace(total: int, weights: Sequence[float], least: Sequence[int], most: Sequence[int]) -> float:
    """Units per weight at which about `total` are handed out; what is missing is made good."""
    slow = 0.0
    fast = max((high / weight for high, weight in zip(most, weights, strict=True)), default=0.0)
    for _ in range(100):  # halvings: to the last bit
        pace = (slow + fast) / 2
        handed_out = sum(
            min(max(pace * weight, low), high)
            for weight, low, high in zip(weights, least, most, strict=True)
        )
        slow, fast = (pace, fast) if handed_out < total else (slow, pace)
    return fast
