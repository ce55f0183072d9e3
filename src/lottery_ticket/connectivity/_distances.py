"""How far apart nets are: in length, in direction, in signs."""

import math
from collections.abc import Mapping

import torch

__all__ = ["angle", "distance", "sign_flips"]

Tensors = Mapping[str, torch.Tensor]


def distance(a: Tensors, b: Tensors) -> float:
    """‖b − a‖₂ over all of them.

    Args:
        a, b: parameters of two nets, by name, of the same shapes.

    >>> distance({"w": torch.tensor([0.0, 0.0])}, {"w": torch.tensor([3.0, 4.0])})
    5.0
    """
    return math.sqrt(sum(float((b[n].double() - a[n].double()).square().sum()) for n in a))


def angle(a: Tensors, b: Tensors) -> float:
    """The angle between two nets as vectors, in degrees; not a number if one is zero.

    Args:
        a, b: as in `distance`.

    >>> round(angle({"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([0.0, 2.0])}))
    90
    """
    dot = sum(float((a[n].double() * b[n].double()).sum()) for n in a)
    zero = {name: torch.zeros_like(value) for name, value in a.items()}
    lengths = distance(zero, a) * distance(zero, b)
    if not lengths:
        return math.nan
    return math.degrees(math.acos(min(1.0, max(-1.0, dot / lengths))))


def sign_flips(a: Tensors, b: Tensors, mask: Tensors | None = None) -> float:
    """The share of weights whose sign is another in b than in a.

    Args:
        a, b: as in `distance`.
        mask: which weights count; None for all that are not zero in both.

    >>> sign_flips({"w": torch.tensor([1.0, -1.0])}, {"w": torch.tensor([2.0, 3.0])})
    0.5
    """
    flipped = counted = 0
    for name, value in a.items():
        other = b[name].to(value.device)
        counts = (value != 0) | (other != 0) if mask is None else mask[name].to(value.device)
        flipped += int(((value.sign() != other.sign()) & counts).sum())
        counted += int(counts.sum())
    return flipped / counted if counted else math.nan
