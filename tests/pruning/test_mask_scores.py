"""Scores that are trained in place of weights: supermasks and edge-popup.

Laws: no weight ever changes; masks keep exactly as many as asked for; the gradient of a score is
the straight-through one; a training that was killed continues bit for bit.
"""

import copy
import math
import pickle
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lottery_ticket.data import Split, load_dataset
from lottery_ticket.errors import TrainingError, UsageError
from lottery_ticket.masks import Budget, PruningMask, select
from lottery_ticket.models import build
from lottery_ticket.pruning import EdgePopup, MaskScores, Sampled, Supermask
from lottery_ticket.train import (
    Batches,
    TrainState,
    checkpoint_bytes,
    make_optimizer,
    restore_,
    step_for,
    train,
)

SIZE, KEPT, STEPS = 64 * 20 + 20 * 10 + 10 * 10, 300, 24
LAYERS = Budget(KEPT, (("fc1.weight", 200), ("fc2.weight", 60), ("fc3.weight", 40)))
POLICIES = {
    "supermask": Supermask(Budget(KEPT)),
    "supermask by layer": Supermask(LAYERS, values="initial"),
    "supermask at θ₀": Supermask(Budget(KEPT), values="initial", rescale=False),
    "edge_popup": EdgePopup(Budget(KEPT)),
    "edge_popup by layer": EdgePopup(LAYERS, rescale=False),
}


@pytest.fixture(scope="module")
def batches():
    split = load_dataset("digits").train
    return Batches(Split(split.x[:400], split.y[:400]), 32, 0)


def net(seed=0):
    return build("LeNet300", seed, input_size=64, num_classes=10, hidden=[20, 10])


