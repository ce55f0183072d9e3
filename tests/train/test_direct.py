"""Law 10: direct execution, dense and sparse, trains as masked autograd does."""

import copy
import dataclasses
import inspect
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from ways import train_by_autograd

from lottery_ticket import UsageError
from lottery_ticket.data import Split
from lottery_ticket.masks import Budget, MaskedParameters, PruningMask, prunable_sizes
from lottery_ticket.models import build
from lottery_ticket.pruning import next_mask
from lottery_ticket.train import (
    LOSSES,
    Batches,
    TrainState,
    checkpoint_bytes,
    evaluate,
    make_optimizer,
    restore_,
    step_for,
    train,
)
from lottery_ticket.train.direct.chain import chain_of
from lottery_ticket.train.direct.layout import layouts_of
from lottery_ticket.train.direct.step import DirectStep

OPTIMIZERS = {
    "SGD": ("sgd", {"weight_decay": 0.1}),
    "momentum": ("sgd", {"momentum": 0.9, "weight_decay": 0.01}),
    "Nesterov": ("sgd", {"momentum": 0.9, "nesterov": True}),
    "Adam": ("adam", {"weight_decay": 0.1}),
    "AdamW": ("adamw", {"weight_decay": 0.1}),
}
KERNELS = ("direct", "direct-dense", "direct-sparse")


def maker(optimizer, lr=0.05):
    name, options = OPTIMIZERS[optimizer]
    return lambda parameters: make_optimizer(name, parameters, lr=lr, **options)


def net_of(widths, activation, has_bias):
    layers = [nn.Flatten()]
    for num_inputs, num_outputs in itertools.pairwise(widths):
        layers += [nn.Linear(num_inputs, num_outputs, bias=has_bias), activation()]
    return nn.Sequential(*layers[:-1])


def random_split(num_examples, num_inputs, num_classes):
    x = torch.randn(num_examples, num_inputs)
    return Split(x, torch.randint(num_classes, (num_examples,)))


def random_mask(model, densities):
    """Each layer at its density, with some units that nothing reads and some that read nothing."""
    layers = {}
    for (name, kept), density in zip(PruningMask(model).items(), densities, strict=True):
        drawn = torch.rand(kept.shape) < density
        drawn[torch.rand(len(drawn)) < 0.2] = False
        drawn[:, torch.rand(drawn.shape[1]) < 0.2] = False
        layers[name] = drawn
    return PruningMask.from_tensors(layers)


def trained(
    model,
    mask,
    split,
    *,
    kernels,
    optimizer,
    clip_norm=None,
    precision="fp32",
    steps=9,
    on_step=None,
    begin=lambda state: None,
    step_for=step_for,
):
    """A copy of the model, and its optimiser, after a training in one way of execution."""
    model = copy.deepcopy(model)
    mask.apply(model)
    state = TrainState(model, maker(optimizer)(model.parameters()))
    begin(state)
    batches = Batches(split, 16, order_seed=0)
    step = step_for(
        model, state.optimizer, mask, batches,
        loss=F.cross_entropy, clip_norm=clip_norm, precision=precision, kernels=kernels,
    )  # fmt: skip
    train(
        state, step, batches, loss=F.cross_entropy, total_steps=steps,
        learning_rate=lambda step: 0.05 / (1 + step), evaluate_every=4,
        evaluation_splits={"val": split}, on_step=on_step or (lambda state: None),
    )  # fmt: skip
    return state


def states_of(state):
    """Everything a training ends with, by name."""
    found = {}
    for name, parameter in state.model.named_parameters():
        found[name] = parameter.detach()
        for key, value in state.optimizer.state[parameter].items():
            found[f"{key} of {name}"] = value
    return found


