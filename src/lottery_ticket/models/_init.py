"""Initial weights by name, for any model."""

import math
from collections.abc import Callable

import torch
from torch import nn

from lottery_ticket.errors import UsageError, nearest

__all__ = ["INITIALIZERS", "initialize_", "kaiming_fan_out_", "known_init", "normal_"]

# fills a weight (out, in / groups, …) and, where the layer has one, its bias (out,)
Initializer = Callable[[torch.Tensor, torch.Tensor | None], None]

_Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d
_Layer = nn.Linear | _Conv | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


def _pytorch(weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    """U(−1/√fan_in, 1/√fan_in) for both: what PyTorch's own layers start from."""
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        bound = 1 / math.sqrt(weight[0].numel())
        nn.init.uniform_(bias, -bound, bound)


def _without_bias(fill: Callable[[torch.Tensor], object]) -> Initializer:
    def initialize(weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        fill(weight)
        if bias is not None:
            nn.init.zeros_(bias)

    return initialize


INITIALIZERS: dict[str, Initializer] = {
    "pytorch": _pytorch,
    # N(0, 2 / (fan_in + fan_out)): Glorot & Bengio 2010, the normal form of Frankle & Carbin 2019
    # (theirs was cut at two standard deviations by TensorFlow, this one is not)
    "glorot_normal": _without_bias(nn.init.xavier_normal_),
    # N(0, 2 / fan_in): He et al. 2015
    "kaiming_normal": _without_bias(nn.init.kaiming_normal_),
    # U(−√(6 / fan_in), √(6 / fan_in)): He et al. 2015, of the same variance
    "kaiming_uniform": _without_bias(nn.init.kaiming_uniform_),
    # rows (columns, where these are fewer) of weight.flatten(1) are orthonormal: Saxe et al. 2014
    "orthogonal": _without_bias(nn.init.orthogonal_),
}
"""Initialisers by name, for `initialize_` and the `init` option of every model."""


def known_init(init: object) -> str:
    """The name itself; raises `UsageError`, with the nearest valid one, if it is none."""
    if not isinstance(init, str) or init not in INITIALIZERS:
        raise UsageError(f"unknown init {init!r}{nearest(str(init), INITIALIZERS)}")
    return init


@torch.no_grad()
def initialize_(model: nn.Module, init: str) -> None:
    """Draw the weights of a model's convolutions and linear layers anew, by a named law.

    fan_in and fan_out count a weight's values per output and per input (of a transposed convolution
    the other way round, as PyTorch does). The draws come from PyTorch's CPU generator whatever the
    model's device, layer by layer in model order. Biases of these layers become 0 (with `"pytorch"`
    they are drawn, too); norms, embeddings, recurrent layers and attention's packed weights stay.

    Args:
        model: changed in place.
        init: a name in `INITIALIZERS`: `"pytorch"`, U(±1/√fan_in); `"glorot_normal"`,
            N(0, 2/(fan_in + fan_out)); `"kaiming_normal"`, N(0, 2/fan_in); `"kaiming_uniform"`,
            U(±√(6/fan_in)); `"orthogonal"`.

    Raises:
        UsageError: an unknown name, a model without such layers, or one that computes their weights
            from other parameters.

    >>> net = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))
    >>> initialize_(net, "orthogonal")
    >>> torch.allclose(net[0].weight @ net[0].weight.T, torch.eye(4), atol=1e-5)
    True

    Source: Glorot & Bengio 2010, He et al. 2015 (fan_in, gain √2), Saxe et al. 2014 (gain 1).
    """
    fill = INITIALIZERS[known_init(init)]
    for layer in _layers(model, init):
        weight = torch.empty(layer.weight.shape, dtype=layer.weight.dtype, device="cpu")
        bias = None if layer.bias is None else torch.empty_like(layer.bias, device="cpu")
        fill(weight, bias)
        layer.weight.copy_(weight)
        if layer.bias is not None and bias is not None:
            layer.bias.copy_(bias)


def _layers(model: nn.Module, init: str) -> list[_Layer]:
    layers = {name: m for name, m in model.named_modules() if isinstance(m, _Layer)}
    if not layers:
        raise UsageError(f"init {init!r} has no effect: no linear or convolutional layer is there")
    for name, layer in layers.items():
        if not isinstance(layer.weight, nn.Parameter):  # a parametrisation: it would be lost
            raise UsageError(
                f"init {init!r}: {name}.weight is computed, not a parameter of its own"
            )
    return list(layers.values())


def kaiming_fan_out_(model: nn.Module) -> None:
    """N(0, 2 / fan_out) for the convolutions and 0 for their biases, as torchvision has it."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.weight[:, 0].numel()
            normal_(layer.weight, math.sqrt(2 / fan_out))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def normal_(weight: torch.Tensor, std: float) -> None:
    """N(0, std²), if there are values at all."""
    if not weight.is_meta:  # drawing nothing would take PyTorch two seconds of imports
        nn.init.normal_(weight, 0, std)
