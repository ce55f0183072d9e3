"""How often a verdict is false, and how often it is found, where the truth is known.

`docs/results/verdict.py` simulates every case; here are those that tell rules apart.
"""

from dataclasses import replace

import numpy as np
import pytest
from simulated import (
    DOUBLING,
    LEVELS,
    MARGIN,
    MIXED,
    NOISES,
    SINGLE,
    SPIKES,
    TWO_NULLS,
    WINNING,
    Noise,
    simulated,
)

from lottery_ticket.analysis import (
    ALPHA,
    Judgement,
    Spread,
    claimed_levels,
    contrast_of,
    dense_contrast_of,
    level_labels,
    pooled_variance,
    spread_of,
)

MOST_FALSE, MOST_AT_A_SPIKE = 0.055, 0.065
NUM_RUNS = 2000


def within(rate: float, most: float) -> bool:
    """Whether 2,000 runs allow that it is so seldom."""
    return rate <= most + 2 * np.sqrt(most * (1 - most) / NUM_RUNS)


def contrasts(runs, rule=spread_of):
    dense = dense_contrast_of(runs.ticket, runs.dense, rule=rule)
    return dense, contrast_of(runs.ticket, runs.reinit, rule=rule)


def arms(runs):
    return runs.ticket, runs.reinit


def both_p(runs, rule=spread_of):
    dense, reinit = contrasts(runs, rule)
    return dense.p_above(-MARGIN), reinit.p_above()


def winning(runs, rule=spread_of) -> np.ndarray:
    """The levels that each run calls winning, one by one."""
    return level_labels(Judgement.of(*contrasts(runs, rule), MARGIN)) == "winning"


def claimed(runs, rule=spread_of) -> np.ndarray:
    """The levels that each run claims together."""
    return claimed_levels(*both_p(runs, rule))


# rules that were not chosen, or are wrong


def own(values) -> Spread:
    """Each level by itself."""
    found = spread_of(values)
    return replace(found, variance=found.own, df=found.own_df)


def all_levels(values) -> Spread:
    """One spread for all levels, as if it did not depend on the level."""
    found = spread_of(values)
    variance, df = pooled_variance(values)
    same = np.ones(values.shape[-1])
    return replace(found, variance=variance[..., None] * same, df=df[..., None] * same)


def neighbours(values) -> Spread:
    """Pooled with two levels on either side, however much a level stands out."""
    found = spread_of(values)
    windows = [values[..., max(0, i - 2) : i + 3] for i in range(values.shape[-1])]
    parts = zip(*(pooled_variance(window) for window in windows), strict=True)
    variance, df = (np.stack(part, axis=-1) for part in parts)
    return replace(found, variance=variance, df=df)


def takes_the_spread_for_known(values) -> Spread:
    return replace(own(values), df=np.full_like(own(values).df, 1e6))


# false verdicts of a level


def check_pointwise(winning, n, truth) -> None:
    """Of 2,000 runs, few call a level winning that is not."""
    rates = winning(simulated(n, truth, num_runs=NUM_RUNS))[:, truth.is_false].mean(axis=0)
    assert rates.mean() <= MOST_FALSE
    assert within(rates.max(), MOST_FALSE)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("null", TWO_NULLS)
def test_a_level_is_seldom_called_winning_when_it_is_not(null, n):
    check_pointwise(winning, n, TWO_NULLS[null])


def either(runs):
    return np.logical_or(*(p <= ALPHA for p in both_p(runs)))


def forgets_reinit(runs):
    return both_p(runs)[0] <= ALPHA


def forgets_dense(runs):
    return both_p(runs)[1] <= ALPHA


def doubles_the_margin(runs):
    dense, reinit = contrasts(runs)
    return (dense.p_above(-2 * MARGIN) <= ALPHA) & (reinit.p_above() <= ALPHA)


def with_a_known_spread(runs):
    return winning(runs, takes_the_spread_for_known)


def draws_as_replicates(runs):
    """Counts every replicate twice."""
    twice = (np.repeat(values, 2, axis=1) for values in (runs.ticket, runs.reinit, runs.dense))
    return winning(type(runs)(*twice, runs.truth))


