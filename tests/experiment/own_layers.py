"""Nets with layers that a run cannot prune as they are, brought in by `imports`."""

import torch
from torch import nn
from torch.nn.functional import linear
from torch.nn.utils import parametrizations

from lottery_ticket import register_model

MADE = {
    "weight-normed": parametrizations.weight_norm,
    "spectral-normed": parametrizations.spectral_norm,
    "old-weight-normed": nn.utils.weight_norm,
    "old-spectral-normed": nn.utils.spectral_norm,
    "frozen": lambda layer: layer.requires_grad_(False),
}


def with_a_layer(made):
    def net(input_size: int, num_classes: int) -> nn.Module:
        first = made(nn.Linear(input_size, 12))
        return nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Linear(12, num_classes))

    return net


for name, made in MADE.items():
    register_model(name)(with_a_layer(made))


@register_model("lazy")
def lazy(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(12), nn.ReLU(), nn.Linear(12, num_classes))


@register_model("lazy-that-ran")
def lazy_that_ran(input_size: int, num_classes: int) -> nn.Module:
    model = lazy(num_classes)
    model(torch.zeros(1, input_size))
    return model


@register_model("raw")
class Raw(nn.Module):
    """Computes with a parameter of its own."""

    def __init__(self, input_size: int, num_classes: int):
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(num_classes, input_size))

    def forward(self, x):
        return linear(x.flatten(1), self.matrix)
