"""An attachment's own state: carried by any checkpoint, continued bit for bit (law 14)."""

import copy
import gc
import io
import itertools
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket import UsageError
from lottery_ticket.masks import Budget, MaskPolicy, PruningMask, find_parameters, select

X = torch.randn(40, 16, 8, generator=torch.Generator().manual_seed(5))
Y = torch.randint(3, (40, 16), generator=torch.Generator().manual_seed(6))


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3))


def half_of(model, seed=1):
    stream = torch.Generator().manual_seed(seed)
    ones = PruningMask(model)
    scores = {name: torch.rand(kept.shape, generator=stream) for name, kept in ones.items()}
    return select(scores, ones, Budget(ones.num_prunable // 2))


def adam(model):
    return torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)


@dataclass(frozen=True)
class Regrow(MaskPolicy):
    """Every `every` steps drops the smallest and grows as many, by gradient or at random."""

    every: int = 3
    by: str = "gradient"

    def is_due(self, step):
        return step % self.every == 0

    def wants_gradients(self, step):
        return self.by == "gradient" and self.is_due(step)

    def next_mask(self, moment):
        found = {}
        for name, kept in moment.mask.items():
            if moment.step and self.by == "gradient":
                score = moment.gradients[name].abs()
            else:
                score = torch.rand(kept.shape, generator=moment.generator)
            num = max(1, int(kept.sum()) // 4)
            weight = moment.weights[name].abs().masked_fill(~kept, float("inf"))
            new = kept.clone().flatten()
            new[weight.flatten().topk(num, largest=False).indices] = False
            score = score.flatten().masked_fill(new, -1.0)
            new[score.topk(num).indices] = True
            found[name] = new.view_as(kept)
        return found


POLICIES = {"none": None, "gradient": Regrow(), "random": Regrow(by="random")}


class Training:
    """A model, its optimiser and an attached mask, as a script makes them when it starts."""

    def __init__(self, policy, mask_seed=1, **options):
        self.model = net()
        self.optimizer = adam(self.model)
        self.mask = half_of(self.model, mask_seed)
        self.attached = self.mask.attach(self.model, self.optimizer, policy=policy, **options)

    def go(self, until):
        rows = slice(self.attached.num_steps, until)
        for x, y in zip(X[rows], Y[rows], strict=True):
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(x), y).backward()
            self.optimizer.step()
        assert self.attached.num_steps == until
        return self

    def parts(self):
        return {"model": self.model, "optimizer": self.optimizer, "attached": self.attached}

    def checkpoint(self):
        buffer = io.BytesIO()
        torch.save({name: part.state_dict() for name, part in self.parts().items()}, buffer)
        return torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)

    def load(self, checkpoint, order=("model", "optimizer", "attached")):
        parts = self.parts()
        for name in order:
            parts[name].load_state_dict(checkpoint[name])
        return self


def check_same(one, two):
    assert one.attached.mask == two.attached.mask
    assert one.attached.num_steps == two.attached.num_steps
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, two.model.state_dict()[name]), f"{name} differs"
    theirs = two.optimizer.state_dict()["state"]
    for index, memory in one.optimizer.state_dict()["state"].items():
        for key, value in memory.items():
            assert torch.equal(value, theirs[index][key]), f"{key} differs"
    points = [each.attached.rewind_point for each in (one, two)]
    assert (points[0] is None) == (points[1] is None)
    for name, value in points[0].weights.items() if points[0] else ():
        assert torch.equal(value, points[1].weights[name]), f"{name} of the rewind point"


def check_zero(training):
    for name, parameter in find_parameters(training.model, training.attached.mask).items():
        pruned = ~training.attached.mask[name]
        assert not parameter[pruned].any()
        for key in ("exp_avg", "exp_avg_sq"):
            assert not training.optimizer.state[parameter][key][pruned].any()


ORDERS = list(itertools.permutations(("model", "optimizer", "attached")))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("at", [4, 5, 6, 9])
@pytest.mark.parametrize("policy", POLICIES)
def test_continues_bit_for_bit_in_whatever_order_it_is_loaded(policy, at, order):
    """Also under another mask than that of the checkpoint, as a script begins with the first."""
    through = Training(POLICIES[policy], rewind_step=5).go(12)
    checkpoint = Training(POLICIES[policy], rewind_step=5).go(at).checkpoint()
    again = Training(POLICIES[policy], rewind_step=5).load(checkpoint, order)
    check_zero(again)
    check_same(again.go(12), through)
    check_zero(again)


