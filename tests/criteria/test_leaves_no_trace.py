"""Law 5: scoring leaves the model as it was, whatever the criterion does and however it ends."""

import random
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.criteria import CRITERIA, score


class Touchy(nn.Module):
    """Has one of everything that scoring could leave changed."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.5)
        self.recurrent = nn.LSTM(12, 4, batch_first=True)
        self.frozen = nn.Linear(4, 4)
        self.head = nn.Linear(4, 3)
        self.register_buffer("odd", torch.tensor([-0.0, float("nan"), float("-inf")]))
        self.head.register_buffer("shared", self.odd)
        self.register_buffer("maybe", None)

    def forward(self, x):
        x = self.drop(F.relu(self.norm(self.conv(x)))).flatten(2)
        return self.head(torch.tanh(self.frozen(self.recurrent(x)[0][:, -1])))


def touchy():
    """In mixed modes, with gradients here and there, one layer frozen, and −0.0 among weights."""
    torch.manual_seed(0)
    model = Touchy()
    with torch.no_grad():
        model.conv.weight[0, 0, 0] = torch.tensor([-0.0, 0.0, -1.5])
        model.norm.running_mean.copy_(torch.tensor([1.0, -0.0, -2.0]))
    model.frozen.requires_grad_(False)
    model(X).sum().backward()
    model.head.bias.grad = None
    model.norm.eval()
    model.recurrent.eval()
    return model


X = torch.randn(4, 1, 5, 6, generator=torch.Generator().manual_seed(1))
Y = torch.tensor([0, 1, 2, 1])
SCORED = ("conv.weight", "recurrent.weight_hh_l0", "frozen.weight", "head.weight")


def bits(tensor):
    if tensor is None:
        return None
    return tensor.dtype, tensor.shape, tensor.detach().contiguous().numpy().tobytes()


def portrait(model):
    """Everything about a model that training on could notice."""
    seen = {}
    for name, p in model.named_parameters():
        seen[name] = (id(p), p.data_ptr(), bits(p), p.requires_grad, id(p.grad), bits(p.grad))
    for name, b in model.named_buffers(remove_duplicate=False):
        seen[name] = (id(b), b.data_ptr(), bits(b))
    for name, module in model.named_modules():
        hooks = len(module._forward_hooks) + len(module._forward_pre_hooks)
        seen[f"module {name}"] = (id(module), module.training, hooks, sorted(vars(module)))
    seen["state_dict"] = list(model.state_dict())
    return seen


def random_numbers():
    """What the global generators would draw next."""
    with torch.random.fork_rng(devices=[]):
        states = np.random.get_state(), random.getstate()
        drawn = float(torch.rand(())), float(np.random.rand()), random.random()
        np.random.set_state(states[0])
        random.setstate(states[1])
    return drawn


def check_leaves_no_trace(score, criterion, error=None):
    model = touchy()
    mask = {n: torch.ones_like(p, dtype=torch.bool) for n, p in model.named_parameters()}
    mask = {name: mask[name] for name in SCORED}
    for kept in mask.values():
        kept.view(-1)[:3] = False
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    initial = {name: weights[name] + 1 for name in mask}
    given = {"weights": weights, "initial": initial, "mask": mask}
    copies = {what: {n: t.clone() for n, t in tensors.items()} for what, tensors in given.items()}
    x, y = X.clone(), Y.clone()
    before, numbers = portrait(model), random_numbers()
    with pytest.raises(error) if error else nullcontext():
        scores = score(
            criterion,
            model=model,
            batches=[(x[:3], y[:3]), (x[3:], y[3:])],
            generator=torch.Generator().manual_seed(0),
            **given,
        )
        assert list(scores) == list(mask)
        for name, values in scores.items():
            assert values.shape == mask[name].shape
            assert not values.requires_grad
            values.fill_(7.0)  # shares no memory with what was given
    assert random_numbers() == numbers
    after = portrait(model)
    for name in before:
        assert after.get(name) == before[name], name
    assert list(after) == list(before)
    for what, tensors in given.items():
        for name, tensor in tensors.items():
            assert bits(tensor) == bits(copies[what][name]), f"{what}: {name}"
    assert torch.equal(x, X)


@pytest.fixture(autouse=True)
def no_stray_draws():
    states = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=[]):
        yield
    np.random.set_state(states[0])
    random.setstate(states[1])


@pytest.mark.parametrize("name", [name for name in CRITERIA if not CRITERIA.entry(name).is_user])
def test_criteria_leave_no_trace(name):
    check_leaves_no_trace(score, name)


def trains(model, batch):
    """Does a user's worst: trains the model in training mode, everything unfrozen."""
    x, y = batch
    model.train().requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(2):
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return {name: model.get_parameter(name).grad for name in SCORED}


def rewrites(model, weights, initial, mask):
    """Changes in place all that it gets, and returns it."""
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers(), *weights.values()]:
            tensor.fill_(3.0)
    for tensors in (initial, mask):
        for tensor in tensors.values():
            tensor.zero_()
    model.odd = torch.ones(2)
    model.head.weight = nn.Parameter(torch.ones(1))
    model.conv.weight.requires_grad_(False)
    model.conv.weight.grad = torch.ones_like(model.conv.weight)
    return weights


def converts(model):
    assert model.odd is model.head.shared
    model.double()(X.double()).sum().backward()
    return {name: model.get_parameter(name) for name in SCORED}


def draws(model, mask):
    random.random()
    np.random.rand()
    torch.manual_seed(int(torch.randint(10, ())))
    return {name: torch.rand(kept.shape) for name, kept in mask.items()}


