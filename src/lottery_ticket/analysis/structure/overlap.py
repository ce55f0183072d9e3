"""How much masks share, beside what chance would give."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from lottery_ticket.analysis.structure.place import MaskPlace
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.masks import PruningMask

__all__ = ["Chance", "LayerCounts", "chance_overlap", "mask_overlap", "overlap_table"]


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
    firsts, chances = zip(*map(_shared, layers), strict=True)
    return sum(firsts), reduce(_convolved, chances)


@lru_cache(maxsize=64)  # a layer is asked for by itself, and then among all
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


def mask_overlap(mask: PruningMask, other: PruningMask) -> pd.DataFrame:
    """What two masks of one net share, per layer and in all, and what chance would give.

    Chance is two masks drawn independently with the same number of weights in every layer (see
    `chance_overlap`): that both keep most of the last layer is no agreement.

    Args:
        mask, other: of the same names and shapes.

    Returns:
        A row per layer in model order, then one for `"all"`: layer, num_prunable, num_kept,
        num_kept_other, num_shared; `share` = shared / the smaller count (1 where one mask is nested
        in the other), `iou` = shared / kept by either; `expected_share` and `expected_iou`, their
        means under chance; `z`, how many standard deviations num_shared lies above its mean, null
        where chance leaves no room. Ratios of nothing are null.

    Raises:
        UsageError: they are masks of different nets.

    >>> import torch
    >>> one = PruningMask.from_tensors({"w": torch.tensor([True, True, False, False])})
    >>> two = PruningMask.from_tensors({"w": torch.tensor([True, False, True, False])})
    >>> frame = mask_overlap(one, two).set_index("layer")
    >>> frame.loc["w", ["num_shared", "share", "expected_share"]].tolist()
    [1.0, 0.5, 0.5]
    """
    return pd.DataFrame(_overlap_rows(mask, other))


def _overlap_rows(mask: PruningMask, other: PruningMask) -> list[dict[str, object]]:
    _check_same_net(mask, other)
    counts = {
        name: LayerCounts(kept.numel(), int(kept.sum()), int(other[name].sum()))
        for name, kept in mask.items()
    }
    shared = {name: int((kept & other[name]).sum()) for name, kept in mask.items()}
    rows = [_row(name, [counts[name]], shared[name]) for name in counts]
    return [*rows, _row("all", list(counts.values()), sum(shared.values()))]


def overlap_table(
    masks: Mapping[MaskPlace, PruningMask], *, across: str = "replicate"
) -> pd.DataFrame:
    """The overlap of every two masks that differ in one coordinate of their place alone.

    Args:
        masks: by place, of one run (`RunResult.masks`) or of several.
        across: the coordinate: `"replicate"` (do searches with other seeds find the same mask?),
            `"arm"` (of one replicate: the ticket's against one-shot's, say), `"level"`, `"draw"`,
            or `"run"` (another criterion, the same seeds).

    Returns:
        For each pair and layer: the coordinates that the masks have in common, `{across}` and
        `{across}_other`, and the columns of `mask_overlap`.

    Raises:
        UsageError: `across` is no coordinate, or masks are of different nets.
    """
    if across not in MaskPlace._fields:
        raise UsageError(f"across: got {across!r}{nearest(across, MaskPlace._fields)}")
    groups: dict[MaskPlace, list[MaskPlace]] = defaultdict(list)
    for place in masks:
        groups[place._replace(**{across: None})].append(place)
    # one table at the end: pairs grow with the square of the replicates, and a table takes a while
    return pd.DataFrame(
        {**one._asdict(), f"{across}_other": getattr(two, across), **row}
        for places in groups.values()
        for one, two in combinations(places, 2)
        for row in _overlap_rows(masks[one], masks[two])
    )


def _row(layer: str, counts: list[LayerCounts], num_shared: int) -> dict[str, object]:
    num_prunable, num_kept, num_kept_other = (sum(column) for column in zip(*counts, strict=True))
    smaller, either = min(num_kept, num_kept_other), num_kept + num_kept_other - num_shared
    chance = chance_overlap(counts)
    nan = float("nan")
    return {
        "layer": layer,
        "num_prunable": num_prunable,
        "num_kept": num_kept,
        "num_kept_other": num_kept_other,
        "num_shared": num_shared,
        "share": num_shared / smaller if smaller else nan,
        "iou": num_shared / either if either else nan,
        "expected_share": chance.num_shared / smaller if smaller else nan,
        "expected_iou": chance.iou,
        "z": (num_shared - chance.num_shared) / chance.sd if chance.sd else nan,
    }


def _check_same_net(mask: PruningMask, other: PruningMask) -> None:
    shapes, others = ({name: tuple(m.shape) for name, m in x.items()} for x in (mask, other))
    if shapes != others:
        name = next(n for n in [*shapes, *others] if shapes.get(n) != others.get(n))
        raise UsageError(
            f"masks of different nets have no overlap: {name!r} has shape {shapes.get(name)} in "
            f"one and {others.get(name)} in the other"
        )
