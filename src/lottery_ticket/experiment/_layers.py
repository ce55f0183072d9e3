"""Which layers of a model an experiment prunes."""

from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import prunable_parameters
from lottery_ticket.spec import PruneSpec

__all__ = ["pruned_layers"]


def pruned_layers(prune: PruneSpec, model: nn.Module) -> dict[str, nn.Parameter]:
    """The prunable parameters but for those to ignore; of scope channel the convolutions' alone.

    Raises:
        UsageError: `ignore` matches nothing, or none is left.
    """
    try:
        chosen = prunable_parameters(model, ignore=prune.ignore)
    except UsageError as error:
        raise UsageError(f"prune.{error}" if prune.ignore else str(error)) from None
    if prune.scope == "channel":
        chosen = {name: value for name, value in chosen.items() if value.ndim > 2}
    if not chosen:
        wanted = "convolution" if prune.scope == "channel" else "layer"
        raise UsageError(f"prune: scope {prune.scope!r} finds no {wanted} to prune in this model")
    return chosen
