"""The narrower dense net that has about as many weights as a ticket keeps."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from lottery_ticket.masks import prunable_sizes
from lottery_ticket.models import largest_width, outline, scaled_options

__all__ = ["narrowed"]


def narrowed(name: str, options: Mapping[str, Any], num_weights: int) -> tuple[dict[str, Any], int]:
    """The options of the net whose weights are nearest to `num_weights`, and its real number.

    All hidden widths are scaled by one factor, n / the largest width. Where they can be set one by
    one, some are those of n and the others those of n + 1.

    Raises:
        UsageError: the widths of this model cannot be scaled.

    >>> narrowed("LeNet300", {"input_size": 784, "num_classes": 10}, 9366)
    ({'input_size': 784, 'num_classes': 10, 'hidden': [12, 4]}, 9496)
    """
    widest = largest_width(name, options)

    def scaled(width: int) -> dict[str, Any]:
        return scaled_options(name, options, Fraction(width, widest))

    def count(found: dict[str, Any]) -> int:
        return sum(prunable_sizes(outline(name, **found)).values())

    low, high = 1, widest  # a wider net has more weights
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if count(scaled(middle)) >= num_weights else (middle + 1, high)
    nets = _between(scaled(max(1, low - 1)), scaled(low))
    counts = [count(net) for net in nets]
    best = min(range(len(nets)), key=lambda index: abs(counts[index] - num_weights))
    return nets[best], counts[best]


def _between(narrow: dict[str, Any], wide: dict[str, Any]) -> list[dict[str, Any]]:
    """Both nets, and those with the first hidden layers of the one and the rest of the other."""
    if "hidden" not in narrow:
        return [narrow, wide]
    one, other = narrow["hidden"], wide["hidden"]
    return [
        narrow | {"hidden": [*first[:index], *rest[index:]]}
        for first, rest in ((one, other), (other, one))
        for index in range(len(one) + 1)
    ]