def check_as_autograd(mask, wanted, found):
    """Same values within 1e-4 (relative, and of each tensor's largest), exact zeros where pruned,
    same history."""
    values, expected = states_of(found), states_of(wanted)
    assert values.keys() == expected.keys()
    for name, value in values.items():
        assert value.shape == expected[name].shape
        scale = float(expected[name].abs().max()) if value.numel() else 0.0
        torch.testing.assert_close(
            value, expected[name], rtol=1e-4, atol=1e-4 * scale + 1e-7, msg=lambda m, n=name: n + m
        )
        layer = name.split(" of ")[-1]
        if layer in mask and value.ndim:
            assert not value.view(torch.int32)[~mask[layer]].any(), f"{name} where pruned"
    for record, other in zip(found.history, wanted.history, strict=True):
        assert record.keys() == other.keys()
        assert record["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
        assert record["val_loss"] == pytest.approx(other["val_loss"], rel=1e-4)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    widths=st.lists(st.integers(1, 20), min_size=2, max_size=4),
    density=st.lists(st.sampled_from([0.05, 0.3, 0.7, 1.0]), min_size=3, max_size=3),
    activation=st.sampled_from([nn.ReLU, nn.Tanh]),
    has_bias=st.booleans(),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    clip_norm=st.sampled_from([None, 0.1]),
)
def test_trains_as_autograd_does(seed, widths, density, activation, has_bias, optimizer, clip_norm):
    torch.manual_seed(seed)
    model = net_of(widths, activation, has_bias)
    mask = random_mask(model, density[: len(widths) - 1])
    split = random_split(40, widths[0], widths[-1])
    options = {"optimizer": optimizer, "clip_norm": clip_norm}
    wanted = trained(model, mask, split, kernels="autograd", **options)
    for kernels in KERNELS:
        found = trained(model, mask, split, kernels=kernels, **options)
        assert found.execution.description["step"] == "direct"
        check_as_autograd(mask, wanted, found)