WRONG_AT = {
    "ticket equals reinit": [either, forgets_reinit, with_a_known_spread, draws_as_replicates],
    "exactly the margin below dense": [
        either, forgets_dense, doubles_the_margin, with_a_known_spread, draws_as_replicates,
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("null", "mutant"), [(null, mutant) for null, wrong in WRONG_AT.items() for mutant in wrong]
)
def test_other_rules_for_a_level_are_caught(null, mutant):
    with pytest.raises(AssertionError):
        check_pointwise(mutant, 5, TWO_NULLS[null])


# false claims of a run


def check_claims(claimed, n, truth, noise=None, most=MOST_FALSE) -> None:
    """Of 2,000 runs, few claim any level that is no winning ticket."""
    runs = simulated(n, truth, noise, num_runs=NUM_RUNS)
    assert within((claimed(runs) & truth.is_false).any(axis=1).mean(), most)


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("truth", [*TWO_NULLS.values(), MIXED], ids=[*TWO_NULLS, "mixed"])
def test_a_run_seldom_claims_what_is_not_so(truth, n):
    check_claims(claimed, n, truth)


TO_DENSE, TO_REINIT = (
    next(truth for name, truth in SINGLE.items() if f"level {LEVELS} win" in name and word in name)
    for word in ("dense", "reinit")
)
LAST_SPIKE = SPIKES[f"threefold at level {LEVELS}"]


@pytest.mark.parametrize("truth", [TO_DENSE, TO_REINIT], ids=["to dense", "to reinit"])
@pytest.mark.parametrize("noise", NOISES)
def test_the_one_level_that_is_no_ticket_is_seldom_claimed(noise, truth):
    """Where all the others win clearly, nothing but its own test is in the way."""
    check_claims(claimed, 3, truth, NOISES[noise])


@pytest.mark.parametrize("truth", [TO_DENSE, TO_REINIT], ids=["to dense", "to reinit"])
def test_nor_where_it_varies_three_times_as_much(truth):
    check_claims(claimed, 3, truth, LAST_SPIKE, MOST_AT_A_SPIKE)


def one_by_one(runs):
    return np.maximum(*both_p(runs)) <= ALPHA


def one_null(runs):
    matching, _ = both_p(runs)
    return claimed_levels(matching, matching)


def pools_all_levels(runs):
    return claimed(runs, all_levels)


def pools_neighbours(runs):
    return claimed(runs, neighbours)


def pairs_what_is_not_paired(runs):
    """The best with the best, the worst with the worst."""
    differences = np.sort(runs.ticket, axis=1) - np.sort(runs.reinit, axis=1)
    superior = contrast_of(differences, np.zeros_like(differences)).p_above()
    return claimed_levels(both_p(runs)[0], superior)


def after_looking(runs):
    """The level with the smallest p, tested as if it had been named beforehand."""
    larger = np.maximum(*both_p(runs))
    return (larger == larger.min(axis=1, keepdims=True)) & (larger <= ALPHA)


def one_dense_net_twice(runs):
    """Two nets of one replicate count as two replicates."""
    twice = np.repeat(runs.ticket, 2, axis=1)
    dense = runs.dense.reshape(len(runs.dense), -1, 1)
    found = dense_contrast_of(twice, dense)
    return claimed_levels(found.p_above(-MARGIN), both_p(runs)[1])


@pytest.mark.parametrize(
    ("mutant", "truth", "noise"),
    [
        (one_by_one, TWO_NULLS["ticket equals reinit"], None),
        (one_by_one, TWO_NULLS["exactly the margin below dense"], None),
        (one_null, TWO_NULLS["ticket equals reinit"], None),
        (one_null, TO_REINIT, None),
        (pools_all_levels, TO_DENSE, DOUBLING),
        (pools_all_levels, TO_REINIT, DOUBLING),
        (pools_neighbours, TO_DENSE, LAST_SPIKE),
        (pairs_what_is_not_paired, TO_REINIT, None),
        (after_looking, TWO_NULLS["ticket equals reinit"], None),
        (one_dense_net_twice, TO_DENSE, Noise(dense=0.5)),
    ],
)
def test_other_claims_are_caught(mutant, truth, noise):
    with pytest.raises(AssertionError):
        check_claims(mutant, 5, truth, noise, MOST_AT_A_SPIKE)


# what is there is found


def check_power(claimed) -> None:
    """No loss against dense, 0.4 points over reinit, margin 0.2: a run claims a level."""
    for n, least in ((3, 0.38), (5, 0.80), (10, 0.98)):
        found = claimed(simulated(n, WINNING, num_runs=NUM_RUNS)).any(axis=1).mean()
        assert found >= least - 2 * np.sqrt(least * (1 - least) / NUM_RUNS), n


def test_a_winning_ticket_is_found():
    check_power(claimed)


def with_own_spread(runs):
    return claimed(runs, own)


def paired(runs):
    """Differences within replicates, against one dense net."""
    dense = runs.ticket - runs.dense[..., :1]
    zero = np.zeros_like(dense)
    found = [contrast_of(d, zero) for d in (dense, runs.ticket - runs.reinit)]
    return claimed_levels(found[0].p_above(-MARGIN), found[1].p_above())


def corrected_between_both(runs):
    matching, better = both_p(runs)
    return claimed_levels(2 * matching, 2 * better)


@pytest.mark.parametrize("mutant", [with_own_spread, paired, corrected_between_both])
def test_weaker_rules_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_power(mutant)


# p values


def check_uniform(p_of) -> None:
    """Superiority is shown as often as its p says where the ticket equals reinit."""
    for n in (3, 5, 10):
        p = p_of(simulated(n, seed=1, num_runs=NUM_RUNS))
        for most in (0.01, 0.05, 0.25):
            for level in (0, 9, 19):
                rate = (p[:, level] <= most).mean()
                assert within(rate, most), (n, level, most)
                assert rate >= 0.5 * most - 0.005, (n, level, most)


def test_p_values_are_valid_and_not_wasteful():
    check_uniform(lambda runs: both_p(runs)[1])


@pytest.mark.parametrize(
    "mutant",
    [
        lambda runs: contrasts(runs)[1].p_above(-MARGIN),
        lambda runs: contrasts(runs, takes_the_spread_for_known)[1].p_above(),
        lambda runs: contrast_of(*(np.repeat(arm, 2, axis=1) for arm in arms(runs))).p_above(),
        lambda runs: 2 * both_p(runs)[1],
    ],
    ids=["at the margin", "spread taken for known", "every replicate twice", "two-sided"],
)  # fmt: skip
def test_other_p_values_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_uniform(mutant)
