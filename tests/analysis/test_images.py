"""Intervals over test images, against McNemar's and the bootstrap."""

import numpy as np
import pytest

from lottery_ticket.analysis import image_intervals


def row(arm, level, correct, replicate=0, draw=0):
    return {
        "arm": arm, "level": level, "replicate": replicate, "draw": draw,
        "correct": np.array(correct, bool),
    }  # fmt: skip


def ends(frame, level=1, control="dense"):
    (found,) = frame[(frame["level"] == level) & (frame["control"] == control)].to_dict("records")
    return found["image_low"], found["image_high"]


def test_one_replicate_is_mcnemars():
    # 12 images only the ticket gets right, 5 only dense, 170 both and 13 neither
    ticket = [1] * 12 + [0] * 5 + [1] * 170 + [0] * 13
    dense = [0] * 12 + [1] * 5 + [1] * 170 + [0] * 13
    low, high = ends(image_intervals([row("ticket", 0, dense), row("ticket", 1, ticket)]))
    # as statsmodels' DescrStatsW.tconfint_mean gives it for the 200 differences
    assert (low, high) == pytest.approx((-0.0054602, 0.0754602), abs=1e-7)
    # t² is McNemar's 49 / 17, but for the variance within the null
    variance = (12 + 5 - 7**2 / 200) / (200 * 199)
    assert (high - low) / 2 == pytest.approx(1.971957 * np.sqrt(variance), rel=1e-5)


ARMS = {("ticket", 0): 1, ("ticket", 1): 1, ("reinit", 1): 2}


def agrees_with_the_bootstrap(image_intervals) -> None:
    """The law: resampling images, all replicates and draws together, gives the same interval."""
    rng = np.random.default_rng(0)
    # which images are hard: most for all nets alike, some for all nets of one arm
    hard = {key: np.arange(2000) % 10 == 0 for key in ARMS}
    for key in ARMS:
        hard[key] = hard[key] | (rng.random(2000) < 0.05)
    nets = [
        row(*key, rng.random(2000) > np.where(hard[key], 0.9, 0.02), replicate, draw)
        for key, num_draws in ARMS.items()
        for replicate in range(3)
        for draw in range(num_draws)
    ]
    of = {
        key: np.mean([n["correct"] for n in nets if (n["arm"], n["level"]) == key], axis=0)
        for key in ARMS
    }
    found = image_intervals(nets)
    for control, other in (("dense", ("ticket", 0)), ("reinit", ("reinit", 1))):
        images = of["ticket", 1] - of[other]
        means = images[rng.integers(0, 2000, (4000, 2000))].mean(axis=1)
        expected = np.quantile(means, [0.025, 0.975])
        width = expected[1] - expected[0]
        assert ends(found, control=control) == pytest.approx(expected, abs=0.05 * width)


def test_resampled_images_give_the_same_interval():
    agrees_with_the_bootstrap(image_intervals)


def every_net_by_itself(rows):
    """As if images of different replicates were different images."""
    keys = sorted({(n["replicate"], n["draw"]) for n in rows if n["arm"] == "ticket"})
    joined = []
    for arm, level in ARMS:
        parts = [n["correct"] for n in rows if (n["arm"], n["level"], n["draw"]) == (arm, level, 0)]
        joined.append(row(arm, level, np.concatenate(parts[: len(keys)])))
    return image_intervals(joined)


def unpaired(rows):
    """Each arm's images shuffled: what the pairing tells is gone."""
    rng = np.random.default_rng(1)
    orders = {key: rng.permutation(2000) for key in {(n["arm"], n["level"]) for n in rows}}
    return image_intervals(
        {**n, "correct": n["correct"][orders[n["arm"], n["level"]]]} for n in rows
    )


@pytest.mark.parametrize("mutant", [every_net_by_itself, unpaired])
def test_other_intervals_are_caught(mutant):
    with pytest.raises(AssertionError):
        agrees_with_the_bootstrap(mutant)


def test_only_replicates_that_both_have_are_compared():
    rows = [
        row("ticket", 0, [1, 1, 0, 0], 0), row("ticket", 0, [0, 0, 0, 0], 1),
        row("ticket", 1, [1, 0, 0, 0], 0), row("reinit", 1, [1, 0, 0, 0], 2),
    ]  # fmt: skip
    frame = image_intervals(rows)
    assert list(frame["control"]) == ["dense"]
    low, high = ends(frame)
    assert (low + high) / 2 == pytest.approx(-0.25)


def test_without_images_there_are_no_rows():
    assert image_intervals([]).empty
    assert image_intervals([row("ticket", 0, [1, 0])]).empty
