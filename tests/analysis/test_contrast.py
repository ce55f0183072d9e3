"""Differences of two arms against scipy's Welch tests."""

import numpy as np
import pytest
from scipy import stats

from lottery_ticket.analysis import contrast_of, dense_contrast_of, spread_of

RNG = np.random.default_rng(7)
ONE, OTHER = RNG.normal(1.0, 0.2, (6, 1)), RNG.normal(0.9, 0.5, (6, 1))
SEVEN, BESIDE = RNG.normal(1.0, 0.2, (6, 7)), RNG.normal(0.8, 0.3, (6, 7))


def test_one_level_is_welchs_test():
    found = contrast_of(ONE, OTHER)
    for bound in (0.0, -0.2, 0.3):
        for p, way in ((found.p_above, "greater"), (found.p_below, "less")):
            theirs = stats.ttest_ind(
                ONE[:, 0] - bound, OTHER[:, 0], equal_var=False, alternative=way
            )
            assert p(bound) == pytest.approx([theirs.pvalue])
    theirs = stats.ttest_ind(ONE[:, 0], OTHER[:, 0], equal_var=False)
    assert (found.df, found.n) == ([pytest.approx(theirs.df)], [6])
    interval = theirs.confidence_interval(0.95)
    assert np.concatenate(found.interval(0.95)) == pytest.approx([interval.low, interval.high])
    assert found.mean == pytest.approx([(ONE - OTHER).mean()])
    assert found.sd == pytest.approx([np.sqrt(ONE.var(ddof=1) + OTHER.var(ddof=1))])


def test_intervals_of_a_level_alone():
    low, high = contrast_of(SEVEN, BESIDE).interval(0.95, is_pooled=False)
    for i in range(7):
        theirs = stats.ttest_ind(SEVEN[:, i], BESIDE[:, i], equal_var=False)
        interval = theirs.confidence_interval(0.95)
        assert (low[i], high[i]) == pytest.approx((interval.low, interval.high))


def test_both_sides_bring_their_spread():
    found, one, other = contrast_of(SEVEN, BESIDE), spread_of(SEVEN), spread_of(BESIDE)
    total = one.variance + other.variance
    assert found.error == pytest.approx(np.sqrt(total / 6))
    df = total**2 / (one.variance**2 / one.df + other.variance**2 / other.df)
    assert found.df == pytest.approx(df)
    half = stats.t.isf(0.025, df) * found.error
    assert found.interval(0.95)[1] - found.mean == pytest.approx(half)


def test_dense_nets_of_a_replicate_are_averaged_first():
    dense = np.random.default_rng(1).normal(0.95, 0.2, (6, 2))
    found = dense_contrast_of(SEVEN, dense)
    assert found.mean == pytest.approx((SEVEN - dense.mean(axis=1, keepdims=True)).mean(axis=0))
    # the ticket's dense net is its level 0, beside levels 1 and 2
    ticket = spread_of(np.concatenate([dense[:, :1], SEVEN], axis=1))
    assert (found.own_error**2 * 6 - dense.mean(axis=1).var(ddof=1)) == pytest.approx(
        ticket.own[1:]
    )
    # the mean of two varies half as much as one
    assert found.error[3] ** 2 * 6 - ticket.variance[4] == pytest.approx(
        np.concatenate([dense, SEVEN[:, :2]], axis=1).var(axis=0, ddof=1).mean() / 2
    )


def test_dense_nets_that_vary_together_count_as_one():
    shared = RNG.normal(0.95, 1.0, (6, 1))
    dense = np.concatenate([shared, shared + RNG.normal(0, 0.01, (6, 1))], axis=1)
    found, alone = dense_contrast_of(SEVEN, dense), dense_contrast_of(SEVEN, shared)
    assert found.error[3] == pytest.approx(alone.error[3], rel=0.02)


def test_one_dense_net_is_enough():
    one = np.full((6, 2), np.nan)
    one[:, 0] = RNG.normal(0.95, 0.2, 6)
    found = dense_contrast_of(SEVEN, one)
    assert found.mean == pytest.approx((SEVEN - one[:, :1]).mean(axis=0))
    assert found.error == pytest.approx(dense_contrast_of(SEVEN, one[:, :1]).error)


@pytest.mark.parametrize("values", [np.ones((1, 3)), np.ones((4, 3))])
def test_without_spread_there_is_no_p(values):
    found = contrast_of(values, 0.5 * values)
    assert np.isnan(found.p_above()).all()
    assert np.isnan(found.error).all()


def test_one_side_may_have_no_spread():
    found = contrast_of(ONE, np.ones((6, 1)))
    assert found.df == pytest.approx([5])
    assert found.p_above() == pytest.approx(
        [stats.ttest_1samp(ONE[:, 0], 1.0, alternative="greater").pvalue]
    )


def test_what_is_missing_is_left_out():
    holes = BESIDE.copy()
    holes[5, 3:] = np.nan
    holes[:, 6] = np.nan
    found = contrast_of(SEVEN, holes)
    assert list(found.n) == [6, 6, 6, 5, 5, 5, 0]
    assert found.mean[5] == pytest.approx((SEVEN - BESIDE)[:5, 5].mean())
    assert np.isnan(found.p_above()[6])
    assert not np.isnan(found.p_above()[:6]).any()
