"""What a forward pass costs: all products, and those with kept weights alone."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["count_flops"]

_COUNTED = (nn.Linear, nn.modules.conv._ConvNd)


def count_flops(
    model: nn.Module, inputs: torch.Tensor, mask: Mapping[str, torch.Tensor]
) -> tuple[int, int]:
    """FLOPs of a forward pass as it is executed, and effective ones: with kept weights alone.

    A product and a sum are two. Only the weights of linear and convolutional layers count less for
    being pruned.

    Args:
        model: the model.
        inputs: `(N, …)`; the counts are of all N.
        mask: parameter name → which of its weights are kept.

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> count_flops(layer, torch.rand(1, 3), {"weight": torch.eye(2, 3, dtype=torch.bool)})
        (12, 4)

    Source: dense counts are those of `torch.utils.flop_counter`.
    """
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(inputs)
    total = counter.get_total_flops()
    by_module = {name: sum(found.values()) for name, found in counter.get_flop_counts().items()}
    pruned, named = 0, model.named_parameters(remove_duplicate=False)
    kept_of = {id(value): mask[name] for name, value in named if name in mask}  # tied ones too
    for name, module in model.named_modules():
        if isinstance(module, _COUNTED) and id(module.weight) in kept_of:
            place = f"{type(model).__name__}.{name}" if name else type(model).__name__
            kept = kept_of[id(module.weight)]
            # flops are a whole number for each weight
            pruned += by_module.get(place, 0) // kept.numel() * int((~kept).sum())
    return total, total - pruned