@pytest.mark.parametrize("policy", POLICIES)
def test_attached_after_the_model_and_the_optimiser_were_loaded(policy):
    through = Training(POLICIES[policy]).go(12)
    checkpoint = Training(POLICIES[policy]).go(7).checkpoint()
    again = Training(None)
    again.attached.detach()
    for name in ("model", "optimizer"):
        again.parts()[name].load_state_dict(checkpoint[name])
    again.attached = again.mask.attach(again.model, again.optimizer, policy=POLICIES[policy])
    again.attached.load_state_dict(checkpoint["attached"])
    check_same(again.go(12), through)


def test_the_masks_of_these_tests_do_move():
    """And the mutants: without its state, or with steps alone, a training goes another way."""
    through = Training(Regrow()).go(12)
    assert through.attached.mask != through.mask
    checkpoint = Training(Regrow()).go(4).checkpoint()
    without = Training(Regrow()).load(checkpoint, ("model", "optimizer"))
    without.attached.num_steps = 4
    with pytest.raises(AssertionError):
        check_same(without.go(12), through)
    kept = Training(Regrow())
    stale = kept.attached.state_dict()
    kept.load(checkpoint, ("model", "optimizer"))
    kept.attached.load_state_dict({**stale, "num_steps": 4})
    with pytest.raises(AssertionError):
        check_same(kept.go(12), through)


def test_gradients_that_a_policy_wants_are_kept_again():
    """Saved right before the step whose dense gradients it asks for."""
    checkpoint = Training(Regrow()).go(5).checkpoint()
    again = Training(Regrow()).load(checkpoint)
    assert POLICIES["gradient"].wants_gradients(6)
    check_same(again.go(6), Training(Regrow()).go(6))


def test_a_rewind_point_comes_back():
    first = Training(None, rewind_step=3).go(5)
    state = first.checkpoint()["attached"]
    assert state["rewind_point"]["step"] == 3
    again = Training(None)  # which does not ask for it
    again.attached.load_state_dict(state)
    point = again.attached.rewind_point
    assert (point.step, again.attached.num_steps) == (3, 5)
    assert len(point.optimizer_state) == 6
    before = Training(None, rewind_step=3).go(2).checkpoint()
    later = Training(None).load(before).go(4)
    assert later.attached.rewind_point.step == 3


def test_nothing_of_what_was_loaded_is_kept_longer_than_a_step():
    training = Training(None)
    training.model.load_state_dict(net(3).state_dict())
    training.go(1)
    lost = training.attached
    other = PruningMask.from_tensors({n: ~kept for n, kept in lost.mask.items()})
    state = Training(None).attached.state_dict()
    packed = Training(None, mask_seed=1).attached
    packed.replace_mask(other)
    lost.load_state_dict({**state, "mask": packed.state_dict()["mask"]})
    assert lost.mask == other
    for name, kept in other.items():
        assert not training.model.get_parameter(name)[kept].any(), "it grew from what was"


def bytes_of(value, seen):
    """Of all tensors that can be reached, each once."""
    if id(value) in seen:
        return 0
    seen[id(value)] = value
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    return sum(bytes_of(each, seen) for each in gc.get_referents(value))


def test_what_is_put_aside_is_what_was_pruned():
    """Until the first step: not a copy of the model."""
    model = nn.Linear(200, 100, bias=False)
    kept = torch.rand(100, 200, generator=torch.Generator().manual_seed(0)) < 0.75
    mask = PruningMask.from_tensors({"weight": kept})
    before = model.weight.detach().clone()
    attached = mask.attach(model)
    aside = attached._held._aside
    assert bytes_of(aside._weights, {id(kept): kept}) <= 4 * int((~kept).sum()) + kept.numel()
    other = PruningMask.from_tensors({"weight": torch.rand(100, 200) < 0.5})
    for moved in (other, mask):
        attached.load_state_dict(moved.attach(copy.deepcopy(model)).state_dict())
        assert torch.equal(model.weight, before * moved["weight"])


def test_values_are_plain():
    state = Training(Regrow(), rewind_step=2).go(3).attached.state_dict()

    def check(value):
        if isinstance(value, dict):
            for key, item in value.items():
                assert type(key) in (str, int)
                check(item)
        else:
            assert value is None or type(value) in (torch.Tensor, int, str, bool, float)

    assert type(state) is dict
    check(state)
    num_bits = sum(kept.numel() for kept in half_of(net()).values())
    assert state["mask"].numel() < num_bits // 8 + 600, "the mask is not packed"
    assert (state["num_steps"], state["policy"], state["seed"]) == (3, "Regrow", 0)


def test_what_is_saved_does_not_change_with_the_training():
    training = Training(Regrow(), rewind_step=2).go(3)
    state = training.attached.state_dict()
    before = copy.deepcopy(state)
    training.go(9)
    assert torch.equal(before["mask"], state["mask"])
    assert state["num_steps"] == 3


