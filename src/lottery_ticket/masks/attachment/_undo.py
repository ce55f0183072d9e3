"""An attach that fails leaves the model as it was, to the bit."""

from collections.abc import Mapping

import torch
from torch import nn

__all__ = ["Undo"]


class Undo:
    """What attaching a mask changes, kept aside until it has worked.

    Args:
        parameters: those that the mask names.
        mask: what is kept.
        optimizer: whose memory is masked too, if there is one.
        is_whole: keep kept weights aside as well, as a policy may prune more of them.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        mask: Mapping[str, torch.Tensor],
        optimizer: torch.optim.Optimizer | None,
        *,
        is_whole: bool,
    ) -> None:
        self._trained = [(each, each.requires_grad) for each in parameters.values()]
        self._aside: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        for name, parameter in parameters.items():
            pruned = ~mask[name].to(parameter.device)
            where = torch.ones_like(pruned) if is_whole else pruned
            self._aside += [
                (tensor, where, tensor.detach()[where.to(tensor.device)])
                for tensor in _of_its_shape(parameter, optimizer)
            ]

    @torch.no_grad()
    def __call__(self) -> None:
        """Put everything back."""
        for tensor, where, values in self._aside:
            tensor[where.to(tensor.device)] = values
        for parameter, is_trained in self._trained:
            parameter.requires_grad_(is_trained)


def _of_its_shape(
    parameter: nn.Parameter, optimizer: torch.optim.Optimizer | None
) -> list[torch.Tensor]:
    """The parameter, its gradient, and what an optimiser remembers of each of its weights."""
    memory = {} if optimizer is None else optimizer.state.get(parameter, {})
    found = [parameter, parameter.grad, *memory.values()]
    return [
        each for each in found if isinstance(each, torch.Tensor) and each.shape == parameter.shape
    ]
