"""The inverse of a criterion keeps what the criterion prunes first."""

import pytest
import torch

from lottery_ticket.criteria import CRITERIA, inverse, score
from lottery_ticket.masks import Budget, PruningMask
from lottery_ticket.pruning import next_mask

WEIGHTS = {"a": torch.tensor([[4.0, -1.0], [2.0, 0.5]]), "b": torch.tensor([-3.0, 0.1])}
DENSE = PruningMask.from_tensors({n: torch.ones_like(w).bool() for n, w in WEIGHTS.items()})


def check_is_inverse(inverse) -> None:
    """It asks for the same inputs, and keeps exactly what is left of the criterion's mask."""
    for name in ("magnitude", "small_final", "large_init", "movement", "random"):
        entry = CRITERIA[name]
        made = inverse(entry)
        assert (made.needs, made.rounds) == (entry.needs, entry.rounds)
    kept = next_mask("magnitude", DENSE, Budget(4), weights=WEIGHTS)
    left = next_mask(inverse(CRITERIA["magnitude"]), DENSE, Budget(2), weights=WEIGHTS)
    for name, mask in kept.items():
        assert torch.equal(left[name], ~mask)


def test_the_inverse():
    check_is_inverse(inverse)
    scores = score(inverse(CRITERIA["magnitude"]), weights=WEIGHTS)
    assert torch.equal(scores["b"], torch.tensor([-3.0, -0.1]))


@pytest.mark.parametrize("mutant", [lambda entry: entry, lambda entry: CRITERIA["small_final"]])
def test_other_inverses_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_is_inverse(mutant)
