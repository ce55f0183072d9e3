"""How often a verdict is false, and how often it is found, where the truth is known."""

import numpy as np
import pytest
from scipy import stats
from simulated import LEVELS, MARGIN, MIXED, SPREADING, TWO_NULLS, simulated

from lottery_ticket.analysis import (
    ALPHA,
    Contrast,
    Judgement,
    claimed_levels,
    contrast_of,
    fixed_sequence,
    level_labels,
)

MOST_FALSE = 0.065


def winning(runs) -> np.ndarray:
    """The levels that each run calls winning, one by one."""
    judgement = Judgement.of(contrast_of(runs.dense), contrast_of(runs.reinit), MARGIN)
    return level_labels(judgement) == "winning"


def claimed(runs) -> np.ndarray:
    """The levels that each run claims together."""
    dense, reinit = contrast_of(runs.dense), contrast_of(runs.reinit)
    return claimed_levels(dense.p_above(-MARGIN), reinit.p_above())


def own_tests(runs, alpha=ALPHA, margin=MARGIN, df=None) -> tuple[np.ndarray, np.ndarray]:
    """Both tests from each level's own spread: what mutants vary."""
    n = runs.dense.shape[1]
    limit = stats.t.isf(alpha, df or n - 1)
    t = [
        (d.mean(1) + shift) / (d.std(1, ddof=1) / np.sqrt(n))
        for d, shift in ((runs.dense, margin), (runs.reinit, 0.0))
    ]
    return t[0] > limit, t[1] > limit


# false verdicts of a level


def check_pointwise(winning, n, **truth) -> None:
    """Of 2,000 runs, at most 6.5 % call a level winning that is not."""
    runs = simulated(n, **truth)
    rates = winning(runs)[:, runs.is_false].mean(axis=0)
    assert rates.mean() <= MOST_FALSE
    # each level by itself, within what 2,000 runs can tell
    assert rates.max() <= MOST_FALSE + 2 * np.sqrt(MOST_FALSE * (1 - MOST_FALSE) / 2000)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("null", TWO_NULLS)
def test_a_level_is_seldom_called_winning_when_it_is_not(null, n):
    check_pointwise(winning, n, **TWO_NULLS[null])


def either(runs):
    return np.logical_or(*own_tests(runs))


def forgets_reinit(runs):
    return own_tests(runs)[0]


def forgets_dense(runs):
    return own_tests(runs)[1]


def doubles_the_margin(runs):
    matching, better = own_tests(runs, margin=2 * MARGIN)
    return matching & better


def takes_the_spread_for_known(runs):
    return np.logical_and(*own_tests(runs, df=10**6))


def unpaired_halves(runs):
    """Counts every replicate twice, as if draws were replicates."""
    twice = type(runs)(*(np.repeat(d, 2, axis=1) for d in (runs.dense, runs.reinit)), 0, 0)
    return winning(twice)


