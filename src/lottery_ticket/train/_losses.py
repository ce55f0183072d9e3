"""Losses by name; each is a mean over the batch."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

__all__ = ["LOSSES"]

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

LOSSES: dict[str, Loss] = {
    "cross_entropy": F.cross_entropy,  # logits (B, C), classes (B,)
    "nll": F.nll_loss,  # log-probabilities (B, C), classes (B,)
    "mse": F.mse_loss,  # (B, k), (B, k)
}
