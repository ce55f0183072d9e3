"""Replicates asked for, against noncentral t and against simulation."""

import numpy as np
import pytest
from scipy import stats
from simulated import MARGIN, SD, WINNING, simulated

from lottery_ticket.analysis import dense_contrast_of, power, replicates_needed

SPREAD = SD * np.sqrt(1.5)  # of a difference to the mean of two dense nets


def test_power_of_one_level_is_that_of_the_t_test():
    # effect 0.5 sd, n = 27, as statsmodels' TTestPower(alternative="larger") gives it
    found = power(0.5, 1.0, np.array([27]))
    limit = stats.t.isf(0.05, 26)
    assert found == pytest.approx(stats.nct.sf(limit, 26, 0.5 * np.sqrt(27)))
    assert found == pytest.approx(0.8118316, abs=1e-7)
    assert replicates_needed(0.5, 1.0) == 27
    assert power(0.5, 1.0, np.array([26]))[0] < 0.8


def test_power_of_no_difference_is_the_level_of_the_test():
    assert power(0.0, 1.0, np.array([2, 5, 50]), share=3.0) == pytest.approx([0.05] * 3)


def test_a_certain_test_is_certain():
    assert power(1e6, 1.0, np.array([2, 1000])).tolist() == [1.0, 1.0]
    assert replicates_needed(1e6, 1.0) == 2


@pytest.mark.parametrize(
    ("distance", "sd"), [(1e-9, 1.0), (0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (1.0, np.nan)]
)
def test_where_no_number_is_known(distance, sd):
    assert replicates_needed(distance, sd) is None


def to_dense(n, seed=0):
    runs = simulated(n, WINNING, seed=seed)
    return dense_contrast_of(runs.ticket, runs.dense)


def asks_for_enough(replicates_needed) -> None:
    """The law: with as many as are asked for, 80 % of runs decide, and with two less fewer do."""
    share = float(np.median(to_dense(5).df)) / 4
    asked = replicates_needed(MARGIN, SPREAD, share)
    matching = [(to_dense(n, seed=3).p_above(-MARGIN) <= 0.05).mean() for n in (asked - 2, asked)]
    assert matching[0] < 0.8 <= matching[1]


def test_as_many_as_are_asked_for_decide():
    asks_for_enough(replicates_needed)


@pytest.mark.parametrize(
    "mutant",
    [
        lambda distance, sd, share: replicates_needed(2 * distance, sd, share),
        lambda distance, sd, share: replicates_needed(distance, sd * np.sqrt(2), share),
        lambda distance, sd, share: int(np.ceil((1.96 * sd / distance) ** 2)),  # an interval's
    ],
)
def test_other_numbers_are_caught(mutant):
    with pytest.raises(AssertionError):
        asks_for_enough(mutant)
