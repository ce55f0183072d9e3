"""The narrower dense net that has about as many weights as a ticket keeps."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from lottery_ticket.masks import prunable_sizes
from lottery_ticket.models import largest_width, outline, scaled_options

__all__ = ["narrowed"]


def narrowed(name: str, options: Mapping[str, Any], num_weights: int) -> tuple[dict[str, Any], int]:
    """The options of the net whose weights are nearest to `num_weights`, and its real number.

    All hidden widths are scaled by one factor, n / the largest width; on a tie the narrower net.

    Raises:
        UsageError: the widths of this model cannot be scaled.

    >>> narrowed("LeNet300", {"input_size": 784, "num_classes": 10}, 9366)
    ({'input_size': 784, 'num_classes': 10, 'hidden': [12, 4]}, 9496)
    """
    widest = largest_width(name, options)

    def scaled(width: int) -> tuple[dict[str, Any], int]:
        found = scaled_options(name, options, Fraction(width, widest))
        return found, sum(prunable_sizes(outline(name, **found)).values())

    low, high = 1, widest  # a wider net has more weights
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if scaled(middle)[1] >= num_weights else (middle + 1, high)
    around = [scaled(width) for width in (low - 1, low) if width]
    return min(around, key=lambda net: abs(net[1] - num_weights))
