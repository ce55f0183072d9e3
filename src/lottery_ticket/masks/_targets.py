"""What `targets` and `ignore` mean: which parameters of a model they speak of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn
from torch.nn.parameter import is_lazy

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._kinds import (
    EMBEDDINGS,
    is_weight_name,
    is_weight_of_layer,
    made_weights,
)
from lottery_ticket.names import joined, named_modules, near

__all__ = [
    "QUIET_REASONS",
    "Match",
    "Place",
    "Target",
    "is_prunable_kind",
    "matched",
    "places_in",
    "why_not",
]

Target = str | type[nn.Module] | tuple[nn.Module, str]
"""A class, its name, a module's or parameter's name, `"re:…"`, or (module, `"weight"`)."""

Modules = Mapping[str, nn.Module]


@dataclass(frozen=True)
class Place:
    """One name under which a model has a parameter; a tied parameter has several places.

    `value` is None where a prunable layer's weight is not a parameter, but made from `originals`.
    """

    path: str
    leaf: str
    module: nn.Module
    value: nn.Parameter | None
    is_embedding: bool
    """Whether the parameter is an embedding's, here or in another place."""
    originals: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return joined(self.path, self.leaf)

    @property
    def is_weight(self) -> bool:
        return is_weight_name(self.leaf)


def places_in(model: nn.Module) -> list[Place]:
    """All places of all parameters of `model`, under canonical names."""
    modules = named_modules(model)
    embedding_weights = {id(m.weight) for m in modules.values() if isinstance(m, EMBEDDINGS)}
    places = []
    for path, module in modules.items():
        own = dict(module.named_parameters(recurse=False, remove_duplicate=False))
        places += [
            Place(path, leaf, module, None, False, tuple(joined(path, name) for name in originals))
            for leaf, originals in made_weights(module).items()
        ]
        places += [
            Place(path, leaf, module, value, id(value) in embedding_weights)
            for leaf, value in own.items()
        ]
    return places


def is_prunable_kind(place: Place) -> bool:
    """Whether a parameter is pruned without being asked for."""
    is_weight = is_weight_of_layer(place.module, place.leaf, place.value)
    return is_weight and not place.is_embedding


QUIET_REASONS = ("bias", "norm", "vector")
"""Why most models leave out parameters that hold next to nothing; nobody has to be told."""


def why_not(places: list[Place]) -> str:
    """Why a parameter is not pruned unasked, or not asked for; `places` are all those it has."""
    place = places[0]
    if place.is_embedding:
        sharing = [p.name for p in places if not isinstance(p.module, EMBEDDINGS)]
        return f"embedding, shared with {', '.join(sharing)}" if sharing else "embedding"
    if any(is_prunable_kind(place) for place in places):
        return "not among the targets"
    if "bias" in place.leaf:
        return "bias"
    value = place.value
    if value is None or is_lazy(value):
        return "no shape yet"
    if _is_made_of(place):
        return "original of a parametrization"
    kind = type(place.module).__name__
    if value.ndim < 2:
        return "norm" if "norm" in kind.lower() else "vector"
    return f"no weight of a layer that is known ({kind})"


@dataclass(frozen=True)
class Match:
    """What a target speaks of.

    Args:
        asked: places it asks for, of whatever kind.
        inside: places inside the modules it matches.
    """

    asked: list[Place]
    inside: list[Place]


def matched(target: object, places: list[Place], modules: Modules, what: str) -> Match:
    """The places that `target` speaks of.

    Args:
        target: a `Target`.
        places: all there are.
        modules: all modules by canonical name.
        what: "targets" or "ignore", for errors.

    Raises:
        UsageError: it is no target, or matches nothing in the model.
    """
    if isinstance(target, tuple):
        return _by_pair(target, places, what)
    if isinstance(target, type):
        return _by_class(target, places, modules, what)
    if not isinstance(target, str) or not target:
        raise UsageError(
            f"{what}: got {target!r}, wanted a class name, a class, a module or parameter name, "
            "'re:<regex>' or a pair (module, 'weight')"
        )
    if target.startswith("re:"):
        return _by_regex(target, places, modules, what)
    return _by_name(target, places, modules, what)


