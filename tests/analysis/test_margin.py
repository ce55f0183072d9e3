"""Margins: what is stated, what is meant."""

import pytest

from lottery_ticket.analysis import ACCURACY, LOSS, absolute_margin, default_margin
from lottery_ticket.errors import UsageError


@pytest.mark.parametrize(
    ("num_test", "margin"),
    [(None, 0.2), (10_000, 0.2), (50_000, 0.2), (2500, 0.4), (300, 1.2), (100, 2.0)],
)
def test_small_test_sets_have_a_wider_margin(num_test, margin):
    assert default_margin(ACCURACY, num_test) == margin


def test_a_loss_has_a_relative_margin():
    assert default_margin(LOSS, 30) == 5.0
    assert absolute_margin(5, LOSS, 0.4, 30) == pytest.approx(0.02)
    assert absolute_margin(5, LOSS, -0.4) == pytest.approx(0.02)


def test_points_are_hundredths():
    assert absolute_margin(0.2, ACCURACY, 0.5, 10_000) == pytest.approx(0.002)


@pytest.mark.parametrize("margin", [0, -1, 100, float("nan"), float("inf")])
def test_what_is_no_margin(margin):
    with pytest.raises(UsageError, match=r"wanted points of accuracy between 0 and 100"):
        absolute_margin(margin, ACCURACY, 0.9)
    with pytest.raises(UsageError, match=r"wanted per cent of the dense loss between"):
        absolute_margin(margin, LOSS, 0.9)


def test_a_fraction_that_was_meant_as_points_is_noticed():
    with pytest.raises(UsageError, match=r"got 0\.002 points of accuracy, less than one of the 10"):
        absolute_margin(0.002, ACCURACY, 0.98, 10_000)
    assert absolute_margin(0.01, ACCURACY, 0.98, 10_000) == pytest.approx(0.0001)
    assert absolute_margin(0.002, ACCURACY, 0.98) == pytest.approx(0.00002)
