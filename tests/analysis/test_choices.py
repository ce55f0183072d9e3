"""Which point of a grid each arm is held at."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lottery_ticket import UsageError
from lottery_ticket.analysis import as_table, chosen_points, point_means, validation_metric

ARMS = ("ticket", "reinit", "shuffled")


def trainings(seed=0, points=3, replicates=3):
    """A table of trainings at each point; validation and test are unlike one another."""
    draws, frames = np.random.default_rng(seed), []
    for point in range(points):
        rows = [
            {
                "run": "r", "arm": arm, "level": level, "replicate": replicate, "draw": 0,
                "density": 0.5**level, "cell": f"{arm}{level}{replicate}{point}",
                **{f"{part}_accuracy": draws.uniform() for part in ("val", "test")},
                **{f"{part}_loss": draws.uniform() for part in ("val", "test")},
            }
            for arm in ARMS for level in range(3) for replicate in range(replicates)
        ]  # fmt: skip
        frames.append(as_table(rows).assign(point=point))
    return pd.concat(frames, ignore_index=True)


def choose(table):
    metric = validation_metric(table)
    found = chosen_points(point_means(table, metric), metric)
    return {(row["arm"], row["level"]): row["point"] for row in found.to_dict("records")}


def poisoned(table, part, seed):
    """The same with other results of a part: shuffled, and then one point made the best."""
    columns = [name for name in table if name.startswith(f"{part}_")]
    order = np.random.default_rng(seed).permutation(len(table))
    changed = {name: table[name].to_numpy()[order] for name in columns}
    return table.assign(**changed)


def check_that_test_is_not_seen(chooses):
    """The law: another test changes no choice; another validation does."""
    table = trainings()
    chosen = chooses(table)
    for seed in range(5):
        assert chooses(poisoned(table, "test", seed)) == chosen
    gone = table.assign(**{name: None for name in table if name.startswith("test_")})
    assert chooses(gone) == chosen
    assert any(chooses(poisoned(table, "val", seed)) != chosen for seed in range(5))


def test_a_choice_never_sees_test():
    check_that_test_is_not_seen(choose)


def _by_test(table):
    return choose(table.assign(val_accuracy=table["test_accuracy"]))


def _by_nothing(table):
    return dict.fromkeys(choose(table), 0)


def _by_both(table):
    mixed = table["val_accuracy"] + 0.5 * table["test_accuracy"].fillna(0)
    return choose(table.assign(val_accuracy=mixed))


@pytest.mark.parametrize("wrong", [_by_test, _by_nothing, _by_both])
def test_choices_that_see_test_are_caught(wrong):
    with pytest.raises(AssertionError):
        check_that_test_is_not_seen(wrong)


def test_the_best_mean_over_replicates_wins():
    table, chosen = trainings(), choose(trainings())
    for arm in ARMS:
        for level in (1, 2):
            own = table.loc[(table["arm"] == arm) & (table["level"] == level)]
            means = own.groupby("point")["val_accuracy"].mean()
            assert chosen[arm, level] == means.idxmax()


def test_dense_is_one_and_of_both_nets():
    table, chosen = trainings(), choose(trainings())
    nets = table.loc[(table["level"] == 0) & table["arm"].isin(["ticket", "reinit"])]
    assert chosen["dense", 0] == nets.groupby("point")["val_accuracy"].mean().idxmax()
    assert ("ticket", 0) not in chosen


def test_of_a_loss_the_least_wins():
    table = trainings().assign(val_accuracy=None, test_accuracy=None)
    metric = validation_metric(table)
    assert (metric.column, metric.higher_is_better) == ("val_loss", False)
    own = table.loc[(table["arm"] == "ticket") & (table["level"] == 2)]
    assert choose(table)["ticket", 2] == own.groupby("point")["val_loss"].mean().idxmin()


def test_of_the_runs_own_metric_it_says_what_is_better():
    table = trainings()
    table = table.assign(metric="error", higher_is_better=False, val_metric=table["val_loss"])
    metric = validation_metric(table)
    assert (metric.column, metric.label) == ("val_metric", "validation error")
    assert not metric.higher_is_better


def test_without_validation_there_is_no_choice():
    table = trainings().assign(val_accuracy=None, val_loss=None)
    with pytest.raises(UsageError, match="nothing to choose"):
        validation_metric(table)


def test_of_equal_points_the_first_wins_whatever_the_rounding():
    table = trainings(points=2)
    orders = {0: [0.1, 0.2, 0.3], 1: [0.3, 0.2, 0.1]}  # whose sums differ in the last bit
    values = [orders[p][r] for p, r in zip(table["point"], table["replicate"], strict=True)]
    assert set(choose(table.assign(val_accuracy=values)).values()) == {0}
    turned = [orders[1 - p][r] for p, r in zip(table["point"], table["replicate"], strict=True)]
    assert set(choose(table.assign(val_accuracy=turned)).values()) == {0}


def test_what_is_not_all_trained_is_not_chosen():
    table = trainings()
    best = choose(table)["ticket", 1]
    is_one = (table["point"] == best) & (table["arm"] == "ticket") & (table["replicate"] == 2)
    values = table["val_accuracy"].mask(is_one & (table["level"] == 1))
    again = choose(table.assign(val_accuracy=values))
    assert again["ticket", 1] != best
    assert again["ticket", 2] == choose(table)["ticket", 2]


def test_points_of_the_same_trainings_are_one():
    table = trainings()
    same = table.loc[table["point"] == 0].assign(point=3)
    both = pd.concat([table, same], ignore_index=True)
    metric = validation_metric(both)
    means = point_means(both, metric)
    assert set(means.loc[means["point"] == 3, "same_as"]) == {0}
    chosen = chosen_points(means, metric)
    assert set(chosen["num_points"]) == {3}
    assert 3 not in set(chosen["point"])


def test_means_are_of_replicates_draws_first():
    table = trainings(points=1)
    more = table.loc[table["arm"] == "reinit"].assign(draw=1, val_accuracy=0.5)
    means = point_means(pd.concat([table, more], ignore_index=True), validation_metric(table))
    own = table.loc[(table["arm"] == "reinit") & (table["level"] == 1), "val_accuracy"]
    wanted = (own.to_numpy() + 0.5) / 2
    row = means.loc[(means["arm"] == "reinit") & (means["level"] == 1)].iloc[0]
    assert row["mean"] == pytest.approx(wanted.mean())
    assert row["sd"] == pytest.approx(wanted.std(ddof=1))
    low, high = stats.t.interval(0.95, 2, wanted.mean(), stats.sem(wanted))
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert row["n"] == 3
