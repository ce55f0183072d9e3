"""Law 3: what is pruned is exactly zero after every step: weights, gradients, optimiser state."""

import functools

import pytest
import torch
import torch.nn.functional as F
from contract_nets import NETS
from torch import nn

from lottery_ticket.masks import PruningMask
from lottery_ticket.pruning import prune

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
}


def check_zero(model, mask, optimizer):
    for name, kept in mask.items():
        parameter = model.get_parameter(name)
        assert not parameter[~kept].any(), f"{name} came back"
        assert not parameter.grad[~kept].any(), f"the gradient of {name}"
        for key, value in optimizer.state[parameter].items():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                assert not value[~kept].any(), f"{key} of {name}"
                assert value[kept].any(), f"{key} of {name} is lost"


def steps(model, batches, optimizer, after_backward=lambda: None):
    """Steps with clipping, in training mode; after each, its number."""
    model.train()
    for number, (x, y) in enumerate(batches):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        after_backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        yield number


def check_stays_zero(attach, case, optimizer_name):
    """The optimiser was there before the mask, and remembers the dense net."""
    model = case.model
    optimizer = OPTIMIZERS[optimizer_name](model.parameters())
    for _ in steps(model, case.batches, optimizer):
        pass
    mask = prune(model, density=0.3, scope="layerwise")
    attach(mask, model, optimizer)
    before = {name: model.get_parameter(name).detach().clone() for name in mask}

    def check_gradients():
        for name, kept in mask.items():
            assert not model.get_parameter(name).grad[~kept].any(), f"{name}, before clipping"

    for _ in steps(model, case.batches * 2, optimizer, check_gradients):
        check_zero(model, mask, optimizer)
    for name, kept in mask.items():
        moved = model.get_parameter(name) != before[name]
        for of_sign in (before[name] > 0, before[name] < 0):
            assert moved[kept & of_sign].float().mean() > 0.5, f"{name} does not learn"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_stays_zero(net, optimizer, case_of):
    check_stays_zero(PruningMask.attach, case_of(net), optimizer)


def weights_once(mask, model, optimizer):
    mask.apply(model)


def weights_after_each_step(mask, model, optimizer):
    mask.apply(model)
    optimizer.register_step_post_hook(lambda *_: mask.apply(model))


def forgets_the_optimizer(mask, model, optimizer):
    def mask_gradient(kept, parameter):
        parameter.grad.masked_fill_(~kept, 0.0)

    mask.apply(model)
    for name, kept in mask.items():
        hook = functools.partial(mask_gradient, kept)
        model.get_parameter(name).register_post_accumulate_grad_hook(hook)


def clips_first(mask, model, optimizer):
    """Gradients are masked when the optimiser reads them."""
    mask.attach(model, optimizer)
    for name in mask:
        model.get_parameter(name)._post_accumulate_grad_hooks.clear()

    def mask_gradients(*_):
        for name, kept in mask.items():
            model.get_parameter(name).grad.masked_fill_(~kept, 0.0)

    optimizer.register_step_pre_hook(mask_gradients)


def linear_and_convolutions(mask, model, optimizer):
    """Those that a script by hand thinks of."""
    kinds = (nn.Linear, nn.Conv2d)
    names = {f"{path}.weight" for path, m in model.named_modules() if type(m) in kinds}
    PruningMask.from_tensors({n: k for n, k in mask.items() if n in names}).attach(model, optimizer)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("mutant", "net"),
    [
        *((weights_once, net) for net in ("MLP", "LeNet5")),
        *((weights_after_each_step, net) for net in ("MLP", "LSTM")),
        *((forgets_the_optimizer, net) for net in ("MLP", "attention")),
        (clips_first, "MLP"),
        *((linear_and_convolutions, net) for net in ("LSTM", "attention")),
    ],
)
def test_other_ways_to_mask_are_caught(mutant, net, optimizer, case_of):
    with pytest.raises(AssertionError):
        check_stays_zero(mutant, case_of(net), optimizer)
