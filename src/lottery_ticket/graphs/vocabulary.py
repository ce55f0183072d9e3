"""Names of operations, by what they do to channels: modules, functions and methods of torch."""

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

__all__ = [
    "BETWEEN",
    "BY_VALUE",
    "BY_VALUE_MODULES",
    "CAT",
    "CONVOLUTIONS",
    "DROPOUTS",
    "NORMS",
    "OVER_POSITIONS",
    "PICKS",
    "PICK_MODULES",
    "POOLS",
    "POOL_MODULES",
    "RESHAPES",
]


def _named(*names: str) -> frozenset[Any]:
    """The methods of such names, and torch's functions."""
    rooms = (torch, F)
    functions = {getattr(room, name) for room in rooms for name in names if hasattr(room, name)}
    return frozenset(functions | set(names))


CONVOLUTIONS: dict[type[nn.Module], int] = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
"""Convolutions, and over how many dimensions they go."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

BY_VALUE = _named(
    *("relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "elu", "elu_", "selu", "celu"),
    *("gelu", "silu", "mish", "tanh", "tanh_", "sigmoid", "sigmoid_", "hardtanh", "hardswish"),
    *("hardsigmoid", "softplus", "softsign", "logsigmoid", "tanhshrink", "softshrink"),
    *("hardshrink", "threshold", "neg", "abs", "exp", "log", "sqrt", "square", "clamp", "clamp_"),
    *("contiguous", "clone", "detach"),
)
"""What acts on each value by itself."""

BY_VALUE_MODULES = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Softplus, nn.Softsign),
    *(nn.LogSigmoid, nn.Tanhshrink, nn.Softshrink, nn.Hardshrink, nn.Threshold, nn.Identity),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout),
)

DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout)

POOL_MODULES: dict[type[nn.Module], int] = {
    getattr(nn, f"{kind}{n}d"): n
    for kind in ("MaxPool", "AvgPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "ZeroPad")
    for n in (1, 2, 3)
}
"""What acts on each channel by itself, and over how many dimensions it goes."""

POOLS: dict[Any, int] = {
    getattr(F, f"{kind}{n}d"): n
    for kind in ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool")
    for n in (1, 2, 3)
}

BETWEEN = _named(
    *("add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_", "maximum", "minimum")
) | {
    *(operator.add, operator.iadd, operator.sub, operator.isub),
    *(operator.mul, operator.imul, operator.truediv),
}
"""What acts on two values in the same place, or on one and a number."""

OVER_POSITIONS = _named("mean", "sum", "amax", "amin", "squeeze")

RESHAPES = _named("flatten", "view", "reshape")

CAT = frozenset({torch.cat, torch.concat, torch.concatenate})

PICKS = _named(
    *("index_select", "narrow", "select", "gather", "take_along_dim", "split", "split_with_sizes"),
    *("chunk", "tensor_split", "unbind", "flip", "fliplr", "roll", "repeat", "tile"),
    *("repeat_interleave", "expand", "broadcast_to", "permute", "transpose", "swapaxes"),
    *("swapdims", "movedim", "moveaxis", "unflatten", "unsqueeze", "squeeze", "contiguous"),
    *("clone", "flatten", "view", "reshape", "channel_shuffle", "native_channel_shuffle"),
    *("pixel_shuffle", "pixel_unshuffle"),
) | {operator.getitem, torch.stack, *CAT}
"""What moves values and does nothing else."""

PICK_MODULES = (
    *(nn.ChannelShuffle, nn.PixelShuffle, nn.PixelUnshuffle, nn.Flatten, nn.Unflatten, nn.Identity),
)
