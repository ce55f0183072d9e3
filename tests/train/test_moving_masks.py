"""Masks that change during a training, under every way of executing a step.

Law 3: what is pruned is exactly zero after every step, and so is its memory. Law 14: checkpointed,
killed and continued, weights and mask are bit-equal. Law 10: all ways agree with plain autograd.
"""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from lottery_ticket.data import Split, load_dataset
from lottery_ticket.errors import TrainingError
from lottery_ticket.masks import Budget, MaskPolicy, PruningMask, asked
from lottery_ticket.models import build
from lottery_ticket.pruning import Gradual, polynomial
from lottery_ticket.train import (
    AutogradStep,
    BatchedStep,
    Batches,
    TrainState,
    checkpoint_bytes,
    make_optimizer,
    restore_,
    step_for,
    train,
    train_together,
)

STEPS, SIZE = 24, 64 * 20 + 20 * 10 + 10 * 10
FINAL = 300


class Swap(MaskPolicy):
    """Every fourth step the least kept weights make room: for those of the largest dense gradients,
    or for random ones. It starts from a random half."""

    def __init__(self, by: str) -> None:
        self.by = by

    def is_due(self, step):
        return step % 4 == 0

    def wants_gradients(self, step):
        return self.by == "gradients" and step % 4 == 0

    def next_mask(self, moment):
        if moment.step == 0:
            return {n: torch.rand(w.shape, generator=moment.generator) < 0.5
                    for n, w in moment.weights.items()}  # fmt: skip
        made = {}
        for name, kept in moment.mask.items():
            count = int(kept.sum()) // 5
            weak = moment.weights[name].abs().masked_fill(~kept, math.inf).flatten()
            left = kept.clone().flatten()
            left[weak.argsort()[:count]] = False
            if self.by == "gradients":
                wish = moment.gradients[name].abs().flatten()
            else:
                wish = torch.rand(kept.numel(), generator=moment.generator)
            left[wish.masked_fill(left, -1.0).argsort(descending=True)[:count]] = True
            made[name] = left.view(kept.shape)
        return made


POLICIES = {
    "gradual": Gradual(polynomial(1 - FINAL / SIZE, end_step=18, every_steps=2), Budget(FINAL)),
    "gradual by layer": Gradual(
        polynomial(1 - 290 / SIZE, end_step=18, every_steps=3),
        Budget(290, (("fc1.weight", 200), ("fc2.weight", 50), ("fc3.weight", 40))),
        scope="layerwise",
    ),
    "swap at random": Swap("random"),
    "swap by gradients": Swap("gradients"),
}
OPTIMIZERS = {"momentum": ("sgd", {"momentum": 0.9, "weight_decay": 1e-3}), "adam": ("adam", {})}
WAYS = ("autograd", "direct-dense", "direct-sparse", "direct", "batched")


@pytest.fixture(scope="module")
def batches():
    split = load_dataset("digits").train
    return Batches(Split(split.x[:400], split.y[:400]), 32, 0)


def state_of(optimizer, policy, seed=0):
    model = build("LeNet300", seed, input_size=64, num_classes=10, hidden=[20, 10])
    name, options = OPTIMIZERS[optimizer]
    made = make_optimizer(name, model.parameters(), lr=0.05, **options)
    state = TrainState(model, made, mask=PruningMask(model))
    if policy.is_due(0):
        state.ask_(policy, seed)
    return state


def run(way, states, batches, policy, *, until=STEPS, on_step=lambda state: None):
    """Train to a step; batched, one beside another of its own seed."""
    how = {
        "loss": F.cross_entropy, "total_steps": until, "learning_rate": lambda step: 0.05,
        "evaluate_every": 6, "evaluation_splits": {"test": batches.split},
    }  # fmt: skip
    if way == "batched":
        first = states[0]
        made = [type(first.optimizer)] * len(states)
        assert len(set(made)) == 1
        execution = BatchedStep(
            states, [s.mask for s in states], [batches] * len(states), loss=F.cross_entropy,
            make_optimizer=lambda p: copied_optimizer(first.optimizer, p),
        )  # fmt: skip
        train_together(
            states, execution, [batches] * len(states), policies=[policy] * len(states),
            policy_seeds=list(range(len(states))),
            on_step=lambda _: (execution.write_(), [on_step(s) for s in states]), **how,
        )  # fmt: skip
        assert not execution.failures
        return
    for seed, state in enumerate(states):
        execution = step_for(
            state.model, state.optimizer, state.mask, batches, loss=F.cross_entropy, kernels=way
        )
        train(state, execution, batches, policy=policy, policy_seed=seed, on_step=on_step, **how)


