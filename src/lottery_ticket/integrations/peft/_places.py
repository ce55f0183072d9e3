"""Where a mask's parameters are in a model with adapters, and whether they can be held there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.integrations.peft._copies import MaskedCopies
from lottery_ticket.integrations.peft._layers import MaskedLayer, is_known, why_no_variant
from lottery_ticket.masks import check_can_be_held, present_parameters
from lottery_ticket.names import check_shape, joined, named_modules, near

__all__ = ["Place", "check_place", "has_adapters", "kept_before", "places"]

_INSIDE = ("base_layer", "lora_", "original_module", "modules_to_save")


@dataclass(frozen=True)
class Place:
    """A parameter of the base model that a mask holds.

    Args:
        name: its own, in the base model.
        of: the name that the mask has for it: another one where it is tied.
        kept: what is kept of it.
        module: that stands where the parameter's module was: of peft, or the model's own.
    """

    name: str
    of: str
    kept: torch.Tensor
    module: nn.Module

    @property
    def leaf(self) -> str:
        """The parameter's name in its module."""
        return self.name.rpartition(".")[2]

    @property
    def has_factors(self) -> bool:
        """Whether adapters add to it."""
        return has_adapters(self.module) and self.leaf == "weight"

    @property
    def has_copies(self) -> bool:
        """Whether adapters train copies of it."""
        return _has_copies(self.module)

    @property
    def holders(self) -> list[nn.Module]:
        """The modules that really have the parameter: peft wraps, and copies what it trains."""
        return _holders(self.module)

    @property
    def tensors(self) -> list[nn.Parameter]:
        """The parameter, and the copies of it."""
        found = [getattr(holder, self.leaf, None) for holder in self.holders]
        return [each for each in found if isinstance(each, torch.Tensor)]  # type: ignore[misc]


def places(model: nn.Module, mask: Mapping[str, torch.Tensor]) -> list[Place]:
    """Where each parameter of the mask is in the base model, and all that are tied to one.

    Raises:
        UsageError: the base model does not have one.
    """
    owner = next((m for m in model.modules() if hasattr(m, "get_base_model")), None)
    base = model if owner is None else owner.get_base_model()  # type: ignore[operator]
    modules = named_modules(base)
    named = [_named_place(name, kept, modules) for name, kept in mask.items()]
    return [*named, *_tied_to(named, modules)]


def _named_place(name: str, kept: torch.Tensor, modules: Mapping[str, nn.Module]) -> Place:
    path = name.rpartition(".")[0]
    if _is_inside(name):
        raise UsageError(
            f"attach_lora: the mask names {name!r}, which is peft's own: make the mask of the "
            "base model, before get_peft_model"
        )
    module = modules.get(path)
    place = None if module is None else Place(name, name, kept, module)
    if place is None or not place.tensors:
        hint = _around(path, modules) or near(name, _parameter_names(modules))
        raise UsageError(
            f"attach_lora: the base model has no parameter {name!r}, which the mask names{hint}"
        )
    return place


def _tied_to(named: list[Place], modules: Mapping[str, nn.Module]) -> Iterator[Place]:
    """What other names, or copies, the parameters have: by identity."""
    held = {id(tensor): place for place in named for tensor in place.tensors}
    met = {(id(place.module), place.leaf) for place in named}
    for path, module in modules.items():
        if _is_inside(path):
            continue
        for holder in _holders(module):
            for leaf, parameter in holder._parameters.items():
                place = held.get(id(parameter))
                if place is not None and (id(module), leaf) not in met:
                    met.add((id(module), leaf))
                    yield Place(joined(path, leaf), place.of, place.kept, module)


def _is_inside(name: str) -> bool:
    return any(part.startswith(_INSIDE) for part in name.split("."))


def _around(path: str, modules: Mapping[str, nn.Module]) -> str:
    """Whether another adapter's layer stands around a place."""
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        module = modules.get(".".join(parts[:end]))
        if module is not None and hasattr(module, "base_layer"):
            return f"; it is inside a {type(module).__name__} of peft, which cannot be masked"
    return ""


def _parameter_names(modules: Mapping[str, nn.Module]) -> list[str]:
    return [
        joined(path, leaf)
        for path, module in modules.items()
        if not _is_inside(path)
        for leaf in getattr(module, "base_layer", module)._parameters
    ]


def has_adapters(module: nn.Module) -> bool:
    """Whether it is a layer of peft around another, of whatever kind."""
    return hasattr(module, "base_layer") and hasattr(module, "get_base_layer")


def _has_copies(module: nn.Module) -> bool:
    return hasattr(module, "modules_to_save") and hasattr(module, "original_module")


def _holders(module: nn.Module) -> list[nn.Module]:
    if has_adapters(module):
        return [module.get_base_layer()]  # type: ignore[operator]
    if _has_copies(module):
        copies = module.modules_to_save
        return [module.original_module, *copies.values()]  # type: ignore[operator, union-attr, list-item]
    return [module]


def check_place(place: Place) -> None:
    """See that a mask fits what is at its place, and can be held there.

    Raises:
        UsageError: it does not.
    """
    name, module, kept = place.name, place.module, place.kept
    for tensor in place.tensors:
        check_shape(f"the mask of {name!r}", kept.shape, tensor.shape, "the model")
        check_can_be_held({name: tensor})
    for holder in place.holders:
        try:
            present_parameters(holder, {place.leaf: kept}, {})
        except UsageError as error:
            raise UsageError(f"attach_lora: {name!r} cannot be held: {error}") from None
    before = kept_before(place)
    if before is not None and not torch.equal(before, kept.to(before)):
        raise UsageError(
            f"attach_lora: {name!r} is held to another mask already; detach() that one first"
        )
    if not isinstance(module, MaskedLayer) and has_adapters(module):
        _check_layer(name, module)


def kept_before(place: Place) -> torch.Tensor | None:
    """What an `attach_lora` before this one keeps at a place; None if it was none."""
    if place.has_factors and isinstance(place.module, MaskedLayer):
        return place.module.kept_weights
    if isinstance(place.module, MaskedCopies):
        return place.module.kept_in_copies.get(place.leaf)
    return None


def _check_layer(name: str, layer: Any) -> None:
    kind = type(layer)
    if not is_known(layer):
        raise UsageError(
            f"attach_lora: {name!r} has adapters of {kind.__module__}.{kind.__name__}, whose sum "
            "with the weight is not W + BA on plain weights (embeddings, attention in one layer, "
            "quantised or sharded weights, other tuners): take it out of target_modules, or "
            "`ignore` it when making the mask"
        )
    if name.rpartition(".")[2] == "bias" and any(layer.lora_bias.values()):
        raise UsageError(f"attach_lora: {name!r} is masked, and lora_bias=True adds to it")
    for adapter, variant in layer.lora_variant.items():
        raise UsageError(why_no_variant(f"adapter {adapter!r} of {name!r}", variant))
    if layer.merged:
        raise UsageError(
            f"attach_lora: adapters of {name!r} are merged, without the mask: unmerge_adapter() "
            "first"
        )