@pytest.mark.parametrize("criterion", [trains, rewrites, converts, draws])
def test_functions_of_ones_own_leave_no_trace(criterion):
    check_leaves_no_trace(score, criterion)


@pytest.mark.parametrize("criterion", [trains, rewrites, converts, draws])
def test_nor_do_they_when_they_fail(criterion):
    def fails(model, weights, initial, mask, batch):
        given = {"model": model, "weights": weights, "initial": initial, "mask": mask}
        given["batch"] = batch
        names = criterion.__code__.co_varnames[: criterion.__code__.co_argcount]
        criterion(**{name: given[name] for name in names})
        raise ZeroDivisionError

    check_leaves_no_trace(score, fails, error=ZeroDivisionError)


def test_nor_does_a_loss_that_fails():
    def bad_loss(output, target):
        raise ZeroDivisionError

    for name in ("saliency", "snip", "grasp"):
        check_leaves_no_trace(
            lambda criterion, **given: score(criterion, loss=bad_loss, **given),
            name,
            error=ZeroDivisionError,
        )


# what implementations of scoring leave behind; each scores by |g·w| in its own way


def naive_gradients(model, batches):
    for x, y in batches:
        F.cross_entropy(model(x), y).backward()
    return {
        n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in model.named_parameters()
    }


def leaves_gradients(criterion, *, model, mask, batches, **_):
    with torch.random.fork_rng(devices=[]):
        modes = {module: module.training for module in model.modules()}
        model.eval()
        model.norm.eval()
        found = naive_gradients(model, batches)
        for module, mode in modes.items():
            module.training = mode
    return {name: found[name].abs() for name in mask}


def clears_gradients(criterion, *, model, mask, **_):
    model.zero_grad()
    return {name: torch.zeros(kept.shape) for name, kept in mask.items()}


def leaves_evaluation_mode(criterion, *, model, mask, **_):
    model.eval()
    return {name: torch.zeros(kept.shape) for name, kept in mask.items()}


def restores_one_mode_for_all(criterion, *, model, mask, **_):
    mode = model.training
    model.eval()
    model.train(mode)
    return {name: torch.zeros(kept.shape) for name, kept in mask.items()}


def leaves_statistics(criterion, *, model, mask, batches, **_):
    model.norm.training = True
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        model(batches[0][0])
    model.norm.training = False
    return {name: torch.zeros(kept.shape) for name, kept in mask.items()}


def leaves_random_state(criterion, *, model, mask, batches, **_):
    with torch.no_grad():
        model(batches[0][0])  # dropout draws
    return {name: torch.zeros(kept.shape) for name, kept in mask.items()}


def leaves_zeros(criterion, *, model, mask, **_):
    with torch.no_grad():
        for name, kept in mask.items():
            model.get_parameter(name).mul_(kept)
    return {name: torch.zeros(kept.shape) for name, kept in mask.items()}


def restores_by_signs(criterion, *, model, mask, **_):
    with torch.no_grad():
        signs = {name: p.sign() for name, p in model.named_parameters()}
        for parameter in model.parameters():
            parameter.abs_()
        for name, parameter in model.named_parameters():
            parameter.mul_(signs[name])  # −0.0 becomes 0.0
    return {name: torch.zeros(kept.shape) for name, kept in mask.items()}


def thaws(criterion, *, model, mask, **_):
    model.requires_grad_(True)
    return {name: torch.zeros(kept.shape) for name, kept in mask.items()}


def replaces_parameters(criterion, *, model, mask, **_):
    model.load_state_dict({n: v.clone() for n, v in model.state_dict().items()}, assign=True)
    return {name: torch.zeros(kept.shape) for name, kept in mask.items()}


def leaves_a_hook(criterion, *, model, mask, **_):
    model.register_forward_hook(lambda module, inputs, output: output / 200)
    return {name: torch.zeros(kept.shape) for name, kept in mask.items()}


def returns_the_weights(criterion, *, weights, mask, **_):
    return {name: weights[name] for name in mask}


def works_on_the_weights(criterion, *, weights, mask, **_):
    return {name: weights[name].abs_().clone() for name in mask}


def returns_a_graph(criterion, *, model, mask, **_):
    return {name: model.get_parameter(name).abs() for name in mask}


@pytest.mark.parametrize(
    "mutant",
    [
        leaves_gradients,
        clears_gradients,
        leaves_evaluation_mode,
        restores_one_mode_for_all,
        leaves_statistics,
        leaves_random_state,
        leaves_zeros,
        restores_by_signs,
        thaws,
        replaces_parameters,
        leaves_a_hook,
        returns_the_weights,
        works_on_the_weights,
        returns_a_graph,
    ],
)
def test_traces_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_leaves_no_trace(mutant, "saliency")


def test_traces_after_an_error_are_caught():
    def restores_only_at_the_end(criterion, *, model, **_):
        model.eval()
        raise ZeroDivisionError

    with pytest.raises(AssertionError):
        check_leaves_no_trace(restores_only_at_the_end, "saliency", error=ZeroDivisionError)


def test_a_pending_graph_is_not_broken():
    """Values are set aside, not overwritten: a loss from before can still be differentiated."""
    model = touchy()
    loss = model.eval()(X).square().sum()
    mask = {"conv.weight": torch.zeros(3, 1, 3, 3, dtype=torch.bool)}
    score("saliency", model=model, mask=mask, batches=[(X, Y)])
    loss.backward()
