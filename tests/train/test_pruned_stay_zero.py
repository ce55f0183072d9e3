"""Law 3: a pruned weight is exactly 0.0 after every step, and so is the optimiser's memory of it;
negative weights learn like positive ones; clipping sees masked gradients."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune
from ways import train_by_autograd

from lottery_ticket.masks import Budget, MaskedParameters, PruningMask, select
from lottery_ticket.models import build
from lottery_ticket.pruning import rewind_
from lottery_ticket.train import LOSSES, Batches, TrainState, make_optimizer

OPTIMIZERS = {
    "plain SGD": ("sgd", {}),
    "momentum": ("sgd", {"momentum": 0.9}),
    "Nesterov": ("sgd", {"momentum": 0.9, "nesterov": True}),
    "weight decay": ("sgd", {"momentum": 0.9, "weight_decay": 0.1}),
    "Adam": ("adam", {}),
    "Adam with weight decay": ("adam", {"weight_decay": 0.1}),
    "AdamW": ("adamw", {"weight_decay": 0.1}),
}
REMEMBERS = [name for name in OPTIMIZERS if name != "plain SGD"]
LR = {"sgd": 0.1, "adam": 0.01, "adamw": 0.01}


def pruned_net(num_kept=500):
    """A net for digits, kept at random: about a third of 64·20 + 20·12 + 12·10 weights."""
    model = build("LeNet300", 1, input_size=64, hidden=[20, 12])
    stream = torch.Generator().manual_seed(2)
    ones = PruningMask(model)
    scores = {name: torch.rand(m.shape, generator=stream) for name, m in ones.items()}
    mask = select(scores, ones, Budget(num_kept))
    rewind_(model, {name: value.clone() for name, value in model.state_dict().items()}, mask)
    return model, mask


def run(train_fn, split, model, mask, optimizer, *, steps=25, clip_norm=None, on_step):
    name, options = OPTIMIZERS[optimizer]
    made = make_optimizer(name, model.parameters(), lr=LR[name], **options)
    train_fn(
        TrainState(model, made),
        Batches(split, 32, order_seed=0),
        loss=LOSSES["cross_entropy"],
        total_steps=steps,
        learning_rate=lambda step: LR[name],
        masked=MaskedParameters(model, mask),
        clip_norm=clip_norm,
        evaluate_every=10,
        evaluation_splits={"val": split},
        on_step=on_step,
    )


def check_stays_zero(train_fn, split, optimizer, clip_norm=None):
    model, mask = pruned_net()
    dense = {name: value.detach().clone() for name, value in model.named_parameters()}
    checked = []

    def on_step(state):
        for name, parameter in state.model.named_parameters():
            if name not in mask:
                continue
            assert not parameter[~mask[name]].any(), f"{name} came back at step {state.step}"
            for key, memory in state.optimizer.state[parameter].items():
                if torch.is_tensor(memory) and memory.shape == parameter.shape:
                    assert not memory[~mask[name]].any(), f"{key} of {name}, step {state.step}"
                    assert memory[mask[name]].any()
                    checked.append(key)
        checked.append("step")

    run(train_fn, split, model, mask, optimizer, clip_norm=clip_norm, on_step=on_step)
    assert checked.count("step") == 25
    assert (len(set(checked)) > 1) == (optimizer in REMEMBERS)
    for name, parameter in model.named_parameters():
        assert not torch.equal(parameter, dense[name]), "nothing was learnt"


@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stays_zero(optimizer, clip_norm, few_digits):
    check_stays_zero(train_by_autograd, few_digits, optimizer, clip_norm)


def masks_weights_once_per_epoch(state, batches, *, masked, on_step, **arguments):
    def then(state):
        if state.step % batches.steps_per_epoch == 0:
            masked.zero_weights_()
        on_step(state)

    train_by_autograd(state, batches, masked=None, on_step=then, **arguments)


def masks_weights_after_each_step(state, batches, *, masked, on_step, **arguments):
    def then(state):
        masked.zero_weights_()
        on_step(state)

    train_by_autograd(state, batches, masked=None, on_step=then, **arguments)


def masks_only_at_the_start(state, batches, *, masked, **arguments):
    masked.zero_weights_()
    train_by_autograd(state, batches, masked=None, **arguments)


@pytest.mark.parametrize(
    "mutant",
    [masks_weights_once_per_epoch, masks_weights_after_each_step, masks_only_at_the_start],
)
@pytest.mark.parametrize("optimizer", REMEMBERS)
def test_other_enforcements_are_caught(optimizer, mutant, few_digits):
    with pytest.raises(AssertionError):
        check_stays_zero(mutant, few_digits, optimizer)


@pytest.mark.parametrize("mutant", [masks_weights_once_per_epoch, masks_only_at_the_start])
def test_masking_now_and_then_is_caught_with_plain_sgd_too(mutant, few_digits):
    with pytest.raises(AssertionError, match="came back at step 1"):
        check_stays_zero(mutant, few_digits, "plain SGD")


def test_pruned_weights_are_positive_zeros(few_digits):
    """Their bytes are zeros, so that files compress and hashes agree."""
    model, mask = pruned_net()
    run(train_by_autograd, few_digits, model, mask, "AdamW", on_step=lambda state: None)
    for name, kept in mask.items():
        assert not model.get_parameter(name).detach().view(torch.int32)[~kept].any()


def check_is_masked_descent(train_fn, split):
    """Each step of plain SGD is `w − lr · gradient` for every kept weight, whatever its sign."""
    model, mask = pruned_net()
    batches = Batches(split, 32, order_seed=0)
    steps = iter([*batches.epoch(0), *batches.epoch(1)])
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    moved = {True: 0, False: 0}

    def on_step(state):
        x, y = next(steps)
        leaves = {name: value.clone().requires_grad_() for name, value in before.items()}
        output = torch.func.functional_call(model, leaves, (x,))
        gradients = torch.autograd.grad(F.cross_entropy(output, y), list(leaves.values()))
        for (name, value), gradient in zip(before.items(), gradients, strict=True):
            kept = mask[name] if name in mask else torch.ones_like(value, dtype=torch.bool)
            found = model.get_parameter(name).detach()
            torch.testing.assert_close(found, value - 0.1 * gradient * kept)
            for is_negative in moved:
                of_sign = (value < 0) == is_negative
                moved[is_negative] += int((kept & of_sign & (found != value)).sum())
            before[name] = found.clone()

    run(train_fn, split, model, mask, "plain SGD", steps=15, on_step=on_step)
    assert 0.5 < moved[True] / moved[False] < 2


def test_negative_weights_learn_like_positive_ones(few_digits):
    check_is_masked_descent(train_by_autograd, few_digits)


class Freezing:
    """Prunes by value: `where(weight < EPS, 0, gradient)`."""

    def __init__(self, model):
        self.model = model

    def mask_gradients_(self):
        for parameter in self.model.parameters():
            parameter.grad = torch.where(parameter < 1e-6, 0.0, parameter.grad)


class FreezingSmall(Freezing):
    """Prunes by magnitude: a kept weight that passes near zero is stuck there."""

    def mask_gradients_(self):
        for parameter in self.model.parameters():
            parameter.grad = torch.where(parameter.abs() < 1e-2, 0.0, parameter.grad)


@pytest.mark.parametrize("enforcement", [Freezing, FreezingSmall])
def test_freezing_by_value_is_caught(enforcement, few_digits):
    def mutant(state, batches, *, masked, **arguments):
        train_by_autograd(state, batches, masked=enforcement(state.model), **arguments)

    with pytest.raises(AssertionError):
        check_is_masked_descent(mutant, few_digits)


def check_clips_masked_gradients(train_fn, split):
    """The gradients that the optimiser reads have exactly the norm asked for."""
    model, mask = pruned_net()

    def on_step(state):
        norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
        assert float(norm) == pytest.approx(0.01, rel=1e-3)

    run(train_fn, split, model, mask, "momentum", clip_norm=0.01, steps=12, on_step=on_step)


def test_clipping_sees_masked_gradients(few_digits):
    check_clips_masked_gradients(train_by_autograd, few_digits)


def test_clipping_before_masking_is_caught(few_digits):
    class ClipsFirst:
        def __init__(self, model, masked, clip_norm):
            self.model, self.masked, self.clip_norm = model, masked, clip_norm

        def mask_gradients_(self):
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
            self.masked.mask_gradients_()

    def mutant(state, batches, *, masked, clip_norm, **arguments):
        masked = ClipsFirst(state.model, masked, clip_norm)
        train_by_autograd(state, batches, masked=masked, clip_norm=None, **arguments)

    def never_clips(state, batches, *, clip_norm, **arguments):
        train_by_autograd(state, batches, **arguments)

    for wrong in (mutant, never_clips):
        with pytest.raises(AssertionError):
            check_clips_masked_gradients(wrong, few_digits)


def trained(split):
    model, mask = pruned_net()
    run(train_by_autograd, split, model, mask, "momentum", on_step=lambda state: None)
    return model, mask


def check_is_a_plain_module(model):
    """`deepcopy`, `pickle` and `state_dict` see nothing but the architecture."""
    plain = build("LeNet300", 9, input_size=64, hidden=[20, 12])
    assert list(model.state_dict()) == list(plain.state_dict())
    assert [name for name, _ in model.named_buffers()] == []
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())
    plain.load_state_dict(model.state_dict())
    for other in (plain, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(other) is type(model)
        for name, value in model.state_dict().items():
            assert torch.equal(other.state_dict()[name], value)


def test_a_pruned_model_is_a_plain_module(few_digits):
    check_is_a_plain_module(trained(few_digits)[0])


def test_reparametrised_pruning_is_caught(few_digits):
    model, mask = trained(few_digits)
    for name, kept in mask.items():
        prune.custom_from_mask(model.get_submodule(name.removesuffix(".weight")), "weight", kept)
    with pytest.raises(AssertionError):
        check_is_a_plain_module(model)


def test_a_compiled_model_trains_the_same(few_digits):
    wanted, mask = trained(few_digits)
    model, _ = pruned_net()
    masked = MaskedParameters(model, mask)
    compiled = torch.compile(model, backend="eager")
    train_by_autograd(
        TrainState(compiled, make_optimizer("sgd", model.parameters(), lr=0.1, momentum=0.9)),
        Batches(few_digits, 32, order_seed=0),
        loss=LOSSES["cross_entropy"],
        total_steps=25,
        learning_rate=lambda step: 0.1,
        masked=masked,
        evaluate_every=10,
        evaluation_splits={"val": few_digits},
    )
    for name, value in wanted.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    assert compiled.training
    torch.testing.assert_close(compiled(few_digits.x[:4]), wanted(few_digits.x[:4]))
