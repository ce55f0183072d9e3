"""Steps through torch.compile train as eager ones do (law 10)."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket import UsageError
from lottery_ticket.data import Split
from lottery_ticket.masks import PruningMask
from lottery_ticket.pruning import prune
from lottery_ticket.train import Batches, TrainState, make_optimizer, step_for, train


def trained(model, mask, split, kernels):
    model = copy.deepcopy(model)
    mask.apply(model)
    optimizer = make_optimizer("sgd", model.parameters(), lr=0.05, momentum=0.9)
    state, batches = TrainState(model, optimizer), Batches(split, 8, order_seed=0)
    step = step_for(model, optimizer, mask, batches, loss=F.cross_entropy, kernels=kernels)
    train(
        state, step, batches, loss=F.cross_entropy, total_steps=7, evaluate_every=7,
        learning_rate=lambda step: 0.05, evaluation_splits={"test": split},
    )  # fmt: skip
    return model, step.description


@pytest.mark.slow  # compiling takes half a minute
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch, of its own code
def test_compiled_steps_train_as_eager_ones():
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))
    model = nn.Sequential(*layers)
    mask = prune(model, PruningMask(model), density=0.5)
    # the last batch of an epoch is smaller
    split = Split(torch.randn(20, 3, 8, 8), torch.randint(5, (20,)))
    eager, how = trained(model, mask, split, "auto")
    assert how == {"step": "autograd"}
    compiled, how = trained(model, mask, split, "compiled")
    assert how == {"step": "compiled"}
    wanted, moved = eager.state_dict(), 0.0
    for name, value in compiled.state_dict().items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-4, atol=1e-5)
        moved += float((value - model.state_dict()[name]).abs().sum())
    assert moved > 1.0
    assert all(not compiled.get_parameter(name)[~kept].any() for name, kept in mask.items())


def test_a_missing_compiler_is_said_before_anything_trains(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    model = nn.Linear(4, 2)
    split = Split(torch.randn(8, 4), torch.randint(2, (8,)))
    with pytest.raises(UsageError, match=r"needs a C\+\+ compiler.*g\+\+.*use 'auto'"):
        trained(model, PruningMask(model), split, "compiled")