def _by_pair(target: tuple[object, ...], places: list[Place], what: str) -> Match:
    module, leaf = target if len(target) == 2 else (None, None)
    if not isinstance(module, nn.Module) or not isinstance(leaf, str):
        raise UsageError(f"{what}: got {target!r}, wanted a pair (module, 'weight')")
    of_module = [place for place in places if place.module is module]
    found = [place for place in of_module if place.leaf == leaf]
    if not found:
        kind, hint = type(module).__name__, near(leaf, [place.leaf for place in of_module])
        raise UsageError(f"{what}: the model has no parameter {leaf!r} of this {kind}{hint}")
    return Match(found, [])


def _by_class(kind: type, places: list[Place], modules: Modules, what: str) -> Match:
    found = _of_modules({p for p, m in modules.items() if isinstance(m, kind)}, places)
    if found is None:
        raise UsageError(f"{what}: the model has no {kind.__name__}")
    return found


def _by_name(name: str, places: list[Place], modules: Modules, what: str) -> Match:
    paths = {path for path, module in modules.items() if name in _class_names(module)}
    by_class = _of_modules(paths, places) or Match([], [])
    named = [p for p in places if p.name == name or (p.path == name and p.is_weight)]
    if not (paths or named or name in modules):
        kinds = {type(module).__name__ for module in modules.values()}
        hint = near(name, {*kinds, *modules, *(place.name for place in places)} - {""})
        hint = hint or f"; its classes: {', '.join(sorted(kinds))}"
        raise UsageError(f"{what}: the model has no class, module or parameter {name!r}{hint}")
    inside = [place for place in places if _is_inside(place, {name})]
    return Match(by_class.asked + named, by_class.inside + inside)


def _by_regex(target: str, places: list[Place], modules: Modules, what: str) -> Match:
    regex = target.removeprefix("re:")
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise UsageError(f"{what}: {target!r} is not a regular expression ({error})") from None
    paths = {path for path in modules if pattern.match(path)}
    inside = [place for place in places if _is_inside(place, paths)]
    # what matches with its module comes as a part of that; a bias is asked for by its name alone
    asked = [p for p in places if pattern.match(p.name) and not _is_inside(p, paths)]
    if not (paths or asked):
        raise UsageError(
            f"{what}: {target!r} matches no module and no parameter; it is matched from the start "
            f"of the name, 're:.*{regex}' finds it anywhere"
        )
    return Match(asked, inside)


def _of_modules(paths: set[str], places: list[Place]) -> Match | None:
    """The weights of modules matched by class, and all that is inside them."""
    if not paths:
        return None
    asked = [p for p in places if p.path in paths and p.is_weight and _is_own(p)]
    return Match(asked, [place for place in places if _is_inside(place, paths)])


def _class_names(module: nn.Module) -> set[str]:
    """A name stands for the class and what is derived from it, as in compressed-tensors."""
    return {kind.__name__ for kind in type(module).__mro__ if issubclass(kind, nn.Module)}


def _is_own(place: Place) -> bool:
    """`"Linear"` does not ask for an embedding that an output layer shares; `"Embedding"` does."""
    return not place.is_embedding or isinstance(place.module, EMBEDDINGS)


def _is_inside(place: Place, paths: set[str]) -> bool:
    parts = place.path.split(".") if place.path else []
    return any(".".join(parts[:depth]) in paths for depth in range(len(parts) + 1))


def _is_made_of(place: Place) -> bool:
    """Whether a parameter is what a parametrisation, or the old weight_norm, makes weights from."""
    if isinstance(place.module, nn.utils.parametrize.ParametrizationList):
        return True
    return any(place.leaf in originals for originals in made_weights(place.module).values())
