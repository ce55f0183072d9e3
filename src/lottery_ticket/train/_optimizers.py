"""Optimisers by name, with the options each of them reads."""

from collections.abc import Iterable

import torch
from torch import nn

from lottery_ticket.errors import UsageError, nearest

__all__ = ["OPTIMIZERS", "make_optimizer"]

# name → (class, the options it reads beside lr)
OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], frozenset[str]]] = {
    "sgd": (torch.optim.SGD, frozenset({"momentum", "nesterov", "weight_decay"})),
    "adam": (torch.optim.Adam, frozenset({"betas", "eps", "weight_decay"})),
    "adamw": (torch.optim.AdamW, frozenset({"betas", "eps", "weight_decay"})),
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
