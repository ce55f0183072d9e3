"""Names of parameters that do not depend on what a model is wrapped in."""

import sys
from collections.abc import Iterable

from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim.swa_utils import AveragedModel

from lottery_ticket.errors import UsageError, nearest

__all__ = ["canonical_name", "find_parameters", "joined", "lazy_names", "named_modules", "near"]

_KEEP_IN_MODULE = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)


def canonical_name(name: str, model: nn.Module | None = None) -> str:
    """`name` without what `torch.compile`, data parallelism and averaging put around modules.

    Args:
        name: qualified name of a parameter, buffer or module.
        model: the model it is from. `module.` is dropped where a data-parallel wrapper really
            sits, never where the user's own attribute is called so; without the model only
            `torch.compile`'s `_orig_mod.` can be told apart.

    >>> canonical_name("encoder._orig_mod.0.weight")
    'encoder.0.weight'
    >>> canonical_name("module.0.weight", nn.DataParallel(nn.Sequential(nn.Linear(2, 1))))
    '0.weight'
    """
    if model is None:
        return ".".join(part for part in name.split(".") if part != "_orig_mod")
    module: object = model
    canonical = []
    for part in name.split("."):
        if not _is_wrapped(module, part):
            canonical.append(part)
        module = getattr(module, part, None)
    return ".".join(canonical)


def named_modules(model: nn.Module) -> dict[str, nn.Module]:
    """All modules by canonical name, in model order; a shared one under each of its names.

    A wrapper has the name of what it wraps, which is what stands here.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    names = {"": ""}
    for name in modules:
        parent, _, part = name.rpartition(".")
        if name and _is_wrapped(modules[parent], part):
            names[name] = names[parent]
        elif name:
            names[name] = joined(names[parent], part)
    return {names[name]: module for name, module in modules.items()}


def find_parameters(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Parameter]:
    """The parameters that a mask speaks of, in a model that may be wrapped.

    Args:
        model: the model; `torch.compile`, `DataParallel` and DDP around it, or around any of its
            modules, make no difference.
        names: canonical names, as a mask has them, or those of `model.named_parameters()`. Any
            name of a tied parameter will do.

    Raises:
        UsageError: the model has no such parameter, or two names are of one tied parameter.

    >>> list(find_parameters(nn.DataParallel(nn.Linear(2, 1)), ["weight"]))
    ['weight']
    """
    known = dict(model.named_parameters(remove_duplicate=False))
    # the canonical names win: a mask has those
    known |= {
        joined(path, leaf): value
        for path, module in named_modules(model).items()
        for leaf, value in module.named_parameters(recurse=False, remove_duplicate=False)
    }
    found: dict[str, nn.Parameter] = {}
    name_of: dict[int, str] = {}
    for name in names:
        if name not in known:
            raise UsageError(
                f"the model has no parameter {name!r}, which the mask names{near(name, known)}"
            )
        other = name_of.setdefault(id(known[name]), name)
        if other != name:
            raise UsageError(
                f"{other!r} and {name!r} are one tied parameter of the model; a mask names it once"
            )
        found[name] = known[name]
    return found


def lazy_names(model: nn.Module) -> list[str]:
    """The parameters and buffers of lazy layers, which have no shape before the model has run.

    >>> lazy_names(nn.LazyLinear(2))
    ['weight', 'bias']
    """
    held = [*model.named_parameters(), *model.named_buffers()]
    return [canonical_name(name, model) for name, value in held if is_lazy(value)]


def joined(path: str, leaf: str) -> str:
    """The name of what a module holds; the model itself has the path ''."""
    return f"{path}.{leaf}" if path else leaf


def near(name: str, names: Iterable[str]) -> str:
    """`nearest`, without the list of all names when none is near: a large model has thousands."""
    hint = nearest(name, names)
    return hint if "did you mean" in hint else ""


def _is_wrapped(module: object, attribute: str) -> bool:
    """Whether `module` is a wrapper that keeps what it wraps in `attribute`."""
    if isinstance(module, _KEEP_IN_MODULE):
        return attribute == "module"
    # importing the compiler takes seconds; who has compiled something has imported it
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    return (
        compiler is not None
        and isinstance(module, compiler.OptimizedModule)
        and attribute == "_orig_mod"
    )