def check_digits(split, steps=40, step_for=step_for):
    """A net with dormant and constant units, on real digits, under momentum and weight decay."""
    torch.manual_seed(3)
    model = build("LeNet300", 1, input_size=64, hidden=[40, 20])
    mask = random_mask(model, [0.1, 0.2, 0.7])
    options = {"optimizer": "momentum", "steps": steps}
    wanted = trained(model, mask, split, kernels="autograd", **options)
    found = trained(model, mask, split, kernels="direct", step_for=step_for, **options)
    check_as_autograd(mask, wanted, found)
    layers = {
        name: next_mask("magnitude", mask, Budget(mask.num_kept // 2), weights=s.model.state_dict())
        for name, s in (("wanted", wanted), ("found", found))
    }
    assert layers["found"] == layers["wanted"], "the next masks differ"


def test_digits_train_as_by_autograd_down_to_the_next_mask(few_digits):
    check_digits(few_digits)


def laid_out_by(lay_out):
    """Direct steps whose layers lie otherwise than by the rule."""

    def step_for(model, *training, kernels, **options):
        return DirectStep(chain_of(model), model, *training, lay_out=lay_out, **options)

    return step_for


def changed_layouts(change):
    """Two layers in CSR and a dense one, with something done to each."""

    def lay_out(masks):
        mixed = [*layouts_of(masks, sparse=True)[:2], layouts_of(masks, sparse=False)[2]]
        return [change(layout) for layout in mixed]

    return laid_out_by(lay_out)


def test_both_kinds_of_layer_in_one_net(few_digits):
    check_digits(few_digits, step_for=changed_layouts(lambda layout: layout))


def forgets_dormant_weights(layout):
    num = layout.num_executed
    return dataclasses.replace(layout, positions=layout.positions[:num], kept=layout.kept[:num])


def forgets_dormant_biases(layout):
    return dataclasses.replace(layout, dormant_outputs=layout.dormant_outputs[:0])


def forgets_the_order_by_columns(layout):
    if layout.pattern is None:
        return layout
    order = torch.arange(len(layout.pattern.by_column))
    return dataclasses.replace(layout, pattern=dataclasses.replace(layout.pattern, by_column=order))


def does_not_mask(layout):
    return dataclasses.replace(layout, kept=torch.ones_like(layout.kept))


@pytest.mark.parametrize(
    "change",
    [
        forgets_dormant_weights,
        forgets_dormant_biases,
        forgets_the_order_by_columns,
        does_not_mask,
    ],
)
def test_wrong_layouts_are_caught(change, few_digits):
    with pytest.raises(AssertionError):
        check_digits(few_digits, step_for=changed_layouts(change))


def test_cutting_constant_units_is_caught(few_digits):
    """A unit that reads nothing still has a bias, and is read."""

    def cut(masks):
        masks = [kept.clone() for kept in masks]
        for before, after in itertools.pairwise(masks):
            after[:, ~before.any(1)] = False
        return layouts_of(masks)

    with pytest.raises(AssertionError):
        check_digits(few_digits, step_for=laid_out_by(cut))


@pytest.mark.parametrize("first", ["autograd", *KERNELS])
@pytest.mark.parametrize("then", ["autograd", *KERNELS])
def test_a_checkpoint_continues_in_any_way_and_the_same_way_to_the_bit(first, then, few_digits):
    torch.manual_seed(5)
    model = build("LeNet300", 1, input_size=64, hidden=[30, 10])
    mask = random_mask(model, [0.2, 0.2, 0.7])
    saved = []

    def on_step(state):
        if state.step == 7:
            saved.append(checkpoint_bytes(state))

    whole = trained(model, mask, few_digits, kernels=first, optimizer="Adam", on_step=on_step)
    other = copy.deepcopy(model)
    state = TrainState(other, maker("Adam")(other.parameters()))
    restore_(state, saved[0])
    batches = Batches(few_digits, 16, order_seed=0)
    step = step_for(
        other, state.optimizer, mask, batches,
        loss=F.cross_entropy, kernels=then,
    )  # fmt: skip
    train(
        state, step, batches, loss=F.cross_entropy, total_steps=9,
        learning_rate=lambda step: 0.05 / (1 + step), evaluate_every=4,
        evaluation_splits={"val": few_digits},
    )  # fmt: skip
    check_as_autograd(mask, whole, state)
    if first == then:
        assert all(torch.equal(v, states_of(whole)[n]) for n, v in states_of(state).items())
        assert state.history == whole.history


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("loss", ["mse", "nll"])
def test_other_losses(loss, kernels):
    torch.manual_seed(0)
    model = net_of([5, 30, 4], nn.Tanh, True)
    mask = random_mask(model, [0.5, 0.5])
    mask.apply(model)
    y = torch.randn(40, 4) if loss == "mse" else torch.randint(4, (40,))
    split = Split(torch.randn(40, 5), y)
    batches = Batches(split, 16, order_seed=0)
    states = []
    for way in ("autograd", kernels):
        copied = copy.deepcopy(model)
        state = TrainState(copied, maker("SGD")(copied.parameters()))
        step = step_for(
            copied, state.optimizer, mask, batches,
            loss=LOSSES[loss], kernels=way,
        )  # fmt: skip
        train(
            state, step, batches, loss=LOSSES[loss], total_steps=9,
            learning_rate=lambda step: 0.01, evaluate_every=9, evaluation_splits={"val": split},
        )  # fmt: skip
        states.append(state)
    check_as_autograd(mask, *states)


def test_it_evaluates_what_it_has_trained(few_digits):
    model = build("LeNet300", 1, input_size=64, hidden=[30, 10])
    mask = random_mask(model, [0.2, 0.2, 0.7])
    state = trained(model, mask, few_digits, kernels="direct", optimizer="Adam")
    by_model = evaluate(state.model, few_digits, F.cross_entropy)
    by_step = state.measured["val"]
    assert by_step.loss == pytest.approx(by_model.loss, rel=1e-5)
    assert torch.equal(by_step.correct, by_model.correct)


def test_a_nan_is_seen(few_digits):
    from lottery_ticket.errors import TrainingError

    x = few_digits.x.clone()
    x[7, 12] = float("nan")
    model = build("LeNet300", 1, input_size=64, hidden=[30, 10])
    for kernels in KERNELS:
        with pytest.raises(TrainingError, match="the training loss became nan at step"):
            trained(
                model, PruningMask(model), Split(x, few_digits.y), kernels=kernels, steps=30,
                optimizer="SGD",
            )  # fmt: skip


def test_classes_that_do_not_exist_are_refused_by_torch(few_digits):
    model = build("LeNet300", 1, input_size=64, num_classes=9, hidden=[30, 10])
    with pytest.raises(IndexError, match="Target 9 is out of bounds"):
        trained(model, PruningMask(model), few_digits, kernels="direct", optimizer="SGD")


def test_what_cannot_be_direct_is_said(few_images):
    model = build("Conv2", 0)
    batches = Batches(few_images, 16, order_seed=0)
    optimizer = maker("SGD")(model.parameters())
    options = {"loss": F.cross_entropy}
    step = step_for(model, optimizer, {}, batches, **options)
    assert step.description == {"step": "autograd"}
    with pytest.raises(UsageError, match="only chains of linear layers"):
        step_for(model, optimizer, {}, batches, kernels="direct", **options)
    with pytest.raises(UsageError, match="did you mean 'direct'"):
        step_for(model, optimizer, {}, batches, kernels="dirct", **options)


def test_other_optimisers_are_left_to_autograd(few_digits):
    model = build("LeNet300", 1, input_size=64, hidden=[30, 10])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, dampening=0.5)
    batches = Batches(few_digits, 16, order_seed=0)
    step = step_for(model, optimizer, {}, batches, loss=F.cross_entropy)
    assert step.description == {"step": "autograd"}
    with pytest.raises(UsageError, match="only plain SGD, Adam and AdamW"):
        step_for(model, optimizer, {}, batches, loss=F.cross_entropy, kernels="direct")


def test_the_rule_is_by_density_and_size():
    model = build("LeNet300", 0)
    layers = {name: torch.ones(kept.shape).bool() for name, kept in PruningMask(model).items()}
    layers["fc1.weight"] = torch.rand(300, 784) < 0.1
    batches = Batches(random_split(64, 784, 10), 64, order_seed=0)
    step = step_for(
        model, maker("SGD")(model.parameters()), PruningMask.from_tensors(layers), batches,
        loss=F.cross_entropy,
    )  # fmt: skip
    assert step.description == {
        "step": "direct",
        "layers": {"fc1.weight": "csr fp32", "fc2.weight": "dense fp32", "fc3.weight": "csr fp32"},
    }
    assert prunable_sizes(model)["fc3.weight"] == 1000


def test_pruned_weights_stay_zero_at_every_step(few_digits):
    """Law 3, at every step of a direct training; masked gradients are what is clipped."""
    model = build("LeNet300", 1, input_size=64, hidden=[30, 10])
    mask = random_mask(model, [0.3, 0.3, 0.7])
    seen = []

    def on_step(state):
        state.write_()
        for name, value in states_of(state).items():
            layer = name.split(" of ")[-1]
            if layer in mask and value.ndim:
                assert not value[~mask[layer]].any(), f"{name} came back at step {state.step}"
        seen.append(state.step)

    for kernels in KERNELS:
        trained(
            model, mask, few_digits, kernels=kernels, optimizer="momentum", clip_norm=0.1,
            on_step=on_step,
        )  # fmt: skip
    assert seen == 3 * list(range(1, 10))


def test_masked_parameters_by_autograd_are_the_reference(few_digits):
    """The reference of this law is the loop that law 3 is tested on."""
    model = build("LeNet300", 1, input_size=64, hidden=[30, 10])
    mask = random_mask(model, [0.3, 0.3, 0.7])
    wanted = trained(model, mask, few_digits, kernels="autograd", optimizer="SGD", steps=5)
    mask.apply(model)
    state = TrainState(model, maker("SGD")(model.parameters()))
    train_by_autograd(
        state, Batches(few_digits, 16, order_seed=0), loss=F.cross_entropy,
        masked=MaskedParameters(model, mask), total_steps=5, evaluate_every=5,
        learning_rate=lambda step: 0.05 / (1 + step), evaluation_splits={},
    )  # fmt: skip
    for name, value in states_of(state).items():
        assert torch.equal(value, states_of(wanted)[name])


def test_what_evaluation_touched_is_trained_on(few_digits):
    """The evaluated examples come in chunks as large as the batch: they share its buffers."""
    model = build("LeNet300", 1, input_size=64, hidden=[30, 10])
    few = Split(few_digits.x[:48], few_digits.y[:48])
    states = []
    for kernels in ("autograd", "direct-dense", "direct-sparse"):
        copied = copy.deepcopy(model)
        state = TrainState(copied, maker("SGD")(copied.parameters()))
        batches = Batches(few, 48, order_seed=0)
        step = step_for(copied, state.optimizer, {}, batches, loss=F.cross_entropy, kernels=kernels)
        state.execution = step
        evaluate(copied, few, F.cross_entropy, outputs=step.outputs)
        train(
            state, step, batches, loss=F.cross_entropy, total_steps=3,
            learning_rate=lambda step: 0.01, evaluate_every=1, evaluation_splits={"val": few},
        )  # fmt: skip
        states.append(state)
    for state in states[1:]:
        check_as_autograd({}, states[0], state)


@pytest.mark.skipif(
    "decoupled_weight_decay" not in inspect.signature(torch.optim.Adam).parameters,
    reason="an option of later versions of torch",
)
def test_adam_that_was_told_to_decouple(few_digits):
    """torch's Adam has AdamW's rule as an option."""
    model = net_of([64, 20, 10], nn.ReLU, True)
    ended = []
    for kernels in ("autograd", "direct"):
        copied = copy.deepcopy(model)
        optimizer = torch.optim.Adam(
            copied.parameters(), lr=0.05, weight_decay=0.5, decoupled_weight_decay=True
        )
        batches = Batches(few_digits, 16, order_seed=0)
        step = step_for(copied, optimizer, {}, batches, loss=F.cross_entropy, kernels=kernels)
        for batch in list(batches.order(0))[:5]:
            step(batch, 0.05)
        step.write_()
        ended.append([p.detach() for p in copied.parameters()])
    for wanted, found in zip(*ended, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_data_of_another_width_is_refused(few_digits):
    model = build("LeNet300", 1, input_size=65, hidden=[30, 10])
    with pytest.raises(UsageError, match="reads 65 values per example, the data has 64"):
        trained(model, PruningMask(model), few_digits, kernels="direct", optimizer="SGD")


def test_adam_is_as_exact_as_torchs(few_digits):
    """After many steps: what rounds differently at every step adds up."""
    from lottery_ticket.train.direct.flat import Part
    from lottery_ticket.train.direct.updates import update_of

    whole = (np.ones(500, bool), np.empty(0, np.uint16))
    stream = torch.Generator().manual_seed(0)
    gradients = [torch.randn(500, generator=stream) for _ in range(300)]
    errors = []
    exact = torch.zeros(500, dtype=torch.float64, requires_grad=True)
    torchs, ours = torch.zeros(500, requires_grad=True), torch.zeros(500)
    optimizers = [torch.optim.Adam([p], lr=0.01) for p in (exact, torchs)]
    update = update_of(optimizers[1], 500)
    for gradient in gradients:
        for parameter, optimizer in zip((exact, torchs), optimizers, strict=True):
            parameter.grad = gradient.to(parameter.dtype)
            optimizer.step()
        update([Part(0, 500, ours.numpy(), gradient.numpy(), *whole)], 0.01)
    errors = [(p.detach() - exact.detach()).abs().max().item() for p in (torchs, ours)]
    assert errors[1] < 3 * errors[0]
