"""Law 10: models trained as one batch train as each does alone."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from ways import train_by_autograd

from lottery_ticket.data import Split
from lottery_ticket.masks import MaskedParameters, PruningMask
from lottery_ticket.models import build
from lottery_ticket.train import (
    BatchedStep,
    Batches,
    TrainState,
    checkpoint_bytes,
    make_optimizer,
    restore_,
    train_together,
)

OPTIMIZERS = {
    "momentum": ("sgd", {"momentum": 0.9, "weight_decay": 0.01}),
    "Adam": ("adam", {"weight_decay": 0.1}),
    "AdamW": ("adamw", {"weight_decay": 0.1}),
}
STEPS = {
    "loss": F.cross_entropy,
    "total_steps": 7,
    "learning_rate": lambda step: 0.02 / (1 + step),
    "evaluate_every": 3,
}


class WithNorm(nn.Module):
    """Convolution, BatchNorm and a skip.

    No bias before the norm: its gradient is rounding noise, which Adam makes steps of.
    """

    def __init__(self):
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(1, 6, 3, bias=False, padding=1), nn.BatchNorm2d(6)
        self.conv2, self.out = nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.Linear(6 * 64, 10)

    def forward(self, x):
        x = self.norm(self.conv1(x.view(-1, 1, 8, 8)))
        return self.out(F.relu(x + self.conv2(F.relu(x))).flatten(1))


class WithScale(nn.Module):
    """A parameter without dimensions, whose memory is no step count."""

    def __init__(self):
        super().__init__()
        self.out, self.scale = nn.Linear(64, 10), nn.Parameter(torch.rand(()))

    def forward(self, x):
        return self.scale * self.out(x)


NETS = {
    "WithScale": WithScale,
    "LeNet": lambda: build("LeNet300", 0, input_size=64, hidden=[20, 12]),
    "WithNorm": WithNorm,
}


def models_and_masks(net, size=3):
    """Differently initialised, differently pruned; the first is dense and without a mask."""
    models, masks = [], []
    for index in range(size):
        torch.manual_seed(index)
        model = NETS[net]()
        mask = PruningMask.from_tensors(
            {n: torch.rand(kept.shape) < 1 / index for n, kept in PruningMask(model).items()}
            if index
            else {}
        )
        mask.apply(model)
        models.append(model)
        masks.append(mask)
    return models, masks


def maker(optimizer):
    name, options = OPTIMIZERS[optimizer]
    return lambda parameters: make_optimizer(name, parameters, lr=0.02, **options)


def states_of(models, optimizer):
    copies = [copy.deepcopy(model) for model in models]
    return [TrainState(m, maker(optimizer)(m.parameters())) for m in copies]


def alone(models, masks, split, optimizer, clip_norm=None, **options):
    states = states_of(models, optimizer)
    for seed, (state, mask) in enumerate(zip(states, masks, strict=True)):
        train_by_autograd(
            state, Batches(split, 32, order_seed=seed), masked=MaskedParameters(state.model, mask),
            clip_norm=clip_norm, evaluation_splits={"val": split}, **(STEPS | options),
        )  # fmt: skip
    return states


def together(models, masks, split, optimizer, clip_norm=None, *, step_class=BatchedStep, **options):
    states = states_of(models, optimizer)
    batches = [Batches(split, 32, order_seed=seed) for seed in range(len(models))]
    step = step_class(
        states, masks, batches, loss=F.cross_entropy, make_optimizer=maker(optimizer),
        clip_norm=clip_norm,
    )  # fmt: skip
    train_together(states, step, batches, evaluation_splits={"val": split}, **(STEPS | options))
    assert not step.failures
    return states


def check_same(found, wanted, masks):
    """Weights, statistics and memory within 1e-4, exact zeros, the same history."""
    for one, other, mask in zip(found, wanted, masks, strict=True):
        for name, value in one.model.state_dict().items():
            torch.testing.assert_close(value, other.model.state_dict()[name], rtol=1e-4, atol=1e-5)
            if name in mask:
                assert not value[~mask[name]].any(), f"{name} came back"
        for name, parameter in one.model.named_parameters():
            memory = other.optimizer.state[other.model.get_parameter(name)]
            assert one.optimizer.state[parameter].keys() == memory.keys()
            for key, value in one.optimizer.state[parameter].items():
                torch.testing.assert_close(value, memory[key], rtol=1e-3, atol=1e-5)
        assert [r["step"] for r in one.history] == [r["step"] for r in other.history]
        for record, wanted_record in zip(one.history, other.history, strict=True):
            assert record.keys() == wanted_record.keys()
            for key, value in record.items():
                is_none = wanted_record[key] is None
                assert (
                    value is None if is_none else value == pytest.approx(wanted_record[key], 1e-4)
                )


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_together_as_alone(net, optimizer, clip_norm, few_digits):
    models, masks = models_and_masks(net)
    wanted = alone(models, masks, few_digits, optimizer, clip_norm)
    check_same(together(models, masks, few_digits, optimizer, clip_norm), wanted, masks)


class OneOrderForAll(BatchedStep):
    def __call__(self, group, lr, **how):
        super().__call__([group[0]] * len(group), lr, **how)


class ClipsAllTogether(BatchedStep):
    def _clip_(self, norm):
        nn.utils.clip_grad_norm_(list(self._parameters.values()), norm)


class ForgetsTheMasks(BatchedStep):
    def __call__(self, group, lr, **how):
        self._bits = {}
        super().__call__(group, lr, **how)


class MeanForSum(BatchedStep):
    def _loss_of(self, *arguments):
        return super()._loss_of(*arguments) / 3


@pytest.mark.parametrize("mutant", [OneOrderForAll, ClipsAllTogether, ForgetsTheMasks, MeanForSum])
def test_wrong_batching_is_caught(mutant, few_digits):
    models, masks = models_and_masks("LeNet")
    wanted = alone(models, masks, few_digits, "momentum", 0.1)
    with pytest.raises(AssertionError):
        check_same(
            together(models, masks, few_digits, "momentum", 0.1, step_class=mutant), wanted, masks
        )


@pytest.mark.parametrize("net", ["WithNorm", "WithScale"])
def test_trainings_alone_go_on_together(net, few_digits):
    models, masks = models_and_masks(net)
    wanted = alone(models, masks, few_digits, "Adam")
    stopped = alone(models, masks, few_digits, "Adam", total_steps=3)
    states = states_of(models, "Adam")
    for state, other in zip(states, stopped, strict=True):
        restore_(state, checkpoint_bytes(other))
    batches = [Batches(few_digits, 32, order_seed=seed) for seed in range(3)]
    step = BatchedStep(states, masks, batches, loss=F.cross_entropy, make_optimizer=maker("Adam"))
    train_together(states, step, batches, evaluation_splits={"val": few_digits}, **STEPS)
    check_same(states, wanted, masks)


def test_one_that_diverges_leaves_the_others_alone(few_digits):
    models, masks = models_and_masks("LeNet")
    wanted = alone(models, masks, few_digits, "momentum")
    with torch.no_grad():
        models[1].fc1.bias.fill_(float("nan"))
    states = states_of(models, "momentum")
    batches = [Batches(few_digits, 32, order_seed=seed) for seed in range(3)]
    step = BatchedStep(
        states, masks, batches, loss=F.cross_entropy, make_optimizer=maker("momentum")
    )
    train_together(states, step, batches, evaluation_splits={"val": few_digits}, **STEPS)
    assert list(step.failures) == [1]
    assert "the training loss became nan at step 1" in str(step.failures[1])
    check_same([states[0], states[2]], [wanted[0], wanted[2]], [masks[0], masks[2]])


def test_models_that_draw_are_refused(few_digits):
    models = [nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(64, 10)) for _ in range(2)]
    with pytest.raises(RuntimeError, match="random"):
        together(models, [{}, {}], few_digits, "momentum")


def test_a_regression(few_digits):
    split = Split(few_digits.x, torch.randn(len(few_digits), 10))
    models, masks = models_and_masks("LeNet")
    states = states_of(models, "momentum")
    batches = [Batches(split, 32, order_seed=seed) for seed in range(3)]
    options = STEPS | {"loss": F.mse_loss}
    step = BatchedStep(states, masks, batches, loss=F.mse_loss, make_optimizer=maker("momentum"))
    train_together(states, step, batches, evaluation_splits={"val": split}, **options)
    wanted = alone(models, masks, split, "momentum", loss=F.mse_loss)
    check_same(states, wanted, masks)
    assert states[0].history[0]["val_accuracy"] is None
