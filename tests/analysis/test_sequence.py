"""Fixed sequences, Holm's procedure and the levels a run claims, against plain loops."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lottery_ticket.analysis import claimed_levels, fixed_sequence, holm

ps = st.sampled_from([0.0, 0.005, 0.01, 0.0125, 0.02, 0.025, 0.04, 0.05, 0.06, 0.5, np.nan])
several = st.lists(ps, min_size=1, max_size=6).map(np.array)
pairs = st.integers(1, 6).flatmap(
    lambda n: st.tuples(*[st.lists(ps, min_size=n, max_size=n)] * 2).map(np.array)
)


def test_a_sequence_stops_at_the_first_that_is_not_rejected():
    p = np.array([[0.01, 0.05, 0.051, 0.001], [0.2, 0.0, 0.0, 0.0], [0.01, np.nan, 0.0, 0.0]])
    assert fixed_sequence(p, 0.05).tolist() == [
        [True, True, False, False],
        [False, False, False, False],
        [True, False, False, False],
    ]


def closed(p) -> list[bool]:
    """Rejected where every set of hypotheses that holds it is, by Bonferroni's test."""
    tested = [i for i, value in enumerate(p) if not np.isnan(value)]
    sets = [s for size in range(1, len(tested) + 1) for s in combinations(tested, size)]
    kept = {s for s in sets if min(p[i] for i in s) > 0.05 / len(s)}
    return [i in tested and not any(i in s for s in kept) for i in range(len(p))]


def is_the_closed_test(holm) -> None:
    """The law: Holm's procedure is the closed test of Bonferroni's."""

    @example(np.array([0.05, 0.025]))
    @example(np.array([0.025, 0.04, np.nan]))
    @example(np.array([0.04, 0.04]))
    @given(several)
    def holds(p):
        assert holm(p).tolist() == closed(p)

    holds()


def test_holm():
    is_the_closed_test(holm)
    assert holm(np.array([[0.01, 0.5], [0.04, 0.02]])).tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize(
    "mutant",
    [
        lambda p: p <= 0.05,
        lambda p: p <= 0.05 / max(1, (~np.isnan(p)).sum()),
        lambda p: holm(np.nan_to_num(p, nan=1.0)),
        lambda p: holm(p, 0.1),
        lambda p: fixed_sequence(p, 0.05),
    ],
    ids=["5 % each", "one step", "untested ones count", "10 %", "in their order"],
)
def test_other_procedures_are_caught(mutant):
    with pytest.raises(AssertionError):
        is_the_closed_test(mutant)


def takes_the_larger_p(claimed) -> None:
    """The law: a level is claimed if Holm rejects the larger of its two p."""

    @example(np.array([[np.nan], [0.0]]))
    @example(np.array([[0.05], [0.05]]))
    @example(np.array([[0.5, 0.0], [0.0, 0.0]]))
    @example(np.array([[0.04, 0.005], [0.005, 0.04]]))
    @given(pairs)
    def holds(found):
        noninferior, superior = found
        larger = [
            np.nan if np.isnan(a) or np.isnan(b) else max(a, b)
            for a, b in zip(noninferior, superior, strict=True)
        ]
        assert claimed(noninferior, superior).tolist() == closed(larger)

    holds()


def test_claimed_levels():
    takes_the_larger_p(claimed_levels)


@pytest.mark.parametrize(
    "mutant",
    [
        lambda p, q: (p <= 0.05) & (q <= 0.05),
        lambda p, q: holm(p) & holm(q),
        lambda p, q: holm(np.minimum(p, q)),
        lambda p, q: holm(p),
        lambda p, q: holm(q),
        lambda p, q: claimed_levels(np.nan_to_num(p, nan=0.0), q),
    ],
    ids=["5 % each", "one by one", "the smaller", "not reinit", "not dense", "nan rejects"],
)
def test_other_claims_are_caught(mutant):
    with pytest.raises(AssertionError):
        takes_the_larger_p(mutant)
