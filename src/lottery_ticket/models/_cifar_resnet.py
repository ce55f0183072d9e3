"""ResNet-20, 32, 44, 56 and 110: the thin ones for 32×32 images."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.models._arguments import check_choice, check_counts, scaled_width
from lottery_ticket.models._blocks import (
    BasicBlock,
    MakeShortcut,
    PaddedShortcut,
    projection,
    stage,
)
from lottery_ticket.models._init import kaiming_fan_out_
from lottery_ticket.models._registry import MODELS

__all__ = ["ResNet20", "ResNet32", "ResNet44", "ResNet56", "ResNet110"]

_SHORTCUTS = {"A": "padded with zeros, no parameters", "B": "1×1 convolution and norm"}
_MAKE_SHORTCUT: dict[str, MakeShortcut] = {"A": PaddedShortcut, "B": projection}


class _CifarResNet(nn.Module):
    """A 3×3 convolution, three stages of 16, 32 and 64 channels, a global average, one linear
    layer: 6n + 2 layers with n blocks in a stage."""

    _num_blocks: ClassVar[int]

    def __init__(
        self,
        num_classes: int = 10,
        shortcut: str = "B",
        input_channels: int = 3,
        width: float | None = None,
    ) -> None:
        super().__init__()
        check_choice(type(self).__name__, "shortcut", shortcut, _SHORTCUTS)
        counts = {"num_classes": num_classes, "input_channels": input_channels}
        check_counts(type(self).__name__, **counts)
        num, make = self._num_blocks, _MAKE_SHORTCUT[shortcut]
        one, two, three = (scaled_width(whole, width) for whole in (16, 32, 64))
        self.conv1 = nn.Conv2d(input_channels, one, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(one)
        self.layer1 = stage(BasicBlock, one, one, num, stride=1, make_shortcut=make)
        self.layer2 = stage(BasicBlock, one, two, num, stride=2, make_shortcut=make)
        self.layer3 = stage(BasicBlock, two, three, num, stride=2, make_shortcut=make)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(three, num_classes)
        kaiming_fan_out_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, input_channels, H, W) → logits (B, num_classes)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


@MODELS.register("ResNet20")
class ResNet20(_CifarResNet):
    """ResNet-20 for CIFAR: 272,474 parameters; with shortcuts of type A 269,722.

    Args:
        num_classes: width of the output.
        shortcut: where the shape changes, `"B"` (1×1 convolution and norm, as in open_lth) or
            `"A"` (every second pixel, new channels zero: no parameters, as in the paper).
        input_channels: channels of an image.
        width: a factor on all hidden widths.

    >>> sum(p.numel() for p in ResNet20().parameters())
    272474
    >>> sum(p.numel() for p in ResNet20(shortcut="A").parameters())
    269722

    Source: He et al. 2016a, section 4.2. Initial weights: N(0, 2 / fan_out) for convolutions, 1 and
    0 for norms, PyTorch's default for the linear layer.
    """

    _num_blocks = 3


@MODELS.register("ResNet32")
class ResNet32(_CifarResNet):
    """ResNet-32 for CIFAR: 466,906 parameters; with shortcuts of type A 464,154.

    Args and source: as `ResNet20`.
    """

    _num_blocks = 5


@MODELS.register("ResNet44")
class ResNet44(_CifarResNet):
    """ResNet-44 for CIFAR: 661,338 parameters; with shortcuts of type A 658,586.

    Args and source: as `ResNet20`.
    """

    _num_blocks = 7


@MODELS.register("ResNet56")
class ResNet56(_CifarResNet):
    """ResNet-56 for CIFAR: 855,770 parameters; with shortcuts of type A 853,018.

    Args and source: as `ResNet20`.
    """

    _num_blocks = 9


@MODELS.register("ResNet110")
class ResNet110(_CifarResNet):
    """ResNet-110 for CIFAR: 1,730,714 parameters; with shortcuts of type A 1,727,962.

    Args and source: as `ResNet20`.
    """

    _num_blocks = 18
