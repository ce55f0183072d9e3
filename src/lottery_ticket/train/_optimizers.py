"""Optimisers by name, with the options each of them reads."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.registry import Registry, options_of

__all__ = ["OPTIMIZERS", "OptimizerKind", "make_optimizer", "register_optimizer", "torch_class"]


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


class OptimizerKind(NamedTuple):
    """How an optimiser is made, and the options that it reads beside lr."""

    make: Callable[..., torch.optim.Optimizer]
    options: frozenset[str]


OPTIMIZERS: Registry[OptimizerKind] = Registry("optimizer", code=lambda kind: (kind.make,))
"""The optimisers by name."""

for _name, _class in (("sgd", SGD), ("adam", Adam), ("adamw", AdamW)):
    _own = {"momentum", "nesterov"} if _name == "sgd" else {"betas", "eps"}
    OPTIMIZERS.add(_name, OptimizerKind(_class, frozenset({*_own, "weight_decay"})))

Make = TypeVar("Make", bound=Callable[..., torch.optim.Optimizer])


def register_optimizer(name: str) -> Callable[[Make], Make]:
    """Decorator that lets specs say `optimizer: name` of an optimiser of one's own.

    Its update should be elementwise and leave alone what is zero with a gradient of zero and no
    memory: then pruned weights stay exactly zero. What it remembers is tensors and numbers.

    Args:
        name: what specs call it.

    Returns:
        A decorator for a class, or a function, `(parameters, lr, …) → torch.optim.Optimizer`. What
        it takes beside these two are its options.

    Raises:
        UsageError: the name is taken, or it takes no `lr`.

    >>> import torch
    >>> @register_optimizer("plain-sgd")
    ... def plain_sgd(parameters, lr, weight_decay=0.0):
    ...     return torch.optim.SGD(parameters, lr=lr, weight_decay=weight_decay)
    """

    def file(make: Make) -> Make:
        options = options_of(make, given=1)
        if "lr" not in options:
            raise UsageError(f"optimizer {name!r} must take lr: fn(parameters, lr, …)")
        known = frozenset(options) - {"lr"}
        OPTIMIZERS.add(name, OptimizerKind(make, known), is_user=True)
        return make

    return file


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter], *, lr: float, **options: object
) -> torch.optim.Optimizer:
    """Build an optimiser whose update is one fused kernel where the device has it.

    Raises:
        UsageError: an optimiser, or an option of it, that does not exist.
    """
    entry = OPTIMIZERS.entry(name)
    made, known = entry.value
    for option in options:
        if option not in known:
            raise UsageError(f"{option} has no effect with {name}; it takes {sorted(known)}")
    listed = list(parameters)
    if entry.is_user:
        return made(listed, lr=lr, **options)
    is_fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in listed)
    return made(listed, lr=lr, fused=is_fused, **options)


def torch_class(optimizer: torch.optim.Optimizer) -> type[torch.optim.Optimizer]:
    """The class whose rule an optimiser follows: torch's own one for ours, else its own."""
    return _TORCHS.get(type(optimizer), type(optimizer))


_TORCHS: dict[type, type[torch.optim.Optimizer]] = {
    SGD: torch.optim.SGD,
    Adam: torch.optim.Adam,
    AdamW: torch.optim.AdamW,
}
