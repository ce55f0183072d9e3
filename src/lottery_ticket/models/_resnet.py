"""ResNet-18, 34, 50 and 101, whose `state_dict` has torchvision's keys and shapes."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.models._arguments import check_choice, check_counts, scaled_width
from lottery_ticket.models._blocks import BasicBlock, Bottleneck, stage
from lottery_ticket.models._init import kaiming_fan_out_
from lottery_ticket.models._registry import MODELS

__all__ = ["ResNet18", "ResNet34", "ResNet50", "ResNet101"]

_STEMS = {"imagenet": "7×7 stride 2, 3×3 pool stride 2", "cifar": "3×3 stride 1, no pool"}


class _ResNet(nn.Module):
    """A stem, four stages of 64, 128, 256 and 512 channels, a global average, one linear layer."""

    _block: ClassVar[type[BasicBlock] | type[Bottleneck]]
    _depths: ClassVar[tuple[int, int, int, int]]

    def __init__(
        self,
        num_classes: int | None = None,
        stem: str = "imagenet",
        input_channels: int = 3,
        width: float | None = None,
    ) -> None:
        super().__init__()
        name, is_cifar = type(self).__name__, stem == "cifar"
        check_choice(name, "stem", stem, _STEMS)
        num_classes = (10 if is_cifar else 1000) if num_classes is None else num_classes
        check_counts(name, num_classes=num_classes, input_channels=input_channels)
        side, stride = (3, 1) if is_cifar else (7, 2)
        one, two, three, four = (scaled_width(whole, width) for whole in (64, 128, 256, 512))
        self.conv1 = nn.Conv2d(input_channels, one, side, stride, padding=side // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(one)
        self.maxpool = nn.Identity() if is_cifar else nn.MaxPool2d(3, 2, padding=1)
        growth = self._block.expansion
        self.layer1 = stage(self._block, one, one, self._depths[0], stride=1)
        self.layer2 = stage(self._block, one * growth, two, self._depths[1], stride=2)
        self.layer3 = stage(self._block, two * growth, three, self._depths[2], stride=2)
        self.layer4 = stage(self._block, three * growth, four, self._depths[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(four * growth, num_classes)
        kaiming_fan_out_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, input_channels, H, W) → logits (B, num_classes)."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


@MODELS.register("ResNet18")
class ResNet18(_ResNet):
    """ResNet-18: 11,689,512 parameters; with the CIFAR stem and 10 classes 11,173,962.

    torchvision's weights for its `resnet18` load.

    Args:
        num_classes: width of the output; 1000 unless given, 10 with the CIFAR stem.
        stem: `"imagenet"` (7×7 convolution with stride 2, then a pool; for 224×224 images) or
            `"cifar"` (3×3 with stride 1, no pool; for 32×32).
        input_channels: channels of an image.
        width: a factor on all hidden widths.

    >>> ResNet18(stem="cifar")(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])

    Source: He et al. 2016a, table 1; shortcuts of type B. Initial weights are torchvision's:
    N(0, 2 / fan_out) for convolutions, 1 and 0 for norms, PyTorch's default for the linear layer.
    """

    _block = BasicBlock
    _depths = (2, 2, 2, 2)


@MODELS.register("ResNet34")
class ResNet34(_ResNet):
    """ResNet-34: 21,797,672 parameters; with the CIFAR stem and 10 classes 21,282,122.

    Args and source: as `ResNet18`.
    """

    _block = BasicBlock
    _depths = (3, 4, 6, 3)


@MODELS.register("ResNet50")
class ResNet50(_ResNet):
    """ResNet-50: 25,557,032 parameters; with the CIFAR stem and 10 classes 23,520,842.

    The 3×3 convolution of a block is the strided one, as in torchvision (the paper's is the 1×1
    before it).

    Args and source: as `ResNet18`.
    """

    _block = Bottleneck
    _depths = (3, 4, 6, 3)


@MODELS.register("ResNet101")
class ResNet101(_ResNet):
    """ResNet-101: 44,549,160 parameters; with the CIFAR stem and 10 classes 42,512,970.

    Strides as in `ResNet50`. Args and source: as `ResNet18`.
    """

    _block = Bottleneck
    _depths = (3, 4, 23, 3)
