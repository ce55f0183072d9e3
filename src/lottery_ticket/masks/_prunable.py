"""Which parameters of a model are prunable: the weights of its layers, unless asked otherwise."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._kinds import input_dim
from lottery_ticket.masks._targets import (
    Place,
    Target,
    is_prunable_kind,
    matched,
    places_in,
    why_not,
)
from lottery_ticket.names import canonical_name, find_parameters, named_modules

__all__ = [
    "Prunable",
    "check_any",
    "input_dims",
    "prunable_in",
    "prunable_parameters",
    "prunable_sizes",
]

_MAX_LISTED = 3
_BUILT_OF_LAYERS = (
    "a run prunes the weights of layers alone: build the model of nn.Linear, nn.Conv2d and the like"
)
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def prunable_parameters(
    model: nn.Module,
    *,
    targets: Iterable[Target] | None = None,
    ignore: Iterable[Target] = (),
    min_size: int = 0,
) -> dict[str, nn.Parameter]:
    """The prunable parameters by their qualified name, in model order; tied ones count once.

    By default the weights of Linear, Conv1d/2d/3d, ConvTranspose1d/2d/3d, MultiheadAttention (the
    packed ones too), LSTM, GRU, RNN and their cells; of `Conv1D`, GPT-2's linear layer in
    transformers; and the experts of a mixture that are one parameter of three dimensions
    (`gate_up_proj`, `down_proj` and their like). Biases, norms and embeddings only on request, and
    so is a weight that an output layer shares with an embedding. What other modules compute with
    parameters of their own cannot be known: `PruningMask.left_out` says what was left out and why.

    Names are those without `torch.compile`, `DataParallel` or DDP around the model (or around
    parts of it). A tied parameter has its first name; any of them selects it. Weights in the form
    of torch.nn.utils.prune are left out.

    Args:
        model: the model; the meta device will do.
        targets: what to prune in place of the default, a list of
            a class or its name (`nn.Linear`, `"LayerNorm"`): the weights of such layers, of
            whatever kind, and what is prunable by default inside them;
            a module's name (`"encoder.0"`): the same for that module;
            `"re:<regex>"`, matched from the start of the name (`re.match`): what is prunable by
            default in modules it matches, and any parameter that it matches by its own name only
            (`"re:.*bias"`);
            a parameter's name (`"fc1.bias"`), or a pair (module, `"bias"`): that parameter.
        ignore: what not to prune, in the same forms; all that is inside a module it matches. It
            wins over `targets`.
        min_size: parameters with fewer weights are left out.

    Raises:
        UsageError: a target matches nothing or selects no parameter; a selected parameter is not
            real floating point (complex, integer, quantised), has no shape yet, or is made from
            others by a parametrisation.

    >>> model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    >>> list(prunable_parameters(model))
    ['0.weight']
    >>> list(prunable_parameters(model, targets=["BatchNorm1d", "re:.*bias"], ignore=["0"]))
    ['1.weight', '1.bias']

    Source: the forms of `targets` and `ignore` are those of compressed-tensors.
    """
    found = prunable_in(model, targets=targets, ignore=ignore, min_size=min_size)
    return dict(found.parameters)


@dataclass(frozen=True)
class Prunable:
    """What of a model is prunable, and what is not.

    Args:
        parameters: the prunable ones by name, in model order.
        left_out: every other parameter by name → why, the largest first.
        named: of the prunable ones those that `targets` asked for → whether by their own name, or
            that of the layer they belong to.
    """

    parameters: Mapping[str, nn.Parameter]
    left_out: Mapping[str, str]
    named: Mapping[str, bool]


def prunable_in(
    model: nn.Module,
    *,
    targets: Iterable[Target] | None = None,
    ignore: Iterable[Target] = (),
    min_size: int = 0,
    in_spec: bool = False,
    without_unfit: bool = False,
) -> Prunable:
    """As `prunable_parameters`, with what is left out and why.

    Args:
        model, targets, ignore, min_size: as there.
        in_spec: `ignore` is from a spec, so that errors advise what can be written there.
        without_unfit: leave out what cannot be pruned, in place of an error. For those who look at
            a model that is pruned already, or count weights.

    Raises:
        UsageError: as there.
    """
    if isinstance(min_size, bool) or not isinstance(min_size, int) or min_size < 0:
        raise UsageError(f"min_size: got {min_size!r}, wanted a number of weights, 0 or more")
    places = places_in(model)
    targets = None if targets is None else _listed(targets, "targets")
    chosen = _selected(model, places, targets)
    ignored = _ignored(model, places, ignore)
    chosen = [place for place in chosen if _key(place) not in ignored]
    unfit = {}
    if without_unfit:
        unfit = {_key(place): reason for place in chosen if (reason := _why_unfit(place))}
        chosen = [place for place in chosen if _key(place) not in unfit]
    for place in chosen:
        _check(place, in_spec)
    wanted = {id(place.value) for place in chosen}
    # named_parameters gives a tied parameter once, under its first name
    named = {canonical_name(name, model): value for name, value in model.named_parameters()}
    found = {n: v for n, v in named.items() if id(v) in wanted and v.numel() >= min_size}
    left_out = {}
    rest = {name: value for name, value in named.items() if name not in found}
    for name, value in sorted(rest.items(), key=lambda item: -_size(item[1])):
        if id(value) in wanted:
            left_out[name] = f"smaller than min_size {min_size}"
        elif id(value) in ignored:
            left_out[name] = "ignored"
        elif id(value) in unfit:
            left_out[name] = unfit[id(value)].removeprefix("is ")
        else:
            left_out[name] = why_not([place for place in places if place.value is value])
    own = {id(p.value) for p in chosen if any(_is_own_name(t, p) for t in targets or ())}
    asked = {} if targets is None else {name: id(value) in own for name, value in found.items()}
    return Prunable(found, left_out, asked)


def layer_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """All weights of layers that could be pruned, whatever an experiment leaves out.

    What is prunable by default, without what cannot be pruned. To count and to look at; what *is*
    pruned, a mask says.

    >>> list(layer_weights(nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))))
    []
    """
    return dict(prunable_in(model, without_unfit=True).parameters)


def check_any(found: Prunable, *, in_spec: bool = False) -> Prunable:
    """What was found, where it is something.

    Raises:
        UsageError: nothing is prunable; it says what there is, and how to name it.
    """
    if found.parameters:
        return found
    reasons = found.left_out
    if not reasons:
        raise UsageError("nothing to prune: the model has no parameters")
    listed = [f"{name} ({why})" for name, why in list(reasons.items())[:_MAX_LISTED]]
    more = f" and {len(reasons) - len(listed)} more" if len(reasons) > len(listed) else ""
    asked_out = [name for name, why in reasons.items() if why.startswith(("ignored", "smaller"))]
    name = next((name for name in reasons if name not in asked_out), None)
    if in_spec:
        hint = "leave less out with prune.ignore" if asked_out else _BUILT_OF_LAYERS
    elif name is None:
        hint = "leave less out with ignore= or min_size="
    else:
        hint = f"name what to prune, such as targets=[{name!r}]"
    raise UsageError(f"nothing to prune: the model has {', '.join(listed)}{more}; {hint}")


def prunable_sizes(
    model: nn.Module,
    *,
    targets: Iterable[Target] | None = None,
    ignore: Iterable[Target] = (),
    min_size: int = 0,
) -> dict[str, int]:
    """Number of weights in each of the `prunable_parameters`.

    >>> prunable_sizes(nn.Linear(3, 2))
    {'weight': 6}
    """
    found = prunable_parameters(model, targets=targets, ignore=ignore, min_size=min_size)
    return {name: value.numel() for name, value in found.items()}


def input_dims(model: nn.Module, names: Iterable[str]) -> dict[str, int]:
    """Which dimension of each weight counts its layer's inputs; the other of 0 and 1 its outputs.

    0 for transposed convolutions, whose weights are (in, out, …), and for the `Conv1D` of
    transformers (GPT-2's linear layer); 1 for all others.

    Experts of a mixture that are one parameter have their number in front: 2 for weights (experts,
    out, in), and -2, counted from the end, for (experts, in, out), as 1 is what a `Conv1d` has.
    Which of both it is, transformers says (`is_transposed`), or the biases, or that `down_proj`
    reads half of what `gate_up_proj` gives; where nothing does, it is taken to be (experts, out,
    in), as `torch.nn.functional.linear` has it.

    Args:
        model: the model.
        names: parameter names, as a mask has them.

    Raises:
        UsageError: the model has no such parameter.

    >>> input_dims(nn.Sequential(nn.ConvTranspose1d(2, 3, 1), nn.Linear(2, 1)), ["0.weight"])
    {'0.weight': 0}
    """
    parameters = find_parameters(model, names)
    known = {
        id(value): input_dim(module, leaf, value)
        for module in named_modules(model).values()
        for leaf, value in module.named_parameters(recurse=False)
    }
    return {name: known[id(value)] for name, value in parameters.items()}


def _selected(
    model: nn.Module, places: list[Place], targets: Iterable[Target] | None
) -> list[Place]:
    if targets is None:
        return [place for place in places if is_prunable_kind(place)]
    modules = named_modules(model)
    chosen = []
    for target in _listed(targets, "targets"):
        match = matched(target, places, modules, "targets")
        found = match.asked + [place for place in match.inside if is_prunable_kind(place)]
        if not found:
            raise UsageError(
                f"targets: {_text(target)} selects no parameter: what it matches has no weight "
                "that is pruned unasked (embeddings, also where an output layer shares them, norms "
                "and biases are not); name the class ('LayerNorm') or the parameters ('fc1.bias')"
            )
        chosen += found
    if not chosen:
        raise UsageError("targets: an empty list selects nothing; leave it out for the default")
    return chosen


def _ignored(model: nn.Module, places: list[Place], ignore: Iterable[Target]) -> set[object]:
    modules = named_modules(model)
    found = set()
    for target in _listed(ignore, "ignore"):
        match = matched(target, places, modules, "ignore")
        found |= {_key(place) for place in match.asked + match.inside}
    return found


def _is_own_name(target: Target, place: Place) -> bool:
    """Whether a target is the name of the parameter, or of the layer that it belongs to."""
    if isinstance(target, tuple):
        return target == (place.module, place.leaf)
    return target in (place.name, place.path)


def _listed(targets: Iterable[Target], what: str) -> list[Target]:
    if isinstance(targets, str | type | nn.Module) or not isinstance(targets, Iterable):
        raise UsageError(f"{what}: got {_text(targets)}, wanted a list of such: [{_text(targets)}]")
    return list(targets)


def _text(target: object) -> str:
    return target.__name__ if isinstance(target, type) else repr(target)


def _size(value: nn.Parameter) -> int:
    return 0 if is_lazy(value) else value.numel()


def _key(place: Place) -> object:
    """The same for all places of one parameter."""
    return place.name if place.value is None else id(place.value)


def _check(place: Place, in_spec: bool) -> None:
    reason = _why_unfit(place)
    if reason is None:
        return
    name = place.name
    hint = f"leave it out with {f'prune.ignore: [{name!r}]' if in_spec else f'ignore=[{name!r}]'}"
    if place.value is None:
        more = "" if in_spec else " (and name one of those in targets= to prune that)"
        hint += f"{more}, or remove the parametrisation"
    elif is_lazy(place.value):
        hint = f"run the model once, or {hint}"
    raise UsageError(f"{name!r} {reason}; {hint}")


def _why_unfit(place: Place) -> str | None:
    """Why a weight cannot be pruned, if so."""
    value = place.value
    if value is None:
        return f"is no parameter but made from {list(place.originals)}"
    if is_lazy(value):
        return "has no shape yet"
    if value.dtype not in _DTYPES or is_traceable_wrapper_subclass(value):
        kind = "" if type(value) is nn.Parameter else f" in a {type(value).__name__}"
        return (
            f"is {value.dtype}{kind}; only plain float16, bfloat16, float32 and float64 weights "
            "can be pruned"
        )
    return None
