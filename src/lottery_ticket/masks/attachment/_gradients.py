"""Gradients of a parameter under a mask, as they are made; and what they were before."""

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.masks._enforce import keep_bits, keep_only_
from lottery_ticket.names import check_shape

__all__ = ["DenseGradients", "GradientMask"]


class DenseGradients:
    """Gradients before they are masked, for a policy that wants to see them."""

    found: dict[str, torch.Tensor]
    """By name, of the step that is being made."""

    def __init__(self) -> None:
        self.begin(is_keeping=False)

    def begin(self, *, is_keeping: bool) -> None:
        """The next step begins; whether its gradients are wanted."""
        self._is_keeping, self.found = is_keeping, {}

    def note(self, name: str, gradient: torch.Tensor, kept: torch.Tensor) -> None:
        """A gradient that is about to be masked; what is summed over several calls is summed."""
        if self._is_keeping:
            before = self.found.get(name)
            dense = gradient.detach().clone()
            if before is not None:  # the kept part is summed in the gradient itself
                dense += before.masked_fill(kept.to(before.device), 0.0)
            self.found[name] = dense


class GradientMask:
    """Masks the gradients of one parameter, also after it has changed its precision or device.

    Args:
        name: of the parameter, in errors.
        kept: what is kept of it.
        bits: `keep_bits` of that.
        dense: is told of each gradient before.
    """

    def __init__(
        self, name: str, kept: torch.Tensor, bits: torch.Tensor, dense: DenseGradients
    ) -> None:
        self._name, self._kept, self._bits, self._dense = name, kept, bits, dense

    def __call__(self, parameter: torch.Tensor) -> None:
        gradient = parameter.grad
        assert gradient is not None
        bits = self._bits
        if (
            gradient.layout != torch.strided
            or gradient.itemsize != bits.itemsize
            or gradient.shape != bits.shape
            or gradient.device != bits.device
        ):
            bits = self._refitted(gradient)
        self._dense.note(self._name, gradient, self._kept)
        keep_only_(gradient, bits)

    def _refitted(self, gradient: torch.Tensor) -> torch.Tensor:
        if gradient.layout != torch.strided:
            raise UsageError(
                f"{self._name!r} has a {gradient.layout} gradient; a pruned parameter wants a "
                "dense one (nn.Embedding(…, sparse=False)), or `ignore` it when making the mask"
            )
        check_shape(f"the mask of {self._name!r}", self._kept.shape, gradient.shape, "the model")
        self._bits = keep_bits(self._kept, gradient)
        return self._bits
