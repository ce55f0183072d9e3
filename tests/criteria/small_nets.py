"""Nets small enough to score by brute force."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


def mlp(*widths, activation=nn.Tanh, bias=True, seed=0):
    """A net in float64, so that finite differences are sharp."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = []
        for width_in, width_out in pairwise(widths):
            layers += [nn.Linear(width_in, width_out, bias=bias), activation()]
        return nn.Sequential(*layers[:-1]).double()


def matrices(model):
    return {name: value for name, value in model.named_parameters() if value.ndim > 1}


def all_kept(model):
    return {n: torch.ones(v.shape, dtype=torch.bool) for n, v in matrices(model).items()}


def some_kept(model, density=0.7, seed=1):
    stream = torch.Generator().manual_seed(seed)
    return {n: torch.rand(v.shape, generator=stream) < density for n, v in matrices(model).items()}


def pairs(*sizes, num_inputs=3, num_classes=3, seed=2):
    """Batches (x, y) of the given sizes."""
    stream = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn(size, num_inputs, dtype=torch.float64, generator=stream),
            torch.randint(num_classes, (size,), generator=stream),
        )
        for size in sizes
    ]


def joined(batches):
    """All batches as one."""
    return tuple(torch.cat(parts) for parts in zip(*batches, strict=True))


def pruned_copy(model, mask):
    """Name → value of every parameter, zero where pruned."""
    return {
        name: value.detach() * mask[name] if name in mask else value.detach().clone()
        for name, value in model.named_parameters()
    }


def loss_at(model, parameters, batch, temperature=1.0):
    """The mean cross entropy of `model` with other parameters."""
    x, y = batch
    return F.cross_entropy(torch.func.functional_call(model, parameters, (x,)) / temperature, y)


def central_differences(function, tensors, step):
    """∂function/∂entry for every entry of every tensor, by name."""
    found = {name: torch.zeros_like(value) for name, value in tensors.items()}
    for name, value in tensors.items():
        for index in range(value.numel()):
            ends = []
            for sign in (1, -1):
                moved = {n: v.clone() for n, v in tensors.items()}
                moved[name].view(-1)[index] += sign * step
                ends.append(float(function(moved)))
            found[name].view(-1)[index] = (ends[0] - ends[1]) / (2 * step)
    return found


def assert_same_scores(found, wanted, rtol=1e-6, atol=1e-12):
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        torch.testing.assert_close(
            found[name].double(),
            values.double(),
            rtol=rtol,
            atol=atol,
            msg=lambda text, name=name: f"{name}: {text}",
        )
