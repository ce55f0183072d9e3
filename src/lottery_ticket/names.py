"""Names of parameters that do not depend on what a model is wrapped in."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim.swa_utils import AveragedModel

from lottery_ticket.errors import UsageError, nearest

__all__ = [
    "Location",
    "canonical_name",
    "check_shape",
    "find_parameters",
    "joined",
    "lazy_names",
    "named_modules",
    "named_state",
    "near",
    "parameter_locations",
]

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


def check_shape(what: str, shape: Sequence[int], wanted: Sequence[int], whose: str) -> None:
    """See that a tensor has the shape of another of its name.

    Args:
        what: is checked, in an error.
        shape: that it has.
        wanted: that of the other.
        whose: the other, in an error.

    Raises:
        UsageError: it has another shape.

    >>> check_shape("mask: 'fc.weight'", (3, 2), (3, 4), "the model")
    Traceback (most recent call last):
        ...
    lottery_ticket.errors.UsageError: mask: 'fc.weight' has shape (3, 2), the model has (3, 4)
    """
    if tuple(shape) != tuple(wanted):
        raise UsageError(f"{what} has shape {tuple(shape)}, {whose} has {tuple(wanted)}")


def named_modules(model: nn.Module) -> dict[str, nn.Module]:
    """All modules by canonical name, in model order; a shared one under each of its names.

    A wrapper has the name of what it wraps, which is what stands here.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    return {name: modules[path] for path, name in _canonical_paths(modules).items()}


@dataclass(frozen=True)
class Location:
    """Where a parameter is found in a model as it stands.

    Args:
        path: attributes that lead from the model to the module, through wrappers too.
        leaf: the parameter's own name in it.
        parameter: what is there.
    """

    path: tuple[str, ...]
    leaf: str
    parameter: nn.Parameter


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
    known = parameter_locations(model)
    found: dict[str, nn.Parameter] = {}
    name_of: dict[int, str] = {}
    for name in names:
        if name not in known:
            raise UsageError(
                f"the model has no parameter {name!r}, which the mask names{near(name, known)}"
            )
        found[name] = known[name].parameter
        other = name_of.setdefault(id(found[name]), name)
        if other != name:
            raise UsageError(
                f"{other!r} and {name!r} are one tied parameter of the model; a mask names it once"
            )
    return found


def named_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The model's `state_dict()`, of which every entry can be copied and saved.

    Raises:
        UsageError: an entry is no plain dense tensor with values, or the model has no state.

    >>> list(named_state(nn.Linear(2, 1)))
    ['weight', 'bias']
    """
    try:
        state = model.state_dict()
    except Exception as error:  # a user's own model may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UsageError(f"the model has no state that could be saved ({reason})") from error
    for name, value in state.items():
        if (what := _why_not_plain(value)) is not None:
            raise UsageError(
                f"the model's state {name!r} is {what}; only dense tensors can be rewound and "
                "saved. Of a quantised layer, take the model before that (the format int8 "
                "quantises); what get_extra_state or a hook adds, keep elsewhere"
            )
    return state


def _why_not_plain(value: object) -> str | None:
    if not isinstance(value, torch.Tensor):
        return f"a {type(value).__name__}"
    if value.is_meta:
        return "a tensor without values (on the device meta)"
    if value.is_quantized or value.layout != torch.strided:
        return f"a tensor of {value.dtype} in the layout {value.layout}"
    return None


def lazy_names(model: nn.Module) -> list[str]:
    """The parameters and buffers of lazy layers, which have no shape before the model has run.

    >>> lazy_names(nn.LazyLinear(2))
    ['weight', 'bias']
    """
    held = [*model.named_parameters(), *model.named_buffers()]
    return [canonical_name(name, model) for name, value in held if is_lazy(value)]


def parameter_locations(model: nn.Module) -> dict[str, Location]:
    """Every parameter under each of its names; canonical ones win, as a mask has those."""
    modules = dict(model.named_modules(remove_duplicate=False))
    plain, canonical = {}, {}
    for path, name in _canonical_paths(modules).items():
        for leaf, value in modules[path].named_parameters(recurse=False, remove_duplicate=False):
            location = Location(tuple(path.split(".")) if path else (), leaf, value)
            plain[joined(path, leaf)] = canonical[joined(name, leaf)] = location
    return plain | canonical


def joined(path: str, leaf: str) -> str:
    """The name of what a module holds; the model itself has the path ''."""
    return f"{path}.{leaf}" if path else leaf


def near(name: str, names: Iterable[str]) -> str:
    """`nearest`, without the list of all names when none is near: a large model has thousands."""
    hint = nearest(name, names)
    return hint if "did you mean" in hint else ""


def _canonical_paths(modules: Mapping[str, nn.Module]) -> dict[str, str]:
    """Qualified names of modules → their canonical ones."""
    names = {"": ""}
    for path in modules:
        parent, _, part = path.rpartition(".")
        if path and _is_wrapped(modules[parent], part):
            names[path] = names[parent]
        elif path:
            names[path] = joined(names[parent], part)
    return names


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
