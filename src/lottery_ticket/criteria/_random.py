"""Random pruning: the control every criterion must beat."""

from collections.abc import Mapping

import torch

from lottery_ticket.criteria._registry import CRITERIA, Criterion

__all__ = ["random"]


def random(
    weights: Mapping[str, torch.Tensor], generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Independent uniform scores in float64, drawn on a CPU generator in model order.

    Under one generator seed the scores are the same at every level, so the masks of a chain nest.

    >>> random({"w": torch.zeros(3)}, torch.Generator().manual_seed(0))["w"].shape
    torch.Size([3])
    """
    return {
        name: torch.rand(weight.shape, dtype=torch.float64, generator=generator).to(weight.device)
        for name, weight in weights.items()
    }


CRITERIA.register("random")(Criterion(random, needs_weights=False))
