"""Keeping pruned weights at exactly zero through training, at negligible cost.

Weights and optimiser state start at zero, and gradients are masked before anything reads them
(clipping, logging, the optimiser). Every optimiser whose update is elementwise and zero at
(weight 0, gradient 0, state 0) then keeps zeros by itself: SGD with momentum, Nesterov and weight
decay, Adam, AdamW. Nothing is added to the model, so `deepcopy`, `pickle`, `state_dict` and
`torch.compile` see a plain module.
"""

from collections.abc import Mapping
from typing import TypeGuard

import torch
from torch import nn

from lottery_ticket.names import check_shape, find_parameters

__all__ = [
    "MaskedParameters",
    "as_bits",
    "has_only_zeros_where_pruned",
    "keep_bits",
    "keep_only_",
    "mask_optimizer_state_",
    "remembers_each_weight",
]

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes per element


def as_bits(values: torch.Tensor) -> torch.Tensor:
    """A tensor's memory as integers of the size of its elements."""
    return values.view(_BITS[values.element_size()])


def keep_bits(kept: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A bool mask as integers of the size of `like`'s elements: all bits set where kept, else 0.

    And-ing bits is the quickest way to zero entries of a floating tensor in place, and unlike a
    product it gives zero for infinities and NaN too.
    """
    bits = torch.empty_like(like, dtype=_BITS[like.element_size()])  # in its memory format
    return bits.copy_(kept).neg_()


def keep_only_(values: torch.Tensor, bits: torch.Tensor) -> None:
    """Set the entries of a floating tensor to +0.0 where `keep_bits` says so, in place."""
    values.view(bits.dtype).bitwise_and_(bits)


class MaskedParameters:
    """The parameters of one model that one mask prunes.

    Args:
        model: the model; its prunable parameters are found by the names in `mask`.
        mask: what is kept; a layer kept whole costs nothing.

    Its `parameters` are all that the mask names, by name.

    Raises:
        UsageError: the mask names a parameter that the model does not have, or in another shape.
    """

    def __init__(self, model: nn.Module, mask: Mapping[str, torch.Tensor]) -> None:
        parameters = find_parameters(model, mask)
        for name, kept in mask.items():
            shape = parameters[name].shape
            check_shape(f"the mask of {name!r}", kept.shape, shape, "the model")
        self.parameters = {name: parameters[name] for name in mask}
        pruned = [name for name in mask if not bool(mask[name].all())]
        self._parameters = [parameters[name] for name in pruned]
        self._bits = [keep_bits(mask[name], parameters[name]) for name in pruned]

    @torch.no_grad()
    def zero_weights_(self) -> None:
        """Set pruned weights to exactly (positive) zero."""
        for parameter, bits in zip(self._parameters, self._bits, strict=True):
            keep_only_(parameter, bits)

    @torch.no_grad()
    def mask_gradients_(self) -> None:
        """Zero the gradients of pruned weights; call between `backward` and whatever reads them."""
        for parameter, bits in zip(self._parameters, self._bits, strict=True):
            if parameter.grad is not None:
                keep_only_(parameter.grad, bits)


@torch.no_grad()
def mask_optimizer_state_(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    mask: Mapping[str, torch.Tensor],
) -> None:
    """Set what an optimiser remembers of pruned weights (momentum, …) to exactly zero.

    Codes of memory in eight bits (bitsandbytes) are left alone: their zero is another code.

    Args:
        optimizer: over the parameters, or some of them.
        parameters: by the names in `mask`.
        mask: what is kept.
    """
    for name, parameter in parameters.items():
        for value in optimizer.state.get(parameter, {}).values():
            if remembers_each_weight(value, parameter):
                value.masked_fill_(~mask[name].to(value.device), 0.0)


def remembers_each_weight(value: object, parameter: torch.Tensor) -> TypeGuard[torch.Tensor]:
    """Whether an entry of an optimiser's state has a number for each weight of a parameter."""
    return (
        isinstance(value, torch.Tensor)
        and value.shape == parameter.shape
        and (value.is_floating_point() or value.is_complex())
    )


def has_only_zeros_where_pruned(
    tensors: dict[str, torch.Tensor], mask: Mapping[str, torch.Tensor]
) -> bool:
    """Whether every tensor named in `mask` is exactly zero wherever the mask prunes."""
    return not any(bool(tensors[name][~kept].any()) for name, kept in mask.items())
