"""Optimisers by name, with the options each of them reads."""

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import UsageError, nearest

__all__ = ["OPTIMIZERS", "make_optimizer", "torch_class"]


class _Light(torch.optim.Optimizer):
    """Works without torch's compiler.

    torch imports it when the first of these methods is called, to tell it that they are not to be
    compiled. That takes longer than a small training, in each process.
    """

    add_param_group: Any = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    state_dict: Any = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict: Any = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    zero_grad: Any = inspect.unwrap(torch.optim.Optimizer.zero_grad)


class SGD(_Light, torch.optim.SGD):
    """torch's."""

    step: Any = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


class Adam(_Light, torch.optim.Adam):
    """torch's."""

    step: Any = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


class AdamW(_Light, torch.optim.AdamW):
    """torch's."""

    step: Any = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


# name → (class, the options it reads beside lr)
OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], frozenset[str]]] = {
    "sgd": (SGD, frozenset({"momentum", "nesterov", "weight_decay"})),
    "adam": (Adam, frozenset({"betas", "eps", "weight_decay"})),
    "adamw": (AdamW, frozenset({"betas", "eps", "weight_decay"})),
}


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter], *, lr: float, **options: object
) -> torch.optim.Optimizer:
    """Build an optimiser whose update is one fused kernel where the device has it.

    Raises:
        UsageError: an optimiser, or an option of it, that does not exist.
    """
    if name not in OPTIMIZERS:
        raise UsageError(f"unknown optimizer {name!r}{nearest(name, OPTIMIZERS)}")
    made, known = OPTIMIZERS[name]
    for option in options:
        if option not in known:
            raise UsageError(f"{option} has no effect with {name}; it takes {sorted(known)}")
    listed = list(parameters)
    is_fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in listed)
    arguments = {"lr": lr, "fused": is_fused, **options}
    return made(listed, **arguments)


def torch_class(optimizer: torch.optim.Optimizer) -> type[torch.optim.Optimizer]:
    """The class whose rule an optimiser follows: torch's own one for ours, else its own."""
    return _TORCHS.get(type(optimizer), type(optimizer))


_TORCHS: dict[type, type[torch.optim.Optimizer]] = {
    SGD: torch.optim.SGD,
    Adam: torch.optim.Adam,
    AdamW: torch.optim.AdamW,
}