def wrong(**changes):
    return lambda state: {**state, **changes}


def without(key):
    return lambda state: {k: v for k, v in state.items() if k != key}


def of_other_layers(state):
    mask = PruningMask.from_tensors({"0.weight": torch.ones(12, 8, dtype=torch.bool)})
    return {**state, "mask": packed(mask)}


def with_another_layer(state):
    mask = {**half_of(net()), "5.weight": torch.ones(2, dtype=torch.bool)}
    return {**state, "mask": packed(PruningMask.from_tensors(mask))}


def of_another_shape(state):
    mask = {**half_of(net()), "3.weight": torch.ones(3, 11, dtype=torch.bool)}
    return {**state, "mask": packed(PruningMask.from_tensors(mask))}


def packed(mask):
    return torch.frombuffer(bytearray(mask.to_bytes()), dtype=torch.uint8)


def with_point(**changes):
    def change(state):
        return {**state, "rewind_point": {**state["rewind_point"], **changes}}

    return change


WRONG = [
    (lambda state: None, "got a NoneType, wanted what Attachment.state_dict"),
    (lambda state: [state], "got a list, wanted"),
    (lambda state: {}, "got a mapping of nothing, wanted"),
    (lambda state: net().state_dict(), "got a mapping of '0.weight', '0.bias', .* wanted what"),
    (wrong(format="lottery_ticket.attachment/9"), "got a mapping of 'format', 'mask'"),
    (without("mask"), "the state has no 'mask'"),
    (without("seed"), "the state has no 'seed'"),
    (wrong(mask="bits"), "the state's 'mask' is no packed mask"),
    (wrong(mask=torch.zeros(9, dtype=torch.uint8)), "the state's 'mask'.*"),
    (wrong(num_steps=-1), "num_steps is -1, wanted a number, 0 or more"),
    (wrong(num_steps=True), "num_steps is True"),
    (wrong(rewind_step="k"), "rewind_step is 'k'"),
    (wrong(rewind_step=7), "saved under rewind_step=7, the mask is attached with rewind_step=2"),
    (wrong(policy=None), "saved under policy=None, .* attached with policy='Regrow'"),
    (wrong(policy="Other"), "saved under policy='Other'"),
    (wrong(policy=3), "policy is 3, wanted a text"),
    (wrong(seed=[1]), r"seed is \[1\], wanted a whole number"),
    (wrong(seed=True), "seed is True"),
    (wrong(freeze_to=3), "the state's 'freeze_to' is no hashes"),
    (wrong(freeze_to={"0.weight": 3}), "the state's 'freeze_to' is no hashes"),
    (wrong(seed=3), r"saved under seed=3, .* attach\(…, seed=…\)"),
    (of_other_layers, "the state has no '3.weight'; it is of another model"),
    (with_another_layer, "the mask that is attached has no '5.weight'"),
    (of_another_shape, r"the state's mask of '3.weight' has shape \(3, 11\), the model has"),
    (wrong(rewind_point=3), "the state's 'rewind_point' is none"),
    (wrong(rewind_point={"step": 2}), "the state's 'rewind_point' is none"),
    (with_point(step=-2), "the rewind point's step is -2"),
    (with_point(weights=[]), "the rewind point's 'weights' is no mapping"),
    (with_point(weights={}), "the rewind point has no '0.weight'"),
    (with_point(weights={**net().state_dict(), "x": X}), "the model has no 'x'"),
    (
        with_point(weights={**net().state_dict(), "0.bias": torch.zeros(2)}),
        r"the rewind point's '0.bias' has shape \(2,\), the model has \(12,\)",
    ),
    (
        with_point(weights={**net().state_dict(), "0.bias": "no"}),
        "the rewind point's '0.bias' is a str, wanted a tensor",
    ),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_what_does_not_fit_is_said_and_changes_nothing(change, message):
    state = Training(Regrow(), rewind_step=2).go(4).attached.state_dict()
    training = Training(Regrow(), rewind_step=2).go(1)
    before = copy.deepcopy((training.model.state_dict(), training.optimizer.state_dict()["state"]))
    mask = training.attached.mask
    with pytest.raises(UsageError, match=message):
        training.attached.load_state_dict(change(state))
    assert training.attached.mask is mask
    assert training.attached.num_steps == 1
    for name, value in training.model.state_dict().items():
        assert torch.equal(value, before[0][name])
    training.attached.load_state_dict(state)


def test_a_detached_mask_loads_nothing_and_says_what_it_was():
    training = Training(None).go(2)
    training.attached.detach()
    state = training.attached.state_dict()
    assert state["num_steps"] == 2
    with pytest.raises(UsageError, match="load_state_dict: the mask was detached"):
        training.attached.load_state_dict(state)
