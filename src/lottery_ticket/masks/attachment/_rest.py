"""Where an attached mask holds pruned weights: at zero, or at those of a reference, to the bit."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._enforce import as_bits, keep_bits, keep_only_
from lottery_ticket.names import canonical_name, check_shape, find_parameters, near

__all__ = ["Rest", "decays_into_memory", "digests_of", "reference_of"]


@dataclass(frozen=True)
class Rest:
    """What the pruned weights of one parameter are held at, as bits.

    Args:
        keep: all bits set where a weight is kept, in the layout of the parameter.
        pruned: the bits of the reference where it is pruned, 0 where it is kept; None for zeros.
        dtype: of the parameter; the same bits are other numbers in another.
    """

    keep: torch.Tensor
    pruned: torch.Tensor | None
    dtype: torch.dtype

    @classmethod
    def of(
        cls, kept: torch.Tensor, parameter: torch.Tensor, reference: torch.Tensor | None
    ) -> "Rest":
        """Where `kept` and the reference hold a parameter, in its precision and on its device."""
        keep = keep_bits(kept, parameter)
        if reference is None:
            return cls(keep, None, parameter.dtype)
        pruned = as_bits(torch.empty_like(parameter.detach()).copy_(reference))
        return cls(keep, pruned.bitwise_and_(~keep), parameter.dtype)

    def fits(self, parameter: torch.Tensor) -> bool:
        """Whether a parameter has still the precision, shape and device that it had."""
        return (
            parameter.dtype == self.dtype
            and parameter.shape == self.keep.shape
            and parameter.device == self.keep.device
        )

    def put_(self, parameter: torch.Tensor) -> None:
        """Set the pruned weights to what they are held at; kept ones stay as they are."""
        keep_only_(parameter, self.keep)
        if self.pruned is not None:
            as_bits(parameter).bitwise_or_(self.pruned)

    def is_kept_by(self, parameter: torch.Tensor) -> bool:
        """Whether the pruned weights are there: bit for bit, but that a zero may have a sign."""
        values = parameter.detach()
        if self.pruned is None:
            return not bool(torch.gt(values != 0, self.keep != 0).any())
        return bool((as_bits(values) & ~self.keep == self.pruned).all())


def reference_of(
    freeze_to: Mapping[str, torch.Tensor] | nn.Module | bool | None,
    model: nn.Module,
    parameters: Mapping[str, nn.Parameter],
) -> dict[str, torch.Tensor] | None:
    """A copy of what pruned weights are to be frozen to; None for zeros.

    Args:
        freeze_to: True for what they are now; a state_dict, or a model, for its own.
        model: that the mask is attached to.
        parameters: those that the mask names.

    Raises:
        UsageError: it is something else, or of another model.
    """
    if freeze_to is None or freeze_to is False:
        return None
    if freeze_to is True:
        found: Mapping[str, torch.Tensor] = parameters
    elif isinstance(freeze_to, nn.Module):
        found = find_parameters(freeze_to, parameters)
    elif isinstance(freeze_to, Mapping):
        found = {canonical_name(str(name), model): value for name, value in freeze_to.items()}
        found = {**found, **freeze_to}
    else:
        raise UsageError(
            f"freeze_to: got {freeze_to!r}, wanted a state_dict, a model, or True for the weights "
            "as they are now"
        )
    return {name: _copied(name, found, parameter) for name, parameter in parameters.items()}


def digests_of(reference: Mapping[str, torch.Tensor] | None) -> dict[str, str] | None:
    """A hash of each tensor of a reference: of all its weights, as the mask may move."""
    if reference is None:
        return None
    return {name: _digest(value) for name, value in reference.items()}


def decays_into_memory(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a weight that has no gradient may enter what the optimiser remembers of it.

    Decay that is added to gradients does; that of AdamW is of weights alone.
    """
    if isinstance(optimizer, torch.optim.AdamW):
        return False
    return any(
        bool(group.get("weight_decay", True)) and not group.get("decoupled_weight_decay")
        for group in optimizer.param_groups
    )


def _copied(name: str, found: Mapping[str, torch.Tensor], parameter: nn.Parameter) -> torch.Tensor:
    if name not in found:
        raise UsageError(f"freeze_to: it has no {name!r}, which the mask names{near(name, found)}")
    value = found[name]
    if not isinstance(value, torch.Tensor):
        raise UsageError(f"freeze_to: {name!r} is a {type(value).__name__}, wanted a tensor")
    check_shape(f"freeze_to: {name!r}", value.shape, parameter.shape, "the model")
    if value.is_meta or value.layout != torch.strided or value.is_quantized:
        raise UsageError(f"freeze_to: {name!r} is no dense tensor with values")
    return value.detach().to(device=parameter.device, dtype=parameter.dtype, copy=True)


def _digest(value: torch.Tensor) -> str:
    digest = hashlib.sha256(f"{value.dtype} {tuple(value.shape)} ".encode())
    digest.update(as_bits(value.contiguous()).cpu().numpy().reshape(-1).data)
    return digest.hexdigest()
