import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.data import Split
from lottery_ticket.train import LOSSES, Evaluation, evaluate


def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))


def split_of(num):
    """Ever harder examples, so that the last batch weighs on the mean."""
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(num, 5, generator=stream) * torch.linspace(0.1, 9, num)[:, None]
    return Split(x, torch.randint(0, 3, (num,), generator=stream))


def check_evaluates(evaluate, num):
    """What a loop over single examples finds, in eval mode."""
    model, split = net(), split_of(num)
    found = evaluate(model, split, LOSSES["cross_entropy"])
    model.eval()
    with torch.no_grad():
        outputs = torch.cat([model(x[None]) for x in split.x])
    losses = F.cross_entropy(outputs.double(), split.y, reduction="none").tolist()
    correct = [row.index(max(row)) == y for row, y in zip(outputs.tolist(), split.y, strict=True)]
    assert found.loss == pytest.approx(math.fsum(losses) / num, rel=1e-5)
    assert found.accuracy == sum(correct) / num
    assert found.correct.tolist() == correct
    assert found.correct.device.type == "cpu"


@pytest.mark.parametrize("num", [1, 999, 1000, 1001, 2303])
def test_evaluate(num):
    check_evaluates(evaluate, num)


def mean_of_batches(model, split, loss):
    parts = [
        evaluate(model, Split(x, y), loss)
        for x, y in zip(split.x.split(1000), split.y.split(1000), strict=True)
    ]
    mean = sum(part.loss for part in parts) / len(parts)
    accuracy = sum(part.accuracy for part in parts) / len(parts)
    return Evaluation(mean, accuracy, torch.cat([part.correct for part in parts]))


def in_training_mode(model, split, loss):
    with torch.no_grad():
        output = model.train()(split.x)
    correct = output.argmax(1) == split.y
    return Evaluation(float(loss(output, split.y)), float(correct.float().mean()), correct)


@pytest.mark.parametrize("mutant", [mean_of_batches, in_training_mode])
def test_other_evaluations_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_evaluates(mutant, 2303)


def check_leaves_the_model_as_it_was(evaluate):
    model = net()
    model(torch.ones(4, 5)).sum().backward()
    model[1].eval()  # a frozen norm
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters()]
    state = torch.get_rng_state()
    evaluate(model, split_of(10), LOSSES["cross_entropy"])
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(map(torch.equal, gradients, [p.grad for p in model.parameters()]))
    assert torch.equal(torch.get_rng_state(), state)


def test_leaves_the_model_as_it_was():
    check_leaves_the_model_as_it_was(evaluate)
    model = net().eval()
    evaluate(model, split_of(3), LOSSES["cross_entropy"])
    assert not any(module.training for module in model.modules())


def forgets_the_mode(model, split, loss):
    evaluate(model.eval(), split, loss)


def trains_all_afterwards(model, split, loss):
    evaluate(model, split, loss)
    model.train()


@pytest.mark.parametrize("mutant", [forgets_the_mode, trains_all_afterwards, in_training_mode])
def test_evaluations_that_leave_traces_are_caught(mutant):
    with torch.random.fork_rng(devices=[]), pytest.raises(AssertionError):
        check_leaves_the_model_as_it_was(mutant)


def test_the_mode_is_put_back_after_an_error():
    model = net()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        evaluate(model, Split(torch.ones(2, 4), torch.zeros(2).long()), LOSSES["cross_entropy"])
    assert all(module.training for module in model.modules())


def test_regression():
    model = nn.Linear(2, 1, bias=False)
    model.weight.data = torch.tensor([[2.0, 0.0]])
    split = Split(torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([[1.0], [3.0]]))
    assert evaluate(model, split, LOSSES["mse"]) == Evaluation(5.0, None, None)


def test_losses():
    logits, y = torch.tensor([[0.0, math.log(3)]]), torch.tensor([1])
    assert float(LOSSES["cross_entropy"](logits, y)) == pytest.approx(-math.log(0.75))
    assert float(LOSSES["nll"](logits, y)) == pytest.approx(-math.log(3))
    assert float(LOSSES["mse"](logits, torch.zeros(1, 2))) == pytest.approx(math.log(3) ** 2 / 2)
