"""Conv-2, Conv-4 and Conv-6: scaled-down VGGs for 32×32 images, in two forms."""

from typing import ClassVar, Self

import torch
from torch import nn

from lottery_ticket.models._arguments import check_choice, check_counts, scaled_width
from lottery_ticket.models._registry import MODELS

__all__ = ["Conv2", "Conv4", "Conv6"]

_FORMS = {"compact": "one linear layer", "paper": "fc 256-256"}


class _Conv(nn.Module):
    """Pairs of 3×3 convolutions, each pair halving the side, then a classifier."""

    _widths: ClassVar[tuple[int, ...]]

    def __init__(
        self, num_classes: int = 10, form: str = "compact", width: float | None = None
    ) -> None:
        super().__init__()
        check_counts(type(self).__name__, num_classes=num_classes)
        check_choice(type(self).__name__, "form", form, _FORMS)
        layers: list[nn.Module] = []
        channels = 3
        for wide in (scaled_width(whole, width) for whole in self._widths):
            layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU()]
            layers += [nn.Conv2d(wide, wide, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            channels = wide
        self.features = nn.Sequential(*layers)
        num_features = channels * (32 // 2 ** len(self._widths)) ** 2
        if form == "paper":
            self.classifier = _paper_classifier(num_features, scaled_width(256, width), num_classes)
        else:
            self.classifier = nn.Linear(num_features, num_classes)

    @classmethod
    def paper(cls, num_classes: int = 10) -> Self:
        """The form of Frankle & Carbin 2019: the same as `form="paper"`.

        >>> sum(p.numel() for p in Conv4.paper().parameters())
        2425930
        """
        return cls(num_classes, form="paper")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 32, 32) → logits (B, num_classes)."""
        return self.classifier(self.features(x).flatten(1))


def _paper_classifier(num_features: int, width: int, num_classes: int) -> nn.Sequential:
    hidden = [nn.Linear(num_features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(width, num_classes))


@MODELS.register("Conv2")
class Conv2(_Conv):
    """Conv-2: 64-64-pool and one linear layer, 202,570 parameters; as in the paper 4,301,642.

    Args:
        num_classes: width of the output.
        form: `"compact"` (one linear layer) or `"paper"` (fc 256-256, also `Conv2.paper()`).
        width: a factor on all hidden widths.

    >>> sum(p.numel() for p in Conv2(num_classes=10).parameters())
    202570

    The compact Conv-4 and Conv-6 have the counts of public implementations. A public compact Conv-2
    pools after each convolution, which makes 79,690 parameters; this one pools once, as the paper
    does.

    Source: Frankle & Carbin 2019, figure 2; initial weights are PyTorch's default, theirs are
    `init="glorot_normal"`.
    """

    _widths = (64,)


@MODELS.register("Conv4")
class Conv4(_Conv):
    """Conv-4: 64-64-pool, 128-128-pool and one linear layer, 342,090 parameters;
    as in the paper 2,425,930.

    Args and source: as `Conv2`.
    """

    _widths = (64, 128)


@MODELS.register("Conv6")
class Conv6(_Conv):
    """Conv-6: 64-64-pool, 128-128-pool, 256-256-pool and one linear layer, 1,186,378 parameters;
    as in the paper 2,262,602, for which the paper says 1.7 million.

    Args and source: as `Conv2`.
    """

    _widths = (64, 128, 256)
