"""Which layers of a model an experiment prunes."""

import torch
from torch import nn

from lottery_ticket.data import Features
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask, check_any, prunable_in
from lottery_ticket.pruning import channel_layers
from lottery_ticket.spec import PruneSpec

__all__ = ["pruned_layers"]


def pruned_layers(
    prune: PruneSpec, model: nn.Module, example: Features | None = None
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
        found = prunable_in(model, ignore=prune.ignore, in_spec=True)
    except UsageError as error:
        is_of_ignore = str(error).startswith("ignore: ")
        raise UsageError(f"prune.{error}" if is_of_ignore else str(error)) from None
    chosen = dict(check_any(found, in_spec=True).parameters)
    if prune.scope == "channel":
        return _convolutions(model, chosen, example)
    return chosen


def _convolutions(
    model: nn.Module, chosen: dict[str, nn.Parameter], example: Features | None
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
