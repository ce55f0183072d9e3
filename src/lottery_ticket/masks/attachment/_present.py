"""The parameters that a mask names, as a model has them now, and whether a mask can hold them."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn
from torch.nn.utils import parametrize

from lottery_ticket.errors import UsageError
from lottery_ticket.masks.attachment._optimizers import names_a_library
from lottery_ticket.names import check_shape, find_parameters, named_modules, parameter_locations

__all__ = [
    "check_can_be_held",
    "check_is_whole",
    "is_zero_where_pruned",
    "present_parameters",
    "ties_in",
]


def check_is_whole(model: nn.Module) -> None:
    """Refuse a model whose parameters lie in pieces, or elsewhere.

    Raises:
        UsageError: it is wrapped by FSDP, or is an engine of DeepSpeed.
    """
    for module in model.modules():
        kinds = {each.__name__ for each in type(module).__mro__}
        if "FullyShardedDataParallel" in kinds:
            what = "FSDP keeps its parameters as one flat tensor in pieces"
        elif names_a_library(module, "deepspeed.runtime"):
            what = "DeepSpeed trains copies of its parameters"
        else:
            continue
        raise UsageError(
            f"attach: the model is a {type(module).__name__}, and {what}, where no mask fits; "
            "train with DDP (DistributedDataParallel), or on one device"
        )


def check_can_be_held(parameters: Mapping[str, nn.Parameter]) -> None:
    """See, before anything is changed, that weights and gradients can be masked in place.

    Raises:
        UsageError: one of them cannot.
    """
    for name, parameter in parameters.items():
        if (why := _why_not_held(parameter)) is not None:
            raise UsageError(f"attach: {name!r} {why}; or `ignore` it when making the mask")


def _why_not_held(parameter: nn.Parameter) -> str | None:
    if "DTensor" in {each.__name__ for each in type(parameter).__mro__}:
        return "is a DTensor, in pieces (FSDP2, tensor parallelism): train with DDP"
    if parameter.is_meta:
        return "has no values yet (device meta): attach after to_empty() or loading its weights"
    if parameter.is_quantized or not (parameter.is_floating_point() or parameter.is_complex()):
        return f"is of {parameter.dtype}, which is not trained: attach before quantising"
    if parameter.itemsize not in (1, 2, 4, 8):
        return f"is of {parameter.dtype}: use one of at most 8 bytes"
    if parameter.layout != torch.strided:
        return f"has the layout {parameter.layout}: use a dense tensor"
    if any(
        step == 0 and size > 1
        for step, size in zip(parameter.stride(), parameter.shape, strict=True)
    ):
        return "is an expanded view, of which one weight stands for many: clone it"
    if parameter.is_inference():
        return "was made under torch.inference_mode() and cannot be trained: make it outside"
    if parameter.grad is not None and parameter.grad.layout != torch.strided:
        return (
            f"has a {parameter.grad.layout} gradient; a pruned parameter wants a dense one "
            "(nn.Embedding(…, sparse=False), zero_grad())"
        )
    return None


def ties_in(model: nn.Module, names: Iterable[str]) -> dict[str, list[str]]:
    """The other names of each parameter that is tied."""
    places: dict[int, dict[tuple[object, ...], str]] = {}  # of a parameter → the name of each
    locations = parameter_locations(model)
    for name, at in locations.items():
        places.setdefault(id(at.parameter), {})[at.path, at.leaf] = name
    ties = {}
    for name, parameter in find_parameters(model, names).items():
        here = locations[name].path, locations[name].leaf
        ties[name] = [other for at, other in places[id(parameter)].items() if at != here]
    return {name: others for name, others in ties.items() if others}


def present_parameters(
    model: nn.Module, mask: Mapping[str, torch.Tensor], ties: Mapping[str, Sequence[str]]
) -> dict[str, nn.Parameter]:
    """The parameters that a mask was attached to, as they are now.

    Raises:
        UsageError: one is gone, has another shape, or is tied otherwise than it was.
    """
    try:
        found = find_parameters(model, mask)
    except UsageError as error:
        hidden = next((text for name in mask if (text := _where_it_went(model, name))), "")
        raise UsageError(f"{error}{hidden}") from None
    for name, parameter in found.items():
        check_shape(f"the mask of {name!r}", mask[name].shape, parameter.shape, "the model")
    locations = parameter_locations(model) if ties else {}
    for name, others in ties.items():
        for other in others:
            is_there = name in found and other in locations
            if is_there and locations[other].parameter is not found[name]:
                raise UsageError(
                    f"{name!r} and {other!r} were one tied parameter when the mask was attached, "
                    "and are two now: tie them again (load_state_dict(assign=True) unties), or "
                    "attach a mask that names both"
                )
    return found


def is_zero_where_pruned(parameter: torch.Tensor, kept: torch.Tensor) -> bool:
    """Whether every pruned weight is exactly zero."""
    return not bool(torch.gt(parameter.detach() != 0, kept.to(parameter.device)).any())


def _where_it_went(model: nn.Module, name: str) -> str:
    """What became of a parameter that utilities of torch replace by others; "" if none of them."""
    path, _, leaf = name.rpartition(".")
    module = named_modules(model).get(path)
    if module is None:
        return ""
    if parametrize.is_parametrized(module, leaf):
        return (
            f"; a parametrization makes {name!r} from other parameters now: remove it "
            "(torch.nn.utils.parametrize.remove_parametrizations) or detach the mask"
        )
    for suffix, origin, remedy in (
        ("_orig", "torch.nn.utils.prune", "torch.nn.utils.prune.remove"),
        ("_v", "torch.nn.utils.weight_norm", "torch.nn.utils.remove_weight_norm"),
    ):
        if leaf + suffix in module._parameters:
            return f"; {origin} keeps it as {name + suffix!r} now: {remedy}, or detach the mask"
    return ""