WRONG_AT = {
    "ticket equals reinit": [either, forgets_reinit, takes_the_spread_for_known, unpaired_halves],
    "exactly the margin below dense": [
        either, forgets_dense, doubles_the_margin, takes_the_spread_for_known, unpaired_halves,
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("null", "mutant"), [(null, mutant) for null, wrong in WRONG_AT.items() for mutant in wrong]
)
def test_other_rules_for_a_level_are_caught(null, mutant):
    with pytest.raises(AssertionError):
        check_pointwise(mutant, 5, **TWO_NULLS[null])


# spread that changes along the levels


def pooled_over_all(differences) -> Contrast:
    """One spread for all levels, as if it did not depend on the level."""
    found = contrast_of(differences)
    n, num_levels = differences.shape[-2:]
    sd = np.sqrt((found.sd**2).mean(axis=-1, keepdims=True))
    df = np.full_like(found.mean, (n - 1) * num_levels)
    return Contrast(found.mean, found.sd, found.n, np.broadcast_to(sd, found.mean.shape), df)


def check_growing_spread(contrast_of) -> None:
    """Where spread grows towards sparse levels, the sparsest are not called winning more often."""
    for truth in TWO_NULLS.values():
        runs = simulated(5, **truth, **SPREADING)
        dense, reinit = contrast_of(runs.dense), contrast_of(runs.reinit)
        is_winning = level_labels(Judgement.of(dense, reinit, MARGIN)) == "winning"
        assert is_winning[:, -4:].mean() <= MOST_FALSE


def test_a_spread_that_grows_with_sparsity_makes_no_false_winners():
    check_growing_spread(contrast_of)


def test_one_spread_for_all_levels_is_caught():
    with pytest.raises(AssertionError):
        check_growing_spread(pooled_over_all)


# false claims of a run


def check_claims(claimed, n, truth) -> None:
    """Of 2,000 runs, at most 6.5 % claim any level that is no winning ticket."""
    runs = simulated(n, **truth)
    assert (claimed(runs) & runs.is_false).any(axis=1).mean() <= MOST_FALSE


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("truth", [*TWO_NULLS.values(), MIXED], ids=[*TWO_NULLS, "mixed"])
def test_a_run_seldom_claims_what_is_not_so(truth, n):
    check_claims(claimed, n, truth)


def all_that_win(runs):
    return winning(runs)


def only_where_it_matches(runs):
    return fixed_sequence(contrast_of(runs.dense).p_above(-MARGIN), ALPHA)


def from_dense_to_sparse_and_back(runs):
    """The better of both sequences instead of what they share."""
    dense, reinit = contrast_of(runs.dense).p_above(-MARGIN), contrast_of(runs.reinit).p_above()
    return fixed_sequence(dense, 0.04) | fixed_sequence(reinit[:, ::-1], 0.01)[:, ::-1]


def five_per_cent_each(runs):
    dense, reinit = contrast_of(runs.dense).p_above(-MARGIN), contrast_of(runs.reinit).p_above()
    return fixed_sequence(dense, ALPHA) & fixed_sequence(reinit[:, ::-1], ALPHA)[:, ::-1]


@pytest.mark.parametrize(
    ("mutant", "truth"),
    [
        (all_that_win, TWO_NULLS["ticket equals reinit"]),
        (all_that_win, TWO_NULLS["exactly the margin below dense"]),
        (only_where_it_matches, TWO_NULLS["ticket equals reinit"]),
        (from_dense_to_sparse_and_back, TWO_NULLS["exactly the margin below dense"]),
        (five_per_cent_each, MIXED),  # each null by itself it survives: the reason for the split
    ],
)
def test_other_claims_are_caught(mutant, truth):
    with pytest.raises(AssertionError):
        check_claims(mutant, 10, truth)


# what is there is found


def check_power(winning) -> None:
    """No loss against dense, 0.4 points over reinit, margin 0.2: found by most runs."""
    for n, least in ((5, 0.60), (10, 0.85)):
        rates = winning(simulated(n, gains=0.4)).mean(axis=0)
        assert rates.mean() >= least, n
        assert rates.min() >= least - 2 * np.sqrt(least * (1 - least) / 2000), n


def test_a_winning_ticket_is_found():
    check_power(winning)


def unpooled(runs):
    return np.logical_and(*own_tests(runs))


def corrected_between_both(runs):
    matching, better = (c.p_above(b) for c, b in _contrasts(runs))
    return (matching <= ALPHA / 2) & (better <= ALPHA / 2)


def corrected_over_levels(runs):
    matching, better = (c.p_above(b) for c, b in _contrasts(runs))
    return (matching <= ALPHA / LEVELS) & (better <= ALPHA / LEVELS)


def _contrasts(runs):
    return (contrast_of(runs.dense), -MARGIN), (contrast_of(runs.reinit), 0.0)


@pytest.mark.parametrize("mutant", [unpooled, corrected_between_both, corrected_over_levels])
def test_weaker_rules_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_power(mutant)


# p values


def check_uniform(p_of) -> None:
    """Raw superiority p values are uniform where the ticket equals reinit."""
    for n in (3, 5, 10):
        runs = simulated(n, seed=1)
        for level in (0, 9, 19):
            assert stats.kstest(p_of(runs.reinit)[:, level], "uniform").pvalue > 0.001, (n, level)


def test_p_values_are_uniform_under_the_null():
    check_uniform(lambda differences: contrast_of(differences).p_above())


def _one_sided(differences, sign):
    return contrast_of(sign * differences).p_above()


@pytest.mark.parametrize(
    "mutant",
    [
        lambda differences: contrast_of(differences).p_above(-MARGIN),
        lambda differences: stats.norm.sf(
            differences.mean(1) / differences.std(1, ddof=1) * np.sqrt(differences.shape[1])
        ),
        lambda differences: _one_sided(np.repeat(differences, 2, axis=1), 1),
    ],
    ids=["at the margin", "spread taken for known", "every replicate twice"],
)
def test_other_p_values_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_uniform(mutant)
