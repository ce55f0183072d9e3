"""The label of a level from its four tests, and how often a negative one is false."""

from itertools import product

import numpy as np
import pytest
from simulated import MARGIN, Truth, simulated

from lottery_ticket.analysis import (
    Contrast,
    Judgement,
    contrast_of,
    dense_contrast_of,
    level_labels,
)

MATCHING = "matching but not better than reinit"
CASES = [np.array(case) for case in product([False, True], repeat=5)]


def oracle(is_matching, is_worse, is_better, is_no_better, has_spread) -> str:
    if not has_spread:
        return "no verdict"
    if is_matching and is_better:
        return "winning"
    if is_worse:
        return "not a ticket"
    return MATCHING if is_matching and is_no_better else "not decided"


def names_every_case(level_labels) -> None:
    """The law: all 32 outcomes of the tests have the label that they should have."""
    expected = [oracle(*case) for case in CASES]
    assert list(level_labels(Judgement(*np.stack(CASES, axis=1)))) == expected


def test_labels():
    names_every_case(level_labels)


def changed(**fields):
    """A rule that takes one of the tests for another."""

    def labels(judgement):
        return level_labels(
            Judgement(**{n: getattr(judgement, fields.get(n, n)) for n in vars(judgement)})
        )

    return labels


@pytest.mark.parametrize(
    "mutant",
    [
        changed(is_matching="has_spread"),
        changed(is_better="has_spread"),
        changed(is_no_better="has_spread"),
        changed(is_worse="is_better"),
        changed(has_spread="is_matching"),
    ],
)
def test_other_labels_are_caught(mutant):
    with pytest.raises(AssertionError):
        names_every_case(mutant)


def contrasts(runs):
    return dense_contrast_of(runs.ticket, runs.dense), contrast_of(runs.ticket, runs.reinit)


def judged(runs) -> np.ndarray:
    return level_labels(Judgement.of(*contrasts(runs), MARGIN))


def seldom_false(judged) -> None:
    """The law: negative labels are as seldom false as winning is."""
    # exactly the margin below dense is not worse than the margin
    assert (
        judged(simulated(5, Truth.of(loses=-MARGIN, gains=1.0))) == "not a ticket"
    ).mean() <= 0.065
    # exactly the margin above reinit is better by the margin
    assert (judged(simulated(5, Truth.of(gains=MARGIN))) == MATCHING).mean() <= 0.065


def test_negative_labels_are_seldom_false():
    seldom_false(judged)


def nothing_found_is_nothing_there(runs):
    """As if what is not shown were shown not to be."""
    dense, reinit = contrasts(runs)
    labels = np.where(reinit.p_above() > 0.05, MATCHING, "winning")
    return np.where(dense.p_above(-MARGIN) > 0.05, "not a ticket", labels)


def against_no_margin(runs):
    dense, reinit = contrasts(runs)
    judgement = Judgement.of(dense, reinit, MARGIN)
    return level_labels(Judgement(**{**vars(judgement), "is_worse": dense.p_below() <= 0.05}))


def against_twice_the_margin(runs):
    dense, reinit = contrasts(runs)
    judgement = Judgement.of(dense, reinit, MARGIN)
    is_no_better = reinit.p_below(2 * MARGIN) <= 0.05
    return level_labels(Judgement(**{**vars(judgement), "is_no_better": is_no_better}))


@pytest.mark.parametrize(
    "mutant", [nothing_found_is_nothing_there, against_no_margin, against_twice_the_margin]
)
def test_other_negative_labels_are_caught(mutant):
    with pytest.raises(AssertionError):
        seldom_false(mutant)


def test_a_contrast_without_replicates_decides_nothing():
    dense = contrast_of(np.array([[0.01], [-0.01], [0.0]]), np.zeros((3, 1)))
    untested = Contrast.untested(dense)
    assert list(level_labels(Judgement.of(dense, untested, 0.2))) == ["not decided"]
