"""Augmentations: one epoch's draws on the CPU, applied to batches on any device."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch.nn import functional as F

from lottery_ticket.errors import UsageError
from lottery_ticket.registry import Registry

__all__ = ["AUGMENTATIONS", "Augmentation", "PadCropFlip", "register_augmentation"]


class Augmentation(Protocol):
    """Changes the examples of a batch at random, by draws that do not depend on the device."""

    def draw(self, num_examples: int, generator: torch.Generator) -> torch.Tensor:
        """One epoch's draws, a row for each example, on the CPU."""
        ...

    def apply(self, x: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """The batch x, changed as its rows of `draws` say."""
        ...


AUGMENTATIONS: Registry[Callable[..., Augmentation]] = Registry("augmentation")
"""The augmentations by name; each makes one from its options."""

_Made = TypeVar("_Made", bound=Callable[..., Augmentation])


def register_augmentation(name: str) -> Callable[[_Made], _Made]:
    """Decorator that lets specs say `augment: name` of an augmentation of one's own.

    Args:
        name: what specs call it.

    Returns:
        A decorator for a class, or a function, that makes an `Augmentation` from its options.

    Raises:
        UsageError: the name is taken.

    >>> @register_augmentation("jitter")
    ... class Jitter:
    ...     def __init__(self, size: float = 0.1):
    ...         self.size = size
    ...     def draw(self, num_examples, generator):
    ...         return torch.randn(num_examples, 1, generator=generator)
    ...     def apply(self, x, draws):
    ...         return x + self.size * draws.view(-1, *[1] * (x.ndim - 1))
    """

    def file(make: _Made) -> _Made:
        AUGMENTATIONS.add(name, make, is_user=True)
        return make

    return file


@AUGMENTATIONS.register("pad_crop_flip")
@dataclass(frozen=True)
class PadCropFlip:
    """Zero-pad, crop back to size at random, flip horizontally half of the time.

    The padding comes after normalisation, so the border has the mean colour, not black.

    Args:
        padding: pixels added on each side.

    Raises:
        UsageError: `padding` is negative.

    Example:
        >>> augmentation = PadCropFlip(padding=1)
        >>> x = torch.arange(4.0).view(1, 1, 2, 2)
        >>> augmentation.apply(x, torch.tensor([[1, 1, 1]])).flatten().tolist()
        [1.0, 0.0, 3.0, 2.0]

    Source:
        He et al. 2016, arXiv:1512.03385, section 4.2.
    """

    padding: int = 4

    def __post_init__(self) -> None:
        if self.padding < 0:
            raise UsageError(f"pad_crop_flip: padding is 0 or more; got {self.padding}")

    def draw(self, num_examples: int, generator: torch.Generator) -> torch.Tensor:
        """One epoch's draws for every example, on the CPU whatever the training's device.

        Args:
            num_examples: of the training split.
            generator: a CPU generator.

        Returns:
            int64 `(num_examples, 3)`: dy and dx in [0, 2·padding], flip 0 or 1.
        """
        size = 2 * self.padding + 1
        corner = torch.randint(0, size, (num_examples, 2), generator=generator)
        flip = torch.randint(0, 2, (num_examples, 1), generator=generator)
        return torch.cat([corner, flip], dim=1)

    def apply(self, x: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """The batch, each image cropped and flipped as drawn.

        Args:
            x: `(B, C, H, W)`.
            draws: int64 `(B, 3)`, rows of `draw`, on the device of x.

        Returns:
            A new tensor of the shape and dtype of x.
        """
        num, channels, height, width = x.shape
        padded = F.pad(x, [self.padding] * 4)

        def steps(count: int) -> torch.Tensor:
            return torch.arange(count, device=x.device)

        dy, dx, flip = draws[:, 0:1], draws[:, 1:2], draws[:, 2:3]
        forward, backward = steps(width), steps(width).flip(0)
        rows_bh = dy + steps(height)
        columns_bw = dx + torch.where(flip.bool(), backward, forward)
        return padded[
            steps(num)[:, None, None, None],
            steps(channels)[None, :, None, None],
            rows_bh[:, None, :, None],
            columns_bw[:, None, None, :],
        ]
