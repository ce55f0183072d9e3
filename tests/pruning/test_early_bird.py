"""When a mask has settled, and what is remembered on the way."""

import pytest
import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Budget, PruningMask
from lottery_ticket.pruning import EarlyBird, Target, made_policy

SIZE, KEPT = 100, 10


def policy(**options):
    return made_policy("early_bird", Target(Budget(KEPT), SIZE, 0, 40), options)


class Walk:
    """Weights that are given, step by step, to an attached mask; nothing is learnt."""

    def __init__(self, rule):
        self.model = nn.Linear(SIZE, 1, bias=False)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.0)
        mask = PruningMask(self.model)
        self.attached = mask.attach(self.model, self.optimizer, policy=rule)

    def go(self, kept):
        """A step after which the weights `kept` are the largest."""
        with torch.no_grad():
            weight = torch.full((1, SIZE), 0.1)
            weight[0, list(kept)] = 1.0
            self.model.weight.copy_(weight * self.attached.mask["weight"])
        self.model.weight.grad = torch.zeros_like(self.model.weight)
        self.optimizer.step()
        return self.attached.mask.num_kept


def shifted(step):
    return range(step, step + KEPT)


def settles_at(rule, masks):
    """The step after which the net is no longer dense."""
    walk = Walk(rule)
    for step, kept in enumerate(masks, 1):
        if walk.go(kept) != SIZE:
            assert walk.attached.mask.num_kept == KEPT
            return step, walk
    return None, walk


def test_it_settles_after_a_window_of_masks_that_are_alike():
    moving = [shifted(3 * step) for step in range(4)]
    still = [shifted(50)] * 10
    step, walk = settles_at(policy(every_steps=1, end_step=30), moving + still)
    assert step == 4 + 6  # the sixth is like the five before
    assert walk.attached.mask["weight"][0].nonzero().flatten().tolist() == list(shifted(50))
    step, _ = settles_at(policy(every_steps=1, end_step=30, window=2), moving + still)
    assert step == 4 + 3
    step, _ = settles_at(policy(every_steps=2, end_step=30, window=2), moving + still)
    assert step == 10  # at 6 and 8 of those that stay; at 10 there are two before


def test_how_far_masks_are_apart():
    creeping = [shifted(step) for step in range(30)]  # five looks ago: 5 of 10 were others
    assert settles_at(policy(every_steps=1, end_step=30), creeping)[0] == 30  # never, so at the end
    near = {"every_steps": 1, "end_step": 30}
    assert settles_at(policy(distance=0.5, **near), creeping)[0] == 30  # .5 is not below it
    assert settles_at(policy(distance=0.51, **near), creeping)[0] == 6
    # of all weights they are 2 · 5 / 100 apart
    assert settles_at(policy(distance=0.1, of="all", **near), creeping)[0] == 30
    assert settles_at(policy(distance=0.11, of="all", **near), creeping)[0] == 6


def test_it_says_when_it_was_pruned_and_whether_it_had_settled():
    for masks, settled, at in (
        ([shifted(0)] * 9, True, 6),
        ([shifted(n) for n in range(40)], False, 30),
    ):
        _, walk = settles_at(policy(every_steps=1, end_step=30), masks)
        walk.go(shifted(7))  # whatever it is, the mask stays
        memory = walk.attached.state_dict()["memory"]
        assert (memory["pruned_step"].item(), memory["has_settled"].item()) == (at, settled)


def test_a_saved_attachment_goes_on():
    masks = [shifted(3 * n) for n in range(4)] + [shifted(50)] * 10
    rule = policy(every_steps=1, end_step=30)
    walk = Walk(rule)
    for kept in masks[:8]:
        walk.go(kept)
    state = walk.attached.state_dict()
    other = Walk(rule)
    other.attached.load_state_dict(state)
    assert [other.go(kept) for kept in masks[8:]] == [walk.go(kept) for kept in masks[8:]]
    forgetful = Walk(rule)
    forgetful.attached.load_state_dict({k: v for k, v in state.items() if k != "memory"})
    assert [forgetful.go(kept) for kept in masks[8:10]] == [SIZE, SIZE]  # remembered, it is pruned
    with pytest.raises(UsageError, match="'memory' is no tensors"):
        Walk(rule).attached.load_state_dict({**state, "memory": {"0/weight": 1}})


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"window": 0}, "window: got 0"),
        ({"distance": 1.5}, "distance: got 1.5"),
        ({"of": "some"}, "of: got 'some', wanted 'kept' or 'all'"),
        ({"every_steps": 0}, "every_steps: got 0"),
        ({"end_step": 50}, "end_step: got 50"),
    ],
)
def test_options_that_make_no_sense(options, wanted):
    with pytest.raises(UsageError, match=wanted):
        policy(**options)


def test_defaults():
    assert policy() == EarlyBird(Budget(KEPT), 0, 30, 2)
