"""Which layers structure "channel" cuts: convolutions, layers that are named, never the output."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask, input_dims, is_cut_by_channels
from lottery_ticket.names import find_parameters, named_modules
from lottery_ticket.pruning._outputs import (
    Example,
    example_of,
    inputs_seen,
    output_parameters,
)

__all__ = ["ChannelLayers", "channel_layers", "example_of_given"]

_BY_GRAPH = "the model's output, as its graph says"
_BY_RULE = "taken for the model's output, the last {kind} (there is no example to follow)"
_UNNAMED = "{kind}; structure 'channel' leaves it whole unless targets= names it"


@dataclass(frozen=True)
class ChannelLayers:
    """What of a mask is cut by channels.

    Args:
        cut: the layers that are cut, with what is kept of them. Its `left_out` names the others.
        held: layers that are not cut, but of which something is pruned already.
    """

    cut: PruningMask
    held: PruningMask

    def joined(self, cut: PruningMask, order: Iterable[str]) -> PruningMask:
        """`cut` with what is held, in the order of the mask that both are from."""
        both = {**cut, **self.held}
        made = {name: both[name] for name in order if name in both}
        return PruningMask.from_tensors(made).told_by(cut)


def channel_layers(
    model: nn.Module,
    mask: PruningMask,
    example: object | None = None,
    *,
    is_guess: bool = False,
) -> ChannelLayers:
    """The layers of `mask` that structure "channel" cuts.

    | layer | |
    |---|---|
    | a convolution | is cut |
    | another, a linear layer say | if `targets` asked for it, or it was cut by channels already |
    | the model's output | only if `targets` asked for it by its own name |

    What is not cut is in no count, and stands in `left_out` with the reason; unless some of it is
    pruned already, one by one: then it stays in the mask, as it is.

    The output is what the graph says for an example (`output_parameters`). Without one, the last
    linear layer in model order is taken for it, and the last convolution if it comes later.

    Args:
        model: what the mask is for.
        mask: what is kept now.
        example: what the model is called with: a batch of inputs, a tuple of them, or a dict.
        is_guess: the example is not the user's: one that does not do is as none.

    Raises:
        UsageError: there is nothing to cut; the model does not run on the example.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 2))
    >>> layers = channel_layers(net, PruningMask(net))
    >>> list(layers.cut), layers.cut.left_out["2.weight"][:29]
    (['0.weight'], "taken for the model's output,")
    """
    parameters = find_parameters(model, mask)
    owners, dims = _owners(model, mask), input_dims(model, mask)
    outputs = _outputs(model, mask, example, is_guess)
    cut: dict[str, torch.Tensor] = {}
    held: dict[str, torch.Tensor] = {}
    reasons: dict[str, str] = {}
    for name, kept in mask.items():
        owner, key = owners[name], id(parameters[name])
        is_wanted = name in mask.named or isinstance(owner, _ConvNd)
        is_wanted = is_wanted or is_cut_by_channels(kept, dims[name])
        if mask.named.get(name) or (is_wanted and key not in outputs):
            cut[name] = kept
        elif bool(kept.all()):
            reasons[name] = outputs.get(key) or _UNNAMED.format(kind=_kind(owner))
        else:
            held[name] = kept
    found = {name: reasons[name] for name in reasons if id(parameters[name]) in outputs}
    if not cut:
        raise UsageError(_nothing_to_cut(mask, list(found), list(owners.values())))
    largest_first = sorted(reasons, key=lambda name: -mask[name].numel())
    reasons = found | {name: reasons[name] for name in largest_first}
    made = PruningMask.from_tensors(cut, reasons | dict(mask.left_out))
    # the next level cuts the same layers, whatever it is told of the output
    made.named = dict(mask.named) | dict.fromkeys(cut, True)
    made.whole = dict(mask.whole) | {name: tuple(mask[name].shape) for name in reasons}
    return ChannelLayers(made, PruningMask.from_tensors(held))


def example_of_given(model: nn.Module, given: Mapping[str, Any]) -> Example | None:
    """An example from what criteria are given; None if there is none."""
    batches, input_shape = given.get("batches"), given.get("input_shape")
    batch = None if batches is None else next(iter(batches), None)
    if batch is not None and (batch_loss := given.get("batch_loss")) is not None:
        with torch.no_grad():
            return inputs_seen(model, lambda: batch_loss(model, batch))[0]
    if isinstance(batch, tuple | list) and batch and isinstance(batch[0], torch.Tensor):
        return Example((batch[0],))
    return None if input_shape is None else Example((torch.zeros(2, *input_shape),))


def _outputs(
    model: nn.Module, mask: PruningMask, example: object | None, is_guess: bool
) -> dict[int, str]:
    """The ids of the parameters of the model's output → why they are taken for it."""
    if example is not None:
        try:
            found = output_parameters(model, example_of(example))
        except UsageError:
            if not is_guess:
                raise
        else:
            return dict.fromkeys(found, _BY_GRAPH)
    last: dict[str, nn.Module] = {}
    for module in named_modules(model).values():
        if _is_linear(module):
            last = {"linear layer": module}  # a convolution before it is not the output
        elif isinstance(module, _ConvNd):
            last["convolution"] = module
    if not last:
        last = {"layer": list(_owners(model, mask).values())[-1]}
    return {
        id(parameter): _BY_RULE.format(kind=kind)
        for kind, module in last.items()
        for parameter in module.parameters()
    }


def _owners(model: nn.Module, mask: PruningMask) -> dict[str, nn.Module]:
    """Name → the layer that it belongs to, also where the layer's weight is made from it."""
    modules = named_modules(model)
    owners: dict[int, nn.Module] = {}
    for path, module in modules.items():
        owner = module
        if isinstance(module, nn.utils.parametrize.ParametrizationList):
            owner = modules[f".{path}".rpartition(".parametrizations.")[0].removeprefix(".")]
        for parameter in module.parameters(recurse=False):
            owners.setdefault(id(parameter), owner)
    return {name: owners[id(value)] for name, value in find_parameters(model, mask).items()}


def _is_linear(module: nn.Module) -> bool:
    classes = {kind.__name__ for kind in type(module).__mro__}
    return isinstance(module, nn.Linear) or "Conv1D" in classes


def _kind(module: nn.Module) -> str:
    return "linear" if _is_linear(module) else type(module).__name__


def _nothing_to_cut(mask: PruningMask, outputs: list[str], owners: list[nn.Module]) -> str:
    where = "(of prune, PruningMask or LotteryTicketFinder)"
    if outputs and (mask.named or len(outputs) == len(mask)):
        return (
            f"structure 'channel': all that could be cut is the model's output, "
            f"{', '.join(outputs)}; name it by its own name if you want that: targets={outputs} "
            f"{where}"
        )
    kinds = ["Linear" if isinstance(layer, nn.Linear) else type(layer).__name__ for layer in owners]
    return (
        "structure 'channel' cuts convolutions, and there are none to prune; name other layers to "
        f"cut their units: targets={list(dict.fromkeys(kinds))} {where}; the model's output stays"
    )
