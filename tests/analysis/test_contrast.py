"""Paired differences against scipy, and pooling against arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from lottery_ticket.analysis import contrast_of, pooled_variance

ONE = np.array([[0.31], [-0.12], [0.22], [0.05], [0.17]])
SEVEN = np.random.default_rng(5).normal(0.1, 0.2, (6, 7)).cumsum(axis=1)  # levels are correlated


def test_one_level_is_the_paired_t_test():
    found = contrast_of(ONE)
    theirs = stats.ttest_1samp(ONE[:, 0], 0.0, alternative="greater")
    assert found.p_above() == pytest.approx([theirs.pvalue])
    # as statsmodels' DescrStatsW.ttest_mean and tconfint_mean give them: t = 1.6919, df 4
    assert found.p_above() == pytest.approx([0.0829592], abs=1e-7)
    assert found.p_above(-0.2) == pytest.approx([0.0059490], abs=1e-7)
    assert np.concatenate(found.interval(0.95)) == pytest.approx([-0.0807660, 0.3327660], abs=1e-7)
    at_bound = stats.ttest_1samp(ONE[:, 0], -0.2, alternative="greater")
    assert found.p_above(-0.2) == pytest.approx([at_bound.pvalue])
    below = stats.ttest_1samp(ONE[:, 0], 0.3, alternative="less")
    assert found.p_below(0.3) == pytest.approx([below.pvalue])
    assert (found.df, found.n) == ([4.0], [5])
    interval = theirs.confidence_interval  # one-sided: the lower end of the two-sided 90 %
    assert found.interval(0.90)[0] == pytest.approx([interval(0.95).low])


def test_unpooled_intervals_are_each_levels_own():
    low, high = contrast_of(SEVEN).interval(0.95, is_pooled=False)
    theirs = [stats.ttest_1samp(SEVEN[:, i], 0.0).confidence_interval(0.95) for i in range(7)]
    assert low == pytest.approx([interval.low for interval in theirs])
    assert high == pytest.approx([interval.high for interval in theirs])


def test_spread_is_pooled_with_two_levels_on_either_side():
    found = contrast_of(SEVEN)
    variances = SEVEN.var(axis=0, ddof=1)
    windows = [(0, 3), (0, 4), (0, 5), (1, 6), (2, 7), (3, 7), (4, 7)]
    pooled = [variances[first:end].mean() for first, end in windows]
    assert found.pooled_sd**2 == pytest.approx(pooled)
    assert found.df == pytest.approx([float(pooled_variance(SEVEN[:, a:b])[1]) for a, b in windows])
    half = stats.t.isf(0.025, found.df) * np.sqrt(np.array(pooled) / 6)
    assert found.interval(0.95)[1] - found.mean == pytest.approx(half)


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


def test_levels_that_share_a_dense_training_count_for_less():
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
def test_without_spread_there_is_no_p(window):
    assert np.isnan(pooled_variance(window)).all()
    found = contrast_of(window) if len(window) else None
    assert found is None or np.isnan(found.p_above()).all()


def test_what_is_missing_is_left_out():
    holes = SEVEN.copy()
    holes[5, 3:] = np.nan  # a replicate that is not finished
    holes[:, 6] = np.nan  # a level nobody has reached
    found = contrast_of(holes)
    assert list(found.n) == [6, 6, 6, 5, 5, 5, 0]
    assert found.mean[5] == pytest.approx(SEVEN[:5, 5].mean())
    assert found.sd[2] == pytest.approx(SEVEN[:, 2].std(ddof=1))
    assert np.isnan(found.pooled_sd[6])
    # around level 5 the five replicates that levels 3, 4 and 5 all have
    assert found.pooled_sd[5] ** 2 == pytest.approx(SEVEN[:5, 3:6].var(axis=0, ddof=1).mean())
    # level 0 has all six in its window
    assert found.pooled_sd[0] ** 2 == pytest.approx(SEVEN[:, :3].var(axis=0, ddof=1).mean())


# eighths: sums of them are exact, so that equal values have no spread
numbers = st.integers(-800, 800).map(lambda eighths: eighths / 8)


@settings(max_examples=50)
@given(arrays(float, st.tuples(st.integers(3, 8), st.integers(1, 7)), elements=numbers))
def test_a_stack_of_tables_is_each_of_them(differences):
    stacked = contrast_of(np.stack([differences, 3 * differences]))
    alone = contrast_of(differences)
    for name in ("mean", "sd", "pooled_sd"):
        expected = getattr(alone, name)
        assert getattr(stacked, name)[0] == pytest.approx(expected, nan_ok=True)
        assert getattr(stacked, name)[1] == pytest.approx(3 * expected, nan_ok=True)
    assert stacked.df[0] == pytest.approx(alone.df, nan_ok=True)
    known = alone.df[~np.isnan(alone.df)]
    n, k = differences.shape
    assert ((known >= n - 1) & (known <= (n - 1) * min(k, 5))).all()
