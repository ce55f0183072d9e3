"""A model of somebody's, copied to be worked on."""

import copy

from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.prune import is_pruned

from lottery_ticket.errors import UsageError

__all__ = ["eval_copy"]


def eval_copy(model: nn.Module) -> nn.Module:
    """A copy in eval mode.

    Raises:
        UsageError: it is no module, has no weights yet, or cannot be copied.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"model: got {type(model).__name__}, wanted a torch.nn.Module")
    if is_pruned(model):
        raise UsageError(
            "model: it is in the form of torch.nn.utils.prune (weight_orig, weight_mask); call "
            "torch.nn.utils.prune.remove first"
        )
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(value):
            raise UsageError(
                f"model: {name} has no values yet (a lazy layer); run it on a batch first"
            )
    try:
        return copy.deepcopy(model).eval()
    except Exception as error:  # a user's own model may hold anything
        raise UsageError(
            f"model: it cannot be copied ({type(error).__name__}: {error})".splitlines()[0]
        ) from error
