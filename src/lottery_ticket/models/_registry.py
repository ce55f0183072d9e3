"""The table of models, and the one way to build one under a seed."""

import inspect
from collections.abc import Callable

import torch
from torch import nn

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.registry import Registry

__all__ = ["MODELS", "build", "model_options", "register_model"]

ModelFactory = Callable[..., nn.Module]

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

MODELS: Registry[ModelFactory] = Registry("model")


def register_model(name: str) -> Callable[[ModelFactory], ModelFactory]:
    """Decorator that lets specs say `model: {name: …}`; keyword arguments become options.

    >>> @register_model("my-net")
    ... def my_net(num_classes: int = 10) -> nn.Module:
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))
    """
    return MODELS.register(name, is_user=True)


def model_options(name: str) -> dict[str, inspect.Parameter]:
    """The keyword options a model takes, with their defaults."""
    return dict(inspect.signature(MODELS[name]).parameters)


def build(name: str, seed: int, **options: object) -> nn.Module:
    """Build a model whose initial weights depend on `seed` alone, drawn on the CPU.

    The caller's random state is left as it was.

    Raises:
        UsageError: a name or option that does not exist, or an option the model refuses.
    """
    known = model_options(name)
    for option in options:
        if option not in known:
            raise UsageError(f"model {name!r} has no option {option!r}{nearest(option, known)}")
    for option, parameter in known.items():
        is_required = parameter.default is parameter.empty and parameter.kind not in _VARIADIC
        if is_required and option not in options:
            raise UsageError(f"model {name!r} wants a value for {option!r}")
    with torch.random.fork_rng(devices=[]):
        # the CPU's generator alone: torch.manual_seed would reseed those of the devices too
        torch.default_generator.manual_seed(seed)
        return MODELS[name](**options)