def weights_in(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def trained(scores, model, batches, *, steps=STEPS, also=()):
    """A loop as anyone's."""
    rates = [*scores.parameters(), *also]
    optimizer = torch.optim.SGD(rates, lr=scores.policy.lr, momentum=0.9, weight_decay=1e-4)
    order = batches.order(0, 0)
    for _ in range(steps):
        x, y = batches.take(next(order, None) or next(order := batches.order(0, 0)))
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
    return scores


# weights never change


def check_weights_stay(policy, batches, also=lambda model: ()):
    model = net()
    before = weights_in(model)
    fixed = {
        n: w.clone() for n, w in policy.fixed({n: before[n] for n in PruningMask(model)}).items()
    }
    scores = MaskScores(model, policy)
    trained(scores, model, batches, also=also(model))
    scores.detach()
    mask = scores.mask
    assert mask.num_kept == KEPT
    assert any(bool(kept.any()) for kept in mask.values())
    for name, value in weights_in(model).items():
        if name in mask:
            assert torch.equal(value[mask[name]], fixed[name][mask[name]])
            assert torch.equal(value[~mask[name]], torch.zeros(int((~mask[name]).sum())))
            assert not value[~mask[name]].signbit().any()
        else:
            assert torch.equal(value, before[name])


@pytest.mark.parametrize("policy", POLICIES)
def test_weights_never_change(policy, batches):
    check_weights_stay(POLICIES[policy], batches)


def test_an_optimizer_of_the_model_moves_nothing_either(batches):
    """Its weights have no gradient: one that holds them too does not even decay them."""
    check_weights_stay(POLICIES["edge_popup"], batches, also=lambda model: model.parameters())


def test_kept_weights_at_theta_0_are_theta_0():
    policy, weights = POLICIES["supermask at θ₀"], weights_in(net())
    fixed = policy.fixed(weights)
    assert all(torch.equal(fixed[name], value) for name, value in weights.items())


@dataclass(frozen=True)
class Drifts(EdgePopup):
    """Moves a weight in each step."""

    def initial(self, weights, generator):
        object.__setattr__(self, "held", weights)
        return super().initial(weights, generator)

    def sampled(self, scores, generator):
        for weight in self.held.values():
            weight.mul_(1.0001)
        return super().sampled(scores, generator)


def test_weights_that_drift_are_caught(batches):
    with pytest.raises(AssertionError):
        check_weights_stay(Drifts(Budget(KEPT)), batches)


def trains_biases(model):
    for bias in (p for name, p in model.named_parameters() if name.endswith("bias")):
        yield bias.requires_grad_(True)


def test_biases_that_are_trained_are_caught(batches):
    with pytest.raises(AssertionError):
        check_weights_stay(POLICIES["edge_popup"], batches, also=trains_biases)


@pytest.mark.parametrize("values", ["signed_constant", "initial"])
def test_what_weights_are_fixed_at(values):
    before = {n: w for n, w in weights_in(net()).items() if n.endswith("weight")}
    for policy in (Supermask(Budget(KEPT), values), EdgePopup(LAYERS, values)):
        fixed = policy.fixed(before)
        for name, weight in before.items():
            kept = KEPT / SIZE if policy.keep.per_layer is None else dict(LAYERS.per_layer)[name]
            share = kept if policy.keep.per_layer is None else kept / weight.numel()
            scale = 1 / math.sqrt(share)
            wanted = weight * scale
            if values == "signed_constant":
                wanted = torch.where(weight < 0, -1.0, 1.0) * weight.std(correction=0) * scale
            torch.testing.assert_close(fixed[name], wanted)


# exact counts


@given(
    st.lists(st.sampled_from([-2.0, -0.0, 0.0, 1.0, 1.5, 7.0]), min_size=6, max_size=6),
    st.integers(0, 10),
    st.booleans(),
)
def test_counts_are_exact_and_ties_go_to_the_lower_index(values, count, is_layerwise):
    scores = {"a": torch.tensor(values).view(2, 3), "b": torch.tensor([1.0, -2.0, 1.0, 0.0])}
    keep = Budget(count)
    if is_layerwise:
        keep = Budget(count, (("a", min(count, 6)), ("b", count - min(count, 6))))
    every = {name: torch.ones_like(score, dtype=torch.bool) for name, score in scores.items()}
    for policy, seen in (
        (Supermask(keep), scores),
        (EdgePopup(keep), {n: s.abs() for n, s in scores.items()}),
    ):
        found = policy.kept(scores)
        assert found.num_kept == count
        assert found == select(seen, PruningMask.from_tensors(every), keep)


def test_edge_popup_keeps_exactly_as_many_in_each_step(batches):
    model = net()
    scores = MaskScores(model, POLICIES["edge_popup"])
    for _ in range(3):
        model(batches.split.x[:8]).sum().backward()
        assert sum(int((p != 0).sum()) for p in map(model.get_parameter, scores.mask)) == KEPT


@pytest.mark.parametrize("policy", ["supermask", "supermask by layer"])
def test_a_supermask_keeps_as_many_on_average(policy, batches):
    """Before each draw scores are shifted, of all layers or of each."""
    model, chances = net(), []
    scores = MaskScores(model, POLICIES[policy])
    trained(scores, model, batches)
    kept = []
    for _ in range(3):
        model(batches.split.x[:8]).sum().backward()  # draws anew in each pass
        chances.append({n: float(s.detach().sigmoid().sum()) for n, s in scores.scores.items()})
        kept.append(sum(int((model.get_parameter(n) != 0).sum()) for n in scores.scores))
    assert sum(chances[-1].values()) == pytest.approx(KEPT, rel=0.05)
    if "layer" in policy:
        assert chances[-1] == pytest.approx(dict(LAYERS.per_layer), rel=0.1)
    assert kept[-1] == pytest.approx(KEPT, rel=0.2)


# the straight-through gradient


def straight_through(model, fixed, scores, sampled, x, y):
    """By autograd: the mask of the step, with the derivative of what stands for it."""
    stands = {
        "supermask": lambda s: s.sigmoid(), "edge_popup": lambda s: s.abs(),
    }  # fmt: skip
    leaves = {name: score.detach().clone().requires_grad_() for name, score in scores.items()}
    weights = {}
    for name, score in leaves.items():
        smooth = stands[sampled](score)
        mask = (model.get_parameter(name).detach() != 0).float()
        weights[name] = fixed[name] * (mask + smooth - smooth.detach())
    output = torch.func.functional_call(model, weights, (x,))
    F.cross_entropy(output, y).backward()
    return {name: leaf.grad for name, leaf in leaves.items()}


def check_gradients(policy, like, batches):
    model = net()
    scores = MaskScores(model, policy)
    trained(scores, model, batches, steps=3)
    x, y = batches.split.x[:32], batches.split.y[:32]
    F.cross_entropy(model(x), y).backward()
    found = {name: score.grad.clone() for name, score in scores.scores.items()}
    hooks_off = net()
    hooks_off.load_state_dict(model.state_dict())
    wanted = straight_through(hooks_off, scores.weights, scores.scores, like, x, y)
    for name, gradient in wanted.items():
        assert gradient.abs().sum() > 0
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_gradient_goes_straight_through(policy, batches):
    check_gradients(POLICIES[policy], policy.split()[0], batches)


@dataclass(frozen=True)
class NoSlope(Supermask):
    """As if the chance were the score."""

    def sampled(self, scores, generator):
        mask, slope = super().sampled(scores, generator)
        return Sampled(mask, {name: torch.ones_like(value) for name, value in slope.items()})


@dataclass(frozen=True)
class KeptAlone(EdgePopup):
    """Pruned weights learn nothing, and never come back."""

    def sampled(self, scores, generator):
        mask, slope = super().sampled(scores, generator)
        return Sampled(mask, {name: value * mask[name] for name, value in slope.items()})


@pytest.mark.parametrize(("wrong", "like"), [(NoSlope, "supermask"), (KeptAlone, "edge_popup")])
def test_other_gradients_are_caught(wrong, like, batches):
    with pytest.raises(AssertionError):
        check_gradients(wrong(Budget(KEPT)), like, batches)


def test_gradients_add_up_until_they_are_cleared(batches):
    x, y = batches.split.x[:32], batches.split.y[:32]

    def gradients(parts):
        model = net()
        scores = MaskScores(model, POLICIES["edge_popup"], seed=1)
        for part in parts:
            F.cross_entropy(model(x[part]), y[part], reduction="sum").backward()
        return [score.grad for score in scores.parameters()]

    whole, halves = gradients([slice(0, 32)]), gradients([slice(0, 16), slice(16, 32)])
    for one, other in zip(whole, halves, strict=True):
        torch.testing.assert_close(one, other)


# in anyone's loop


def test_looking_at_the_model_between_passes_changes_nothing(batches):
    def run(looks):
        model = net()
        scores = MaskScores(model, POLICIES["supermask"], seed=3)
        optimizer = torch.optim.SGD(scores.parameters(), lr=100.0)
        for row in range(4):
            x, y = batches.split.x[32 * row :][:32], batches.split.y[32 * row :][:32]
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if looks:
                with torch.inference_mode():
                    model.eval()(x)
                assert sum(int((model.get_parameter(n) != 0).sum()) for n in scores.mask) == KEPT
                model.train()
                scores.write_()
        scores.detach()
        return weights_in(model)

    plain, looked = run(looks=False), run(looks=True)
    assert all(torch.equal(looked[name], value) for name, value in plain.items())


def test_two_passes_and_one_step_see_one_mask():
    model = net()
    MaskScores(model, POLICIES["supermask"])
    x = torch.rand(4, 64)
    first, second = model(x), model(x)
    assert torch.equal(first, second)
    (first.sum() + second.sum()).backward()
    assert not torch.equal(model(x), first)


def test_detached_it_is_a_plain_model_again(batches):
    model = net()
    model.fc1.bias.requires_grad_(False)
    names = list(model.state_dict())
    with MaskScores(model, "edge_popup", density=0.1) as scores:
        assert [n for n, p in model.named_parameters() if p.requires_grad] == list(scores.mask)
        trained(scores, model, batches, steps=2)
    assert list(model.state_dict()) == names
    trains = {name: p.requires_grad for name, p in model.named_parameters()}
    assert trains == {name: name != "fc1.bias" for name in trains}
    assert not model._forward_pre_hooks
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = weights_in(model)
    F.cross_entropy(model(batches.split.x), batches.split.y).backward()
    optimizer.step()
    assert not torch.equal(before["fc1.weight"], model.fc1.weight)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_of_the_model_train_scores_of_their_own(copied, batches):
    x, y = batches.split.x[:32], batches.split.y[:32]
    model = net()
    scores = MaskScores(model, POLICIES["supermask"])
    F.cross_entropy(model(x), y).backward()
    other = copied(model)
    assert torch.equal(other(x), model(x))
    (hook,) = other._forward_pre_hooks.values()
    before = [score.grad.clone() for score in scores.parameters()]
    F.cross_entropy(other(x), y).backward()
    own = hook.__self__
    assert own is not scores
    assert all(not torch.equal(s.grad, g) for s, g in zip(own.parameters(), before, strict=True))
    assert all(torch.equal(s.grad, g) for s, g in zip(scores.parameters(), before, strict=True))
    own.detach()
    assert not other._forward_pre_hooks
    assert len(model._forward_pre_hooks) == 1
    assert torch.equal(other.eval()(x), model.eval()(x))


def test_scores_continue_from_their_state(batches):
    def begun(seed=5):
        model = net()
        return model, MaskScores(model, POLICIES["supermask"], seed=seed)

    def go_on(model, scores, rows):
        optimizer = torch.optim.SGD(scores.parameters(), lr=100.0)
        for row in rows:
            x, y = batches.split.x[32 * row :][:32], batches.split.y[32 * row :][:32]
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()

    model, scores = begun()
    go_on(model, scores, range(3))
    saved = {k: v if k == "num_draws" else {n: t.clone() for n, t in v.items()}
             for k, v in scores.state_dict().items()}  # fmt: skip
    go_on(model, scores, range(3, 6))
    other, again = begun()
    again.load_state_dict(saved)
    go_on(other, again, range(3, 6))
    assert again.mask == scores.mask
    for one, two in zip(scores.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_convolutions_and_norms(memory_format):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 4),
    ).to(memory_format=memory_format)  # fmt: skip
    norm = weights_in(model[1])
    with MaskScores(model, "edge_popup", density=0.3) as scores:
        fixed = {name: w.clone() for name, w in scores.weights.items()}
        optimizer = make_optimizer("sgd", scores.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            model(torch.rand(8, 3, 8, 8)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert scores.mask.num_kept == round(0.3 * (8 * 27 + 32))
    assert all(torch.equal(model[1].state_dict()[n], value) for n, value in norm.items())
    assert model[1].num_batches_tracked == 3
    for name, kept in scores.mask.items():
        assert torch.equal(model.get_parameter(name), fixed[name] * kept)


# in the library's loop: a killed training


def state_of(policy, optimizer="sgd"):
    model = net()
    mask = PruningMask(model)
    scores = MaskScores(model, policy, mask=mask, seed=7)
    options = {"momentum": 0.9} if optimizer == "sgd" else {}
    made = make_optimizer(optimizer, scores.parameters(), lr=policy.lr, **options)
    return TrainState(model, made, mask=mask, scores=scores)


def run(state, batches, until=STEPS):
    execution = step_for(
        state.model, state.optimizer, state.mask, batches, loss=F.cross_entropy,
        scores=state.scores, clip_norm=0.5,
    )  # fmt: skip
    train(
        state, execution, batches, loss=F.cross_entropy, total_steps=until,
        learning_rate=lambda step: state.scores.policy.lr, evaluate_every=6,
        evaluation_splits={"test": batches.split},
    )  # fmt: skip


def check_continues(policy, batches, optimizer="sgd", save=checkpoint_bytes):
    whole = state_of(policy, optimizer)
    run(whole, batches)
    assert whole.mask.num_kept == KEPT
    for stop in (1, 6, 13):
        begun = state_of(policy, optimizer)
        run(begun, batches, stop)
        again = state_of(policy, optimizer)
        restore_(again, save(begun))
        assert again.mask == begun.mask
        run(again, batches)
        assert again.mask == whole.mask
        for name, score in whole.scores.scores.items():
            assert torch.equal(again.scores.scores[name], score), (stop, name)
        for name, value in whole.model.state_dict().items():
            assert torch.equal(again.model.state_dict()[name], value), (stop, name)
        assert again.history[-1] == whole.history[-1]


@pytest.mark.parametrize("policy", POLICIES)
def test_scores_are_state(policy, batches):
    check_continues(POLICIES[policy], batches)


def test_scores_are_state_with_adam(batches):
    check_continues(Supermask(Budget(KEPT), lr=0.5), batches, "adam")


def forgets_the_scores(state):
    data = state.scores.scores
    kept = {name: score.detach().clone() for name, score in data.items()}
    with torch.no_grad():
        for score in data.values():
            score.zero_()
    saved = checkpoint_bytes(state)
    state.scores.load_state_dict({"scores": kept, "num_draws": state.step})
    state.write_()
    return saved


def test_checkpoints_without_scores_are_caught(batches):
    with pytest.raises(AssertionError):
        check_continues(POLICIES["supermask"], batches, save=forgets_the_scores)


# refusals


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"policy": "edge_popup"}, "density: policy 'edge_popup' wants to know"),
        ({"policy": "edge_popup", "density": 1.5}, "density"),
        ({"policy": "edge_pop", "density": 0.5}, "wanted a ScorePolicy or one of"),
        ({"policy": "rigl", "density": 0.5}, "PruningMask.attach"),
        ({"policy": "supermask", "density": 0.5, "values": "fresh"}, "values: got 'fresh'"),
        ({"policy": "supermask", "density": 0.5, "lr": -1.0}, "lr: got -1.0"),
        ({"policy": "supermask", "density": 0.5, "schedule": "step"}, "schedule: got 'step'"),
        ({"policy": "supermask", "density": 0.5, "rescale": 2}, "rescale: got 2"),
        ({"policy": "supermask", "density": 0.5, "scope": "erq"}, "scope"),
        ({"policy": Supermask(Budget(3)), "density": 0.5}, "those of a policy by name"),
        ({"policy": Supermask(Budget(SIZE + 1))}, "keep"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, said):
    model = net()
    before = weights_in(model)
    with pytest.raises(UsageError, match=said):
        MaskScores(model, **arguments)
    assert all(torch.equal(before[name], value) for name, value in weights_in(model).items())
    assert not model._forward_pre_hooks
    assert all(p.requires_grad for p in model.parameters())


def test_a_model_is_wanted():
    with pytest.raises(UsageError, match=r"wanted a torch\.nn\.Module"):
        MaskScores([net()], "edge_popup", density=0.5)


def test_attach_says_what_to_use():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(TrainingError, match="use MaskScores"):
        PruningMask(model).attach(model, optimizer, policy=POLICIES["supermask"])


def test_a_state_of_another_model_is_refused():
    scores = MaskScores(torch.nn.Linear(3, 2), "edge_popup", density=0.5)
    with pytest.raises(UsageError, match="got shape"):
        scores.load_state_dict(MaskScores(net(), "edge_popup", density=0.5).state_dict())


def test_scores_that_are_no_numbers_are_said():
    scores = {"weight": torch.tensor([1.0, float("nan")])}
    with pytest.raises(TrainingError, match="lower learning rate"):
        EdgePopup(Budget(1)).kept(scores)
