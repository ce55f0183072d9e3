"""The spread of levels against arithmetic: pooled with its neighbours, or its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from lottery_ticket.analysis import pooled_variance, spread_of

LEVELS = np.random.default_rng(5).normal(0.1, 0.2, (6, 7))


def test_spread_is_pooled_with_two_levels_on_either_side():
    found = spread_of(LEVELS)
    variances = LEVELS.var(axis=0, ddof=1)
    assert found.own == pytest.approx(variances)
    assert list(found.own_df) == [5] * 7
    for level, (a, b) in enumerate([(0, 3), (0, 4), (0, 5), (1, 6), (2, 7), (3, 7), (4, 7)]):
        others = [variances[i] for i in range(a, b) if i != level]
        pooled, df = pooled_variance(LEVELS[:, a:b])
        others_df = max(df * (b - a - 1) / (b - a), 5)
        gate = 0.25 if level in (2, 3, 4) else 0.4  # beyond, neighbours lie on one side
        stands_out = stats.f.sf(variances[level] / np.mean(others), 5, others_df) < gate
        expected = (variances[level], 5) if stands_out else (float(pooled), float(df))
        assert (found.variance[level], found.df[level]) == pytest.approx(expected), level
    is_own = found.variance == found.own
    assert is_own.any()
    assert not is_own.all()


def test_a_level_that_varies_more_is_judged_by_itself():
    jump = LEVELS * np.where(np.arange(7) == 6, 10.0, 1.0)
    found = spread_of(jump)
    assert (found.variance[6], found.df[6]) == pytest.approx((jump[:, 6].var(ddof=1), 5))
    assert found.variance[2] == spread_of(LEVELS).variance[2]
    # one that varies less has the spread of its neighbours
    calm = spread_of(LEVELS * np.where(np.arange(7) == 6, 0.01, 1.0))
    assert calm.variance[6] > 100 * calm.own[6]


def test_degrees_of_freedom_by_hand():
    # residuals (1, −1, 0) and (0, 1, −1): S = [[1, −½], [−½, 1]], tr S = 2, tr S² = 2.5
    window = np.array([[6.0, 7.0], [4.0, 8.0], [5.0, 6.0]])
    variance, df = pooled_variance(window)
    # q = 2² / (1 · 4) · (2.5 − 4 / 2) = ½; 2 · 4 / ½ − 2 = 14, at most 2 · 2
    assert (variance, df) == (1.0, 4.0)
    # S = ⅔ [[1, ⅘], [⅘, 1]]: tr S = 4/3, tr S² = 1.45778; q = 0.9 · (1.45778 − 0.59259) = 0.77867
    window = np.array([[1.0, 0.8], [-1.0, -0.8], [0.0, 0.6], [0.0, -0.6]])
    variance, df = pooled_variance(window)
    assert (variance, df) == (pytest.approx(2 / 3), pytest.approx(3 * 1.777778 / 0.778667 - 2))
    assert df == pytest.approx(4.8493, abs=1e-4)
    # the same level twice knows no more than once
    assert pooled_variance(np.repeat(window[:, 1:], 2, axis=1))[1] == pytest.approx(3)


def test_levels_that_vary_together_count_for_less():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2000, 10, 6))
    shared = noise[..., 1:] - noise[..., :1]  # correlated by a half
    independent = noise[..., 1:]
    medians = [np.median(pooled_variance(levels)[1]) for levels in (shared, independent)]
    # (n − 1) / (1/5 + 4/5 · 1/4) = 22.5 and 9 · 5 = 45 where all is known
    assert medians == pytest.approx([22.5, 45], rel=0.2)
    variances = [pooled_variance(levels)[0].mean() for levels in (shared, independent)]
    assert variances == pytest.approx([2, 1], rel=0.02)


def test_two_replicates_say_nothing_of_correlation():
    assert pooled_variance(np.array([[1.0, 5.0, 2.0], [2.0, 3.0, 4.0]])) == (1.5, 1.0)


@pytest.mark.parametrize("window", [np.ones((1, 3)), np.ones((4, 3)), np.empty((0, 2))])
def test_without_spread_nothing_is_known(window):
    assert np.isnan(pooled_variance(window)).all()
    if len(window):
        assert not (spread_of(window).variance > 0).any()


def test_what_is_missing_is_left_out():
    holes = LEVELS.copy()
    holes[5, 3:] = np.nan  # a replicate that is not finished
    holes[:, 6] = np.nan  # a level nobody has reached
    found = spread_of(holes)
    assert list(found.own_df[:6]) == [5, 5, 5, 4, 4, 4]
    assert np.isnan(found.variance[6])
    assert found.own[5] == pytest.approx(LEVELS[:5, 5].var(ddof=1))
    # around level 5 the five replicates that levels 3, 4 and 5 all have; level 0 has all six
    for level, window in ((5, LEVELS[:5, 3:6]), (0, LEVELS[:, :3])):
        variances = window.var(axis=0, ddof=1)
        own = LEVELS[:5, 5] if level else LEVELS[:, 0]
        assert found.variance[level] == pytest.approx(variances.mean()) or (
            found.variance[level] == pytest.approx(own.var(ddof=1))
        )


# eighths: sums of them are exact, so that equal values have no spread
numbers = st.integers(-800, 800).map(lambda eighths: eighths / 8)


@settings(max_examples=50)
@given(arrays(float, st.tuples(st.integers(3, 8), st.integers(1, 7)), elements=numbers))
def test_a_stack_of_tables_is_each_of_them(values):
    stacked, alone = spread_of(np.stack([values, 4 * values])), spread_of(values)
    for name, power in (("variance", 2), ("df", 0), ("own", 2), ("own_df", 0)):
        expected = getattr(alone, name)
        for i in (0, 1):
            got = getattr(stacked, name)[i]
            assert got == pytest.approx(4 ** (i * power) * expected, nan_ok=True), name
    known = alone.df[~np.isnan(alone.df)]
    n, k = values.shape
    assert ((known >= n - 1) & (known <= (n - 1) * min(k, 5))).all()
