"""What two masks would share by chance, given how many weights each layer keeps."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Chance", "LayerCounts", "chance_overlap"]


class LayerCounts(NamedTuple):
    """How many of a layer's weights there are, and how many two masks keep of them."""

    num_prunable: int
    num_kept: int
    num_kept_other: int


class Chance(NamedTuple):
    """What is to be expected of two independent masks.

    Args:
        num_shared: mean of the number of weights that both keep.
        sd: its standard deviation.
        iou: mean of the intersection over the union; NaN where neither keeps any.
    """

    num_shared: float
    sd: float
    iou: float


def chance_overlap(layers: Sequence[LayerCounts]) -> Chance:
    """The overlap of two masks drawn independently, uniformly among those with these counts.

    Of a layer with N weights, of which the masks keep a and b, both keep S of them, which is
    hypergeometric: P(S = s) = C(a, s) C(N − a, b − s) / C(N, b), E[S] = a b / N,
    Var[S] = a b (N − a)(N − b) / (N² (N − 1)). Layers are independent, so that means and variances
    add up; for the mean of the ratio S / (a + b − S) the distribution of the sum is worked out.

    Args:
        layers: one or more layers, taken together.

    Returns:
        Exact values, up to rounding (about 1e-12 for the ratio).

    >>> found = chance_overlap([LayerCounts(4, 2, 2)])  # six masks: 1 shares both, 4 one, 1 none
    >>> found.num_shared, round(found.sd, 4), round(found.iou, 4)
    (1.0, 0.5774, 0.3889)

    Source: the hypergeometric distribution, as in Fisher's exact test.
    """
    mean = sum(_mean(layer) for layer in layers)
    variance = sum(_variance(layer) for layer in layers)
    first, chances = _sum_of_shared(layers)
    num_either = sum(layer.num_kept + layer.num_kept_other for layer in layers)
    if num_either == 0:
        return Chance(mean, variance**0.5, float("nan"))
    shared = np.arange(first, first + len(chances))
    return Chance(mean, variance**0.5, float(chances @ (shared / (num_either - shared))))


def _mean(layer: LayerCounts) -> float:
    n, a, b = layer
    return a * b / n


def _variance(layer: LayerCounts) -> float:
    n, a, b = layer
    return a * b * (n - a) * (n - b) / (n**2 * (n - 1)) if n > 1 else 0.0


def _sum_of_shared(layers: Sequence[LayerCounts]) -> tuple[int, np.ndarray]:
    """The smallest number of shared weights that is possible, and the chance of it and the next."""
    first, chances = 0, np.ones(1)
    for layer in layers:
        low, of_layer = _shared(layer)
        first += low
        chances = _convolved(chances, of_layer)
    return first, chances


def _shared(layer: LayerCounts) -> tuple[int, np.ndarray]:
    """The same of one layer: by P(s + 1) / P(s) = (a − s)(b − s) / ((s + 1)(N − a − b + s + 1))."""
    n, a, b = layer
    # what lies further out than this has a chance below 1e-30, for large and for small means
    reach = 12 * _variance(layer) ** 0.5 + 40
    low = max(0, a + b - n, int(_mean(layer) - reach))
    high = min(a, b, int(_mean(layer) + reach) + 1)
    s = np.arange(low, high, dtype=np.float64)
    ratios = (a - s) * (b - s) / ((s + 1) * (n - a - b + s + 1))
    logs = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    chances = np.exp(logs - logs.max())
    return low, chances / chances.sum()


def _convolved(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    size = len(one) + len(other) - 1
    return np.fft.irfft(np.fft.rfft(one, size) * np.fft.rfft(other, size), size)
