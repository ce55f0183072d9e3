"""Which layers of a model an experiment prunes."""

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask, prunable_parameters
from lottery_ticket.pruning import channel_layers
from lottery_ticket.spec import PruneSpec

__all__ = ["pruned_layers"]


def pruned_layers(
    prune: PruneSpec, model: nn.Module, example: torch.Tensor | None = None
) -> dict[str, nn.Parameter]:
    """The prunable parameters but for those to ignore.

    Of scope channel those of convolutions alone, but for the model's output: as the library's
    structure channel has it.

    Args:
        example: what the model is called with, to find its output.

    Raises:
        UsageError: `ignore` matches nothing, or none is left.
    """
    try:
        chosen = prunable_parameters(model, ignore=prune.ignore)
    except UsageError as error:
        raise UsageError(f"prune.{error}" if prune.ignore else str(error)) from None
    if prune.scope == "channel":
        return _convolutions(model, chosen, example)
    if not chosen:
        raise UsageError(f"prune: scope {prune.scope!r} finds no layer to prune in this model")
    return chosen


def _convolutions(
    model: nn.Module, chosen: dict[str, nn.Parameter], example: torch.Tensor | None
) -> dict[str, nn.Parameter]:
    ones = {name: torch.ones(value.shape, dtype=torch.bool) for name, value in chosen.items()}
    try:
        found = channel_layers(model, PruningMask.from_tensors(ones), example, is_guess=True).cut
    except UsageError:
        raise UsageError(
            "prune: scope 'channel' finds no convolution to prune in this model (linear layers "
            "and the model's output stay whole); use another scope, such as layerwise or 2:4"
        ) from None
    return {name: chosen[name] for name in found}
