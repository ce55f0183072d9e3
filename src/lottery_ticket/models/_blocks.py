"""Residual blocks, and the ways around them."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["BasicBlock", "Bottleneck", "PaddedShortcut", "projection", "stage"]

# (channels in, channels out, stride) → the way around a block that changes the shape
MakeShortcut = Callable[[int, int, int], nn.Module]


def projection(channels: int, width: int, stride: int) -> nn.Module:
    """He et al.'s shortcut B: a strided 1×1 convolution and a norm."""
    return nn.Sequential(_conv(channels, width, 1, stride), nn.BatchNorm2d(width))


class PaddedShortcut(nn.Module):
    """He et al.'s shortcut A, without parameters: every stride-th pixel, and channels of zeros
    behind those that are there."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.num_added = width - channels
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) → (B, width, ⌈H / stride⌉, ⌈W / stride⌉)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.num_added))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions, the first strided."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = _conv(channels, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) → (B, width, ⌈H / stride⌉, ⌈W / stride⌉)."""
        around = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + around)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions, the last four times as wide. The 3×3 one is strided, as in
    torchvision; in the paper it is the first."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = _conv(channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, width * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) → (B, 4 · width, ⌈H / stride⌉, ⌈W / stride⌉)."""
        around = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + around)


def stage(
    block: type[BasicBlock] | type[Bottleneck],
    channels: int,
    width: int,
    num_blocks: int,
    *,
    stride: int,
    make_shortcut: MakeShortcut = projection,
) -> nn.Sequential:
    """Blocks of one width; the first takes `channels` and is strided."""
    width_out = width * block.expansion
    changes_shape = stride != 1 or channels != width_out
    shortcut = make_shortcut(channels, width_out, stride) if changes_shape else None
    first = block(channels, width, stride, shortcut)
    return nn.Sequential(first, *(block(width_out, width, 1, None) for _ in range(num_blocks - 1)))


def _conv(channels: int, width: int, side: int, stride: int = 1) -> nn.Conv2d:
    # no bias: the norm behind it has one
    return nn.Conv2d(channels, width, side, stride, padding=side // 2, bias=False)
