"""Conv-2, Conv-4 and Conv-6: scaled-down VGGs for 32×32 images, in two forms."""

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.models._registry import MODELS

__all__ = ["Conv2", "Conv4", "Conv6"]


class _Conv(nn.Module):
    """Pairs of 3×3 convolutions, each pair halving the side, then a classifier."""

    def __init__(self, widths: tuple[int, ...], num_classes: int, form: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in widths:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            channels = width
        self.features = nn.Sequential(*layers)
        num_features = channels * (32 // 2 ** len(widths)) ** 2
        self.classifier = _classifier(num_features, num_classes, form)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 32, 32) → logits (B, num_classes)."""
        return self.classifier(self.features(x).flatten(1))


def _classifier(num_features: int, num_classes: int, form: str) -> nn.Module:
    if form == "compact":
        return nn.Linear(num_features, num_classes)
    if form == "paper":
        hidden = [nn.Linear(num_features, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
        return nn.Sequential(*hidden, nn.Linear(256, num_classes))
    raise UsageError(f"form {form!r}; valid: compact (one linear layer), paper (fc 256-256)")


@MODELS.register("Conv2")
class Conv2(_Conv):
    """Conv-2: 64-64-pool and one linear layer, 202,570 parameters; as in the paper 4,301,642.

    Args:
        num_classes: width of the output.
        form: `"compact"` (one linear layer) or `"paper"` (fc 256-256).

    Source: Frankle & Carbin 2019, figure 2; initial weights are PyTorch's default.
    """

    def __init__(self, num_classes: int = 10, form: str = "compact") -> None:
        super().__init__((64,), num_classes, form)


@MODELS.register("Conv4")
class Conv4(_Conv):
    """Conv-4: 64-64-pool, 128-128-pool and one linear layer, 342,090 parameters;
    as in the paper 2,425,930.

    Args and source: as `Conv2`.
    """

    def __init__(self, num_classes: int = 10, form: str = "compact") -> None:
        super().__init__((64, 128), num_classes, form)


@MODELS.register("Conv6")
class Conv6(_Conv):
    """Conv-6: 64-64-pool, 128-128-pool, 256-256-pool and one linear layer, 1,186,378 parameters;
    as in the paper 2,262,602.

    Args and source: as `Conv2`.
    """

    def __init__(self, num_classes: int = 10, form: str = "compact") -> None:
        super().__init__((64, 128, 256), num_classes, form)
