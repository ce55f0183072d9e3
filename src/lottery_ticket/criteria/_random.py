"""Random pruning: the control every criterion must beat."""

from collections.abc import Mapping

import torch

from lottery_ticket.criteria._criterion import Criterion
from lottery_ticket.criteria._registry import CRITERIA

__all__ = ["random"]


def random(mask: Mapping[str, torch.Tensor], generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Independent uniform scores in float64, drawn on a CPU generator in the mask's order.

    Under one generator seed the scores are the same at every level, so the masks of a chain nest.

    Args:
        mask: gives names and shapes; what it keeps does not matter.
        generator: a CPU generator.

    >>> mask = {"w": torch.ones(3, dtype=torch.bool)}
    >>> random(mask, torch.Generator().manual_seed(0))["w"].shape
    torch.Size([3])
    """
    return {
        name: torch.rand(kept.shape, dtype=torch.float64, generator=generator)
        for name, kept in mask.items()
    }


CRITERIA.register("random")(Criterion(random))
