"""VGG-11, 13, 16 and 19, whose `state_dict` has torchvision's keys and shapes, and their forms for
32×32 images."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.models._arguments import (
    check_choice,
    check_counts,
    check_flag,
    scaled_width,
)
from lottery_ticket.models._init import kaiming_fan_out_, normal_
from lottery_ticket.models._registry import MODELS

__all__ = ["VGG11", "VGG13", "VGG16", "VGG19"]

_FORMS = {"imagenet": "fc 4096-4096 with dropout", "cifar": "batch norm, one linear layer"}
_WIDTHS = (64, 128, 256, 512, 512)


class _VGG(nn.Module):
    """Five groups of 3×3 convolutions, each group halving the side, then a classifier."""

    _depths: ClassVar[tuple[int, int, int, int, int]]

    def __init__(
        self,
        num_classes: int | None = None,
        form: str = "imagenet",
        batch_norm: bool | None = None,
        input_channels: int = 3,
        width: float | None = None,
    ) -> None:
        super().__init__()
        name, is_cifar = type(self).__name__, form == "cifar"
        check_choice(name, "form", form, _FORMS)
        num_classes = (10 if is_cifar else 1000) if num_classes is None else num_classes
        check_counts(name, num_classes=num_classes, input_channels=input_channels)
        has_norms = is_cifar if batch_norm is None else batch_norm
        check_flag(name, "batch_norm", has_norms)
        widths = [scaled_width(whole, width) for whole in _WIDTHS]
        layers = _features(input_channels, widths, self._depths, has_norms)
        # the average takes the place of the last pool: 32 / 2⁴ = 2 pixels are left to it
        self.features = nn.Sequential(*(layers[:-1] if is_cifar else layers))
        self.avgpool = nn.AdaptiveAvgPool2d(1) if is_cifar else _SevenBySeven()
        if is_cifar:
            self.classifier = nn.Linear(widths[-1], num_classes)
        else:
            self.classifier = _classifier(widths[-1], scaled_width(4096, width), num_classes)
        _initialize_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, input_channels, H, W) → logits (B, num_classes)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class _SevenBySeven(nn.Module):
    """Averages to 7×7 pixels, which 224×224 images are already."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → (B, C, 7, 7)."""
        # this average has no deterministic backward pass on CUDA: go without where it does nothing
        return x if x.shape[-2:] == (7, 7) else F.adaptive_avg_pool2d(x, 7)


def _features(
    channels: int, widths: list[int], depths: tuple[int, ...], has_norms: bool
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width, depth in zip(widths, depths, strict=True):
        for _ in range(depth):
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width), nn.ReLU()] if has_norms else [nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return layers


def _classifier(channels: int, width: int, num_classes: int) -> nn.Sequential:
    hidden = [nn.Linear(channels * 7 * 7, width), nn.ReLU(), nn.Dropout()]
    hidden += [nn.Linear(width, width), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*hidden, nn.Linear(width, num_classes))


def _initialize_(model: nn.Module) -> None:
    kaiming_fan_out_(model)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            normal_(layer.weight, 0.01)
            nn.init.zeros_(layer.bias)


@MODELS.register("VGG11")
class VGG11(_VGG):
    """VGG-11: 132,863,336 parameters, with batch norm 132,868,840; the CIFAR form 9,231,114.

    Args and source: as `VGG16`.
    """

    _depths = (1, 1, 2, 2, 2)


@MODELS.register("VGG13")
class VGG13(_VGG):
    """VGG-13: 133,047,848 parameters, with batch norm 133,053,736; the CIFAR form 9,416,010.

    Args and source: as `VGG16`.
    """

    _depths = (2, 2, 2, 2, 2)


@MODELS.register("VGG16")
class VGG16(_VGG):
    """VGG-16: 138,357,544 parameters, with batch norm 138,365,992; the CIFAR form 14,728,266.

    torchvision's weights for its `vgg16` and `vgg16_bn` load; those of the latter's `features` fit
    the CIFAR form.

    Args:
        num_classes: width of the output; 1000 unless given, 10 in the CIFAR form.
        form: `"imagenet"` (fc 4096-4096 with dropout; for 224×224 images) or `"cifar"` (a global
            average for the last pool, and one linear layer; for 32×32). Convolutions have a bias in
            both.
        batch_norm: norms behind the convolutions; unless given, the CIFAR form alone has them.
        input_channels: channels of an image.
        width: a factor on all hidden widths.

    >>> VGG16(form="cifar")(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])

    Source: Simonyan & Zisserman 2015; the CIFAR form as VGG-19 in Frankle & Carbin 2019, figure 2.
    Initial weights are torchvision's: N(0, 2 / fan_out) for convolutions, N(0, 0.01²) for linear
    layers, biases 0, norms 1 and 0.
    """

    _depths = (2, 2, 3, 3, 3)


@MODELS.register("VGG19")
class VGG19(_VGG):
    """VGG-19: 143,667,240 parameters, with batch norm 143,678,248; the CIFAR form 20,040,522.

    Args and source: as `VGG16`.
    """

    _depths = (2, 2, 4, 4, 4)
