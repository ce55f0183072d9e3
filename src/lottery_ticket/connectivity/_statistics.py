"""Statistics of batch norms, estimated anew for a net that was never trained."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # the public kinds have no public parent

from lottery_ticket.errors import UsageError

__all__ = ["has_running_statistics", "refit_statistics_"]


def has_running_statistics(model: nn.Module) -> bool:
    """Whether a model keeps averages of what its batches were like, as batch norms do.

    >>> has_running_statistics(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    True
    """
    return bool(_norms(model))


@torch.no_grad()
def refit_statistics_(
    model: nn.Module, batches: Iterable[Any], call: Callable[[Any], object] | None = None
) -> None:
    """Set the running mean and variance of batch norms to those over the batches.

    Each is the average over batches, all of the same weight. All else is in eval mode while it is
    estimated, and nothing but these statistics changes.

    Args:
        model: any; one without batch norms is left alone.
        batches: inputs on the model's device, or tuples that begin with them.
        call: hands inputs to the model; by default the model itself is called.

    Raises:
        UsageError: there is no batch.

    Source: Jordan et al. 2023 ("REPAIR"), and Izmailov et al. 2018 for averaged weights.
    """
    norms = _norms(model)
    if not norms:
        return
    modes = {module: module.training for module in model.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    seen = {norm: int(norm.num_batches_tracked or 0) for norm in norms}
    is_empty = True
    try:
        model.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a cumulative average
            norm.train()
        for batch in batches:
            is_empty = False
            (call or model)(batch[0] if isinstance(batch, tuple | list) else batch)
    finally:
        for norm in norms:
            norm.momentum = momenta[norm]
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.fill_(seen[norm])
        for module, mode in modes.items():
            module.training = mode
    if is_empty:
        raise UsageError("batches: got none, wanted at least one to estimate statistics on")


def _norms(model: nn.Module) -> list[_BatchNorm]:
    found = (module for module in model.modules() if isinstance(module, _BatchNorm))
    return [norm for norm in found if norm.running_mean is not None]
