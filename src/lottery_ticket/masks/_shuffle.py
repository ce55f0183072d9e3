"""The control that keeps how many weights each layer has, and forgets which."""

import torch

from lottery_ticket.masks._mask import PruningMask

__all__ = ["shuffle"]


def shuffle(mask: PruningMask, generator: torch.Generator) -> PruningMask:
    """A new mask with each layer's entries permuted; layer counts stay.

    >>> mask = PruningMask.from_tensors({"w": torch.tensor([True, False, False])})
    >>> shuffle(mask, torch.Generator().manual_seed(0)).num_kept
    1

    Source: Frankle & Carbin 2019, figure 13 ("layer-wise shuffled").
    """
    permuted = {}
    for name, kept in mask.items():
        order = torch.randperm(kept.numel(), generator=generator).to(kept.device)
        permuted[name] = kept.flatten()[order].view(kept.shape)
    return PruningMask.from_tensors(permuted)