def copied_optimizer(optimizer, parameters):
    options = {k: v for k, v in optimizer.param_groups[0].items() if k != "params"}
    known = {"sgd": ("momentum", "weight_decay", "nesterov"), "adam": ("betas", "eps")}
    name = "sgd" if isinstance(optimizer, torch.optim.SGD) else "adam"
    given = {k: options[k] for k in known[name]}
    return make_optimizer(name, parameters, lr=options["lr"], **given)


def check_zeros(state):
    """Exactly zero where the mask in force prunes, in weights and in memory."""
    state.write_()
    for name, kept in state.mask.items():
        parameter = state.model.get_parameter(name)
        assert not parameter.detach()[~kept].any()
        for value in state.optimizer.state[parameter].values():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                assert not value[~kept].any()


def check_law_3(way, policy, optimizer, batches):
    states = [state_of(optimizer, policy, seed) for seed in (0, 1)]
    run(way, states, batches, policy, on_step=check_zeros)
    for state in states:
        check_zeros(state)
        if isinstance(policy, Gradual):
            assert state.mask.num_kept == policy.keep.total
            for name, count in policy.keep.per_layer or ():
                assert int(state.mask[name].sum()) == count
        else:
            assert state.mask.num_kept == pytest.approx(SIZE / 2, rel=0.1)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_pruned_now_is_zero_after_every_step(way, policy, optimizer, batches):
    check_law_3(way, POLICIES[policy], optimizer, batches)


def check_law_14(way, policy, optimizer, batches, stops=(3, 4, 11, 12, 17), save=checkpoint_bytes):
    """Stopped at any step and put into a fresh state: the same mask and weights, to the bit."""
    whole = [state_of(optimizer, policy, seed) for seed in (0, 1)]
    run(way, whole, batches, policy)
    for stop in stops:
        begun = [state_of(optimizer, policy, seed) for seed in (0, 1)]
        run(way, begun, batches, policy, until=stop)
        saved = [save(state) for state in begun]
        again = [state_of(optimizer, policy, seed) for seed in (0, 1)]
        for state, data, before in zip(again, saved, begun, strict=True):
            restore_(state, data)
            state.history = [r for r in state.history if r["step"] % 6 == 0]
            assert state.mask == before.mask
        run(way, again, batches, policy)
        for state, wanted in zip(again, whole, strict=True):
            assert state.mask == wanted.mask
            for name, value in wanted.model.state_dict().items():
                assert torch.equal(state.model.state_dict()[name], value), (stop, name)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("way", WAYS)
def test_a_moving_mask_is_state(way, policy, batches):
    check_law_14(way, POLICIES[policy], "momentum", batches)


@pytest.mark.parametrize("way", ["autograd", "direct", "batched"])
def test_a_moving_mask_is_state_with_adam(way, batches):
    check_law_14(way, POLICIES["swap at random"], "adam", batches, stops=(5, 8))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("way", WAYS[1:])
def test_all_ways_agree(way, policy, batches):
    """Rounding may turn a near tie: few weights may differ, and the course does not."""
    plain, other = ([state_of("momentum", POLICIES[policy], s) for s in (0, 1)] for _ in range(2))
    run("autograd", plain, batches, POLICIES[policy])
    run(way, other, batches, POLICIES[policy])
    for one, two in zip(plain, other, strict=True):
        apart = sum(int((one.mask[name] != two.mask[name]).sum()) for name in one.mask)
        assert apart <= 0.02 * SIZE
        assert two.history[-1]["test_loss"] == pytest.approx(one.history[-1]["test_loss"], rel=0.02)


