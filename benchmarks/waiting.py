"""A net that waits at each batch, so that its trainings take a while and no processor."""

import time

import torch
from torch import nn

from lottery_ticket import register_model


class Waits(nn.Module):
    """A small net behind a pause.

    Args:
        input_size, num_classes: of the data.
        seconds: of the pause, at each batch.
    """

    def __init__(self, input_size: int, num_classes: int, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.layer = nn.Linear(input_size, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        return self.layer(x.flatten(1))


@register_model("Waits")
def waits(input_size: int = 64, num_classes: int = 10, seconds: float = 0.1) -> nn.Module:
    """A net that waits."""
    return Waits(input_size, num_classes, seconds)
