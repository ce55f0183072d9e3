"""Keeping pruned weights at exactly zero through training, at negligible cost.

Weights and optimiser state start at zero, and gradients are masked before anything reads them
(clipping, logging, the optimiser). Every optimiser whose update is elementwise and zero at
(weight 0, gradient 0, state 0) then keeps zeros by itself: SGD with momentum, Nesterov and weight
decay, Adam, AdamW. Nothing is added to the model, so `deepcopy`, `pickle`, `state_dict` and
`torch.compile` see a plain module.
"""

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._mask import PruningMask

__all__ = ["MaskedParameters", "has_only_zeros_where_pruned"]


class MaskedParameters:
    """The parameters of one model that one mask prunes.

    Args:
        model: the model; its prunable parameters are found by the names in `mask`.
        mask: what is kept; a layer kept whole costs nothing.

    Raises:
        UsageError: the mask names a parameter that the model does not have, or in another shape.
    """

    def __init__(self, model: nn.Module, mask: PruningMask) -> None:
        parameters = dict(model.named_parameters())
        missing = [name for name in mask if name not in parameters]
        if missing:
            raise UsageError(f"the model has no parameter {missing[0]!r}, which the mask names")
        for name, kept in mask.items():
            if kept.shape != parameters[name].shape:
                raise UsageError(
                    f"the mask of {name!r} has shape {tuple(kept.shape)}, "
                    f"the model has {tuple(parameters[name].shape)}"
                )
        pruned = [name for name in mask if not bool(mask[name].all())]
        self._parameters = [parameters[name] for name in pruned]
        self._factors = [mask[name].to(parameters[name]) for name in pruned]

    @torch.no_grad()
    def zero_weights_(self) -> None:
        """Set pruned weights to exactly (positive) zero."""
        for parameter, factor in zip(self._parameters, self._factors, strict=True):
            parameter.masked_fill_(factor == 0, 0.0)

    @torch.no_grad()
    def mask_gradients_(self) -> None:
        """Zero the gradients of pruned weights; call between `backward` and whatever reads them."""
        gradients, factors = [], []
        for parameter, factor in zip(self._parameters, self._factors, strict=True):
            if parameter.grad is not None:
                gradients.append(parameter.grad)
                factors.append(factor)
        if gradients:
            torch._foreach_mul_(gradients, factors)  # pyright: ignore[reportPrivateImportUsage]


def has_only_zeros_where_pruned(tensors: dict[str, torch.Tensor], mask: PruningMask) -> bool:
    """Whether every tensor named in `mask` is exactly zero wherever the mask prunes."""
    return not any(bool(tensors[name][~kept].any()) for name, kept in mask.items())