@pytest.mark.parametrize("policy", POLICIES)
def test_attached_to_ones_own_loop_it_does_the_same(policy, batches):
    """`mask.attach(…, policy=…)`, to the bit."""
    (wanted,) = states = [state_of("momentum", POLICIES[policy])]
    run("autograd", states, batches, POLICIES[policy])
    model = build("LeNet300", 0, input_size=64, num_classes=10, hidden=[20, 10])
    optimizer = make_optimizer("sgd", model.parameters(), lr=0.05, **OPTIMIZERS["momentum"][1])
    dense = PruningMask(model)
    with dense.attach(model, optimizer, policy=POLICIES[policy]) as attached:
        while attached.num_steps < STEPS:
            for x, y in batches.epoch(attached.num_steps // batches.steps_per_epoch):
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
                if attached.num_steps == STEPS:
                    break
        assert attached.mask == wanted.mask
    for name, value in wanted.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_gradients_of_several_backward_passes_are_summed(batches):
    """Those of pruned weights too, which no optimiser ever sees."""
    seen = []

    class Looks(MaskPolicy):
        def is_due(self, step):
            return step == 1

        def wants_gradients(self, step):
            return step == 1

        def next_mask(self, moment):
            seen.append({name: value.clone() for name, value in moment.gradients.items()})

    model = build("LeNet300", 0, input_size=64, num_classes=10, hidden=[20, 10])
    mask = PruningMask.from_tensors({"fc1.weight": torch.rand(20, 64) < 0.3})
    mask.apply(model)
    parts = list(batches.epoch(0))[:3]
    wanted = torch.zeros(20, 64)
    for x, y in parts:
        wanted += torch.autograd.grad(F.cross_entropy(model(x), y), model.fc1.weight)[0]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mask.attach(model, optimizer, policy=Looks()):
        for x, y in parts:
            F.cross_entropy(model(x), y).backward()
        assert not model.fc1.weight.grad[~mask["fc1.weight"]].any()
        optimizer.step()
    torch.testing.assert_close(seen[0]["fc1.weight"], wanted)


# engines that break a law


def answers_by(monkeypatch, impose):
    """A training that takes what a policy says, and imposes it in its own way."""

    def ask_(state, policy, seed, gradients=None):
        model, optimizer = state.model, state.optimizer
        found, _ = asked(policy, state.step, model, optimizer, state.mask, seed, gradients)
        if found is not None:
            state.mask = found
            impose(found, model)
        return found is not None

    monkeypatch.setattr(TrainState, "ask_", ask_)


def imposes_nothing(monkeypatch):
    answers_by(monkeypatch, lambda mask, model: None)


def masks_as_before(monkeypatch):
    monkeypatch.setattr(AutogradStep, "take_mask_", lambda step, mask: None)


def batches_mask_as_before(monkeypatch):
    monkeypatch.setattr(BatchedStep, "take_mask_", lambda step, index, mask: None)


def keeps_the_memory(monkeypatch):
    answers_by(monkeypatch, lambda mask, model: mask.apply(model))


@pytest.mark.parametrize(
    ("way", "wrong", "policy"),
    [
        ("autograd", imposes_nothing, "gradual"),
        ("autograd", masks_as_before, "gradual"),
        ("autograd", keeps_the_memory, "swap at random"),
        ("batched", batches_mask_as_before, "gradual"),
        ("direct-dense", imposes_nothing, "gradual"),
    ],
)
def test_engines_that_do_not_hold_a_new_mask_are_caught(way, wrong, policy, batches, monkeypatch):
    wrong(monkeypatch)
    with pytest.raises(AssertionError):
        check_law_3(way, POLICIES[policy], "momentum", batches)


def without_its_mask(state):
    """A checkpoint of a dense mask."""
    other = copy.copy(state)
    ones = {name: torch.ones_like(kept) for name, kept in state.mask.items()}
    other.mask = PruningMask.from_tensors(ones)
    return checkpoint_bytes(other)


class Remembers(Swap):
    """Draws from one stream of its own, whatever the step."""

    def __init__(self) -> None:
        super().__init__("random")
        self.own = torch.Generator().manual_seed(0)

    def next_mask(self, moment):
        return super().next_mask(type(moment)(**{**vars(moment), "generator": self.own}))


def test_a_checkpoint_without_its_mask_is_caught(batches):
    with pytest.raises(AssertionError):
        check_law_14(
            "autograd", POLICIES["gradual"], "momentum", batches, (11,), save=without_its_mask
        )


def test_a_policy_that_remembers_is_caught(batches):
    with pytest.raises(AssertionError):
        check_law_14("autograd", Remembers(), "momentum", batches, stops=(11,))


class Wrong(MaskPolicy):
    def __init__(self, make):
        self.make = make

    def next_mask(self, moment):
        return self.make(moment)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda m: {"fc1.weight": m.mask["fc1.weight"]},
            "a mask of other parameters: 'fc2.weight'",
        ),
        (lambda m: {n: k[:1] for n, k in m.mask.items()}, r"has shape \(1, 64\), wanted"),
        (lambda m: m.gradients["fc1.weight"], "failed at step 0: TypeError"),
        (lambda m: 3, "failed at step 0"),
    ],
)
def test_what_is_no_mask_is_said(make, said):
    with pytest.raises(TrainingError, match=said):
        state_of("momentum", Wrong(make))
