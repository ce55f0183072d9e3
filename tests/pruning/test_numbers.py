"""Numbers of NumPy mean what they show."""

from fractions import Fraction

import numpy as np
import pytest
from torch import nn

from lottery_ticket.pruning import iterative, polynomial, prune, target_sparsity


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("name", ["sparsity", "density", "amount"])
def test_a_fraction_is_the_one_that_is_shown(kind, name):
    """0.9 of float32 is 0.9, and not 0.89999998: as many weights are kept."""
    found = prune(nn.Linear(1000, 10), **{name: kind(0.9)})
    assert found.num_kept == prune(nn.Linear(1000, 10), **{name: 0.9}).num_kept


def test_schedules_hold_numbers_of_python():
    assert target_sparsity(np.float32(0.75), rounds=np.int64(2)) == target_sparsity(0.75, rounds=2)
    schedule = iterative(np.float32(0.2), levels=np.int32(3))
    assert schedule == iterative(0.2, levels=3)
    assert (type(schedule.rate), type(schedule.levels)) == (float, int)
    gradual = polynomial(np.float64(0.9), begin_step=np.int64(0), end_step=np.int64(10))
    assert gradual == polynomial(0.9, begin_step=0, end_step=10)
    assert type(gradual.end_step) is int


def test_exact_fractions_are_numbers_too():
    assert iterative(Fraction(1, 5), levels=3) == iterative(0.2, levels=3)
