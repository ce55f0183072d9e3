"""The table of models, and the one way to build one under a seed."""

import inspect
from collections.abc import Callable, Mapping

import torch
from torch import nn

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.models._init import initialize_, known_init
from lottery_ticket.process import seeded
from lottery_ticket.registry import Registry, options_of

__all__ = ["MODELS", "build", "model_options", "outline", "register_model"]

ModelFactory = Callable[..., nn.Module]

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

MODELS: Registry[ModelFactory] = Registry(
    "model", "; one of your own is registered with --import FILE.py"
)
"""The models by name; `lottery models` lists them."""

# annotated as text alone: a spec leaves it out, and has no second way (null) to say so
_INIT = inspect.Parameter("init", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=str)


def register_model(name: str) -> Callable[[ModelFactory], ModelFactory]:
    """Decorator that lets specs say `model: {name: …}`; keyword arguments become options.

    >>> @register_model("my-net")
    ... def my_net(num_classes: int = 10) -> nn.Module:
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))
    """
    return MODELS.register(name, is_user=True)


def model_options(name: str) -> dict[str, inspect.Parameter]:
    """The keyword options a model takes, with their defaults.

    Every model takes `init`, the name of an initialiser; one with an `init` of its own, or one that
    takes any option, gets it as it is.

    >>> list(model_options("Conv4"))
    ['num_classes', 'form', 'width', 'init']
    """
    own = options_of(MODELS[name])
    return own if "init" in own or _takes_any(own) else {**own, "init": _INIT}


def build(name: str, seed: int, **options: object) -> nn.Module:
    """Build a model whose initial weights depend on `seed` alone, drawn on the CPU.

    The caller's random state is left as it was.

    Args:
        name: a registered model's name.
        seed: of the generator that all its random numbers come from.
        options: the model's own, and `init`: a name in `INITIALIZERS`, by which the weights of its
            convolutions and linear layers are drawn after it is built (see `initialize_`). Without
            it, they are as the model makes them.

    Raises:
        UsageError: a name or option that does not exist, or an option the model refuses.

    >>> bool(build("LeNet5", 0, init="glorot_normal").conv1.bias.any())
    False
    """
    own, init = _split_options(name, options)
    with seeded(seed):
        model = MODELS[name](**own)
        if init is not None:
            initialize_(model, init)
    return model


def outline(name: str, **options: object) -> nn.Module:
    """A model's shapes without its values (on the meta device), at once however large it is.

    Args and errors: as `build`.

    >>> sum(p.numel() for p in outline("VGG16").parameters())
    138357544
    """
    own, _ = _split_options(name, options)
    with torch.device("meta"):
        return MODELS[name](**own)


def _takes_any(own: Mapping[str, inspect.Parameter]) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in own.values())


def _split_options(
    name: str, options: Mapping[str, object]
) -> tuple[dict[str, object], str | None]:
    """The options for the model itself, and the initialiser asked for (None: the model's own)."""
    known = model_options(name)
    for option in options:
        if option not in known and not _takes_any(known):
            raise UsageError(f"model {name!r} has no option {option!r}{nearest(option, known)}")
    for option, parameter in known.items():
        is_required = parameter.default is parameter.empty and parameter.kind not in _VARIADIC
        if is_required and option not in options:
            raise UsageError(f"model {name!r} wants a value for {option!r}")
    if known.get("init") is not _INIT:
        return dict(options), None
    own = {option: value for option, value in options.items() if option != "init"}
    return own, None if options.get("init") is None else known_init(options["init"])
