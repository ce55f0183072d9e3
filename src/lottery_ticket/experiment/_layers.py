"""Which layers of a model an experiment prunes."""

from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import check_any, has_experts, input_dims, prunable_in
from lottery_ticket.spec import PruneSpec

__all__ = ["pruned_layers"]


def pruned_layers(prune: PruneSpec, model: nn.Module) -> dict[str, nn.Parameter]:
    """The prunable parameters but for those to ignore; of scope channel the convolutions' alone.

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
        dims = input_dims(model, chosen)
        chosen = {n: p for n, p in chosen.items() if p.ndim > 2 and not has_experts(dims[n])}
        if not chosen:
            raise UsageError("prune: scope 'channel' finds no convolution to prune in this model")
    return chosen
