"""What several formats of one export want of a model is made once."""

import functools

import pytest
from shipped_nets import small

from lottery_ticket.export._format import made_once, shared


def check_made_once(shared):
    made = []

    @shared
    def make(pruned, *, option=0):
        made.append((pruned, option))
        return len(made)

    one, other = small(), small()
    with made_once():
        assert [make(one), make(one, option=1), make(other)] == [1, 2, 3]
        assert [make(other), make(one, option=1), make(one)] == [3, 2, 1]
    assert [make(one), make(one)] == [4, 5]  # it may have changed in between
    with made_once():
        assert make(one) == 6
    assert made[0] == (one, 0)


def test_made_once_of_each_model_in_a_block():
    check_made_once(shared)


def always_anew(make):
    return make


def for_ever(make):
    return functools.cache(make)


def whatever_the_options(make):
    found = shared(lambda pruned: make(pruned, **given.pop()))
    given = []
    return lambda pruned, **options: given.append(options) or found(pruned)


@pytest.mark.parametrize("mutant", [always_anew, for_ever, whatever_the_options])
def test_other_sharing_is_caught(mutant):
    with pytest.raises(AssertionError):
        check_made_once(mutant)
