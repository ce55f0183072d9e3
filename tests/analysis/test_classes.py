"""Whom pruning hurts: by hand, and how often chance alone is called more."""

import json

import numpy as np
import pytest
from scipy import stats
from simulated import CLASSES, IMAGES, LABELS, simulated_answers
from simulated import rows_of_answers as rows_of

from lottery_ticket.analysis import class_differences, holm
from lottery_ticket.errors import UsageError

NUM_RUNS = 200


def found(rows, labels, **more):
    return class_differences(rows, labels, level=2, density=0.25, **more)


def test_one_replicate_by_hand():
    dense = [[1, 1, 1, 1, 0, 1, 1, 0]]
    ticket = [[1, 0, 0, 1, 0, 1, 1, 1]]
    result = found(rows_of(ticket, dense), [4, 4, 4, 4, 7, 7, 7, 7])
    table = result.table
    assert table["class"].tolist() == [4, 7]
    assert table["name"].tolist() == ["class 4", "class 7"]
    assert table["num_images"].tolist() == [4, 4]
    assert table["dense"].tolist() == [1.0, 0.5]
    assert table["ticket"].tolist() == [0.5, 0.75]
    assert table["difference"].tolist() == [-0.5, 0.25]
    assert table["unlike_others"].tolist() == [-0.75, 0.75]
    half = stats.t.isf(0.025, 3) * np.std([0, -1, -1, 0], ddof=1) / 2
    assert (table["low"][0], table["high"][0]) == pytest.approx((-0.5 - half, -0.5 + half))
    assert result.difference == -0.125
    # one replicate: what pruning does is not told from what another training would
    assert table["p"].isna().all()
    assert result.beyond_chance == []
    assert "One replicate does not tell" in result.sentence


def test_shifts_of_whole_classes_widen_the_interval():
    """Each class is all right or all wrong: nothing varies over images but everything over nets."""
    of = np.repeat([0, 1], 50)
    dense = np.ones((4, 100))
    ticket = np.stack([of == 0, of >= 0, of == 0, of >= 0])
    result = found(rows_of(ticket, dense), of)
    assert result.table["difference"].tolist() == [0.0, -0.5]
    # s²/n of the second class, of which no part is that of single images
    assert result.table["high"][1] - result.table["low"][1] > 0.5
    assert result.beyond_chance == []


def test_dense_is_the_mean_of_both_nets_and_names_are_those_of_the_data():
    ones, zeros = np.ones((2, 6)), np.zeros((2, 6))
    result = found(rows_of(ones, ones, zeros), [0, 0, 0, 1, 1, 1], names=["cat", "dog"])
    assert result.table["difference"].tolist() == [0.5, 0.5]
    assert result.table["name"].tolist() == ["cat", "dog"]
    assert "cat" in str(result)
    assert max(map(len, str(result).splitlines())) <= 80


def test_a_class_that_is_hurt_is_found_and_said():
    rng = np.random.default_rng(0)
    dense = rng.random((5, CLASSES * IMAGES)) < 0.98
    ticket = rng.random((5, CLASSES * IMAGES)) < np.where(LABELS == 3, 0.85, 0.98)
    result = found(rows_of(ticket, dense), LABELS)
    assert result.beyond_chance == [3]
    assert "beyond what chance gives it differs for class 3 by −1" in result.sentence
    assert "* unlike the other classes" in str(result)
    values = json.loads(json.dumps(result.to_dict()))
    assert values["table"][3]["is_beyond_chance"] is True
    assert values["sentence"] == result.sentence


# how often chance alone is called more


def answers(seed, shift):
    return rows_of(*simulated_answers(seed, shift=shift))


def check_chance(rule) -> None:
    """The law: at most 5 % of runs call a class unlike the others where none is."""
    for shift in (0.0, 0.03):
        false = np.mean([bool(rule(answers(seed, shift))) for seed in range(NUM_RUNS)])
        assert false <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / NUM_RUNS), shift


def beyond_chance(rows):
    return found(rows, LABELS).beyond_chance


def test_chance_is_seldom_called_more():
    check_chance(beyond_chance)


def _differences(rows):
    """(replicates, images) of the ticket minus the dense nets."""
    by = {(row["arm"], row["level"], row["replicate"]): row["correct"] * 1.0 for row in rows}
    n = 1 + max(row["replicate"] for row in rows)
    return np.array(
        [by["ticket", 2, r] - (by["ticket", 0, r] + by["reinit", 0, r]) / 2 for r in range(n)]
    )


def nets_held_fixed(rows):
    """Over images alone, as if another training shifted no class."""
    mean = _differences(rows).mean(axis=0)
    p = [stats.ttest_ind(mean[c == LABELS], mean[c != LABELS]).pvalue for c in range(CLASSES)]
    return holm(np.array(p)).any()


def each_at_5_percent(rows):
    table = found(rows, LABELS).table
    return (table["p"] <= 0.05).any()


def pooled_images(rows):
    """Every image of every replicate, as if all were independent."""
    x = _differences(rows)
    parts = [(x[:, c == LABELS].ravel(), x[:, c != LABELS].ravel()) for c in range(CLASSES)]
    return holm(np.array([stats.ttest_ind(*part).pvalue for part in parts])).any()


@pytest.mark.parametrize("mutant", [nets_held_fixed, each_at_5_percent, pooled_images])
def test_other_rules_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_chance(mutant)


# what cannot be compared


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([], [0, 1], "level 2: there are no answers to single test images"),
        (rows_of([[1, 0]], [[1, 1]])[:1], [0, 1], "level 2: there are no answers"),
        (rows_of([[1, 0]], [[1, 1]]), [0, 1, 1], "labels: got 3, wanted one for each of 2 images"),
    ],
)
def test_what_is_not_there_is_said(rows, labels, message):
    with pytest.raises(UsageError, match=message):
        found(rows, labels)


def test_single_images_and_single_classes_do_not_break_it():
    one = found(rows_of([[1], [0]], [[1], [1]]), [5])
    assert one.beyond_chance == []
    assert one.table["unlike_others"].isna().all()
    two = found(rows_of([[1, 0, 1]] * 3, [[1, 1, 1]] * 3), [0, 1, 1])
    assert two.table["num_images"].tolist() == [1, 2]
    assert two.beyond_chance == []
    str(two)


def test_of_two_classes_the_one_that_changed_is_named():
    rng = np.random.default_rng(1)
    of = np.repeat([0, 1], 300)
    dense = rng.random((5, 600)) < 0.95
    ticket = rng.random((5, 600)) < np.where(of == 1, 0.7, 0.95)
    result = found(rows_of(ticket, dense), of)
    assert result.beyond_chance == [1]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ((3, 7), ["class 3", "class 7"]),
        (("a\nb", "c "), ["a b", "c"]),
        (None, ["class 0", "class 1"]),
    ],
)
def test_names_are_text_in_one_line(names, shown):
    result = found(rows_of([[1, 0, 1, 1]] * 2, [[1, 1, 1, 1]] * 2), [0, 0, 1, 1], names=names)
    assert result.table["name"].tolist() == shown
    str(result)


def test_too_few_names_are_said():
    with pytest.raises(UsageError, match="names: got 1, and there is a class 1"):
        found(rows_of([[1, 0]], [[1, 1]]), [0, 1], names=["a"])
