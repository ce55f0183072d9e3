"""Fixed sequences and the levels a run claims, against a plain loop."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lottery_ticket.analysis import claimed_levels, fixed_sequence

ps = st.sampled_from([0.0, 0.005, 0.01, 0.02, 0.04, 0.045, 0.05, 0.06, 0.5, np.nan])
pairs = st.integers(1, 8).flatmap(
    lambda n: st.tuples(*[st.lists(ps, min_size=n, max_size=n)] * 2).map(np.array)
)


def test_a_sequence_stops_at_the_first_that_is_not_rejected():
    p = np.array([[0.01, 0.05, 0.051, 0.001], [0.2, 0.0, 0.0, 0.0], [0.01, np.nan, 0.0, 0.0]])
    assert fixed_sequence(p, 0.05).tolist() == [
        [True, True, False, False],
        [False, False, False, False],
        [True, False, False, False],
    ]


def claims_what_both_reach(claimed) -> None:
    """The law: a level is claimed if all denser ones match dense and all sparser beat reinit."""

    @example(np.array([[np.nan], [0.0]]))
    @example(np.array([[0.045], [0.045]]))
    @example(np.array([[0.04], [0.0]]))
    @example(np.array([[0.5, 0.0], [0.0, 0.0]]))
    @example(np.array([[0.0, 0.0], [0.0, 0.5]]))
    @given(pairs)
    def holds(found):
        noninferior, superior = found
        expected = [
            all(p <= 0.04 for p in noninferior[: level + 1])
            and all(p <= 0.01 for p in superior[level:])
            for level in range(len(noninferior))
        ]
        assert claimed(noninferior, superior).tolist() == expected

    holds()


def test_claimed_levels():
    claims_what_both_reach(claimed_levels)


@pytest.mark.parametrize(
    "mutant",
    [
        lambda p, q: (p <= 0.04) & (q <= 0.01),
        lambda p, q: fixed_sequence(p, 0.05) & fixed_sequence(q[::-1], 0.05)[::-1],
        lambda p, q: fixed_sequence(p, 0.04) & fixed_sequence(q, 0.01),
        lambda p, q: fixed_sequence(p[::-1], 0.04)[::-1] & fixed_sequence(q, 0.01),
        lambda p, q: claimed_levels(q, p),
        lambda p, q: claimed_levels(np.nan_to_num(p, nan=0.0), q),
    ],
    ids=["no sequence", "5 % each", "one way", "reversed", "swapped", "nan rejects"],
)
def test_other_claims_are_caught(mutant):
    with pytest.raises(AssertionError):
        claims_what_both_reach(mutant)
