"""What the test set itself leaves open: the same nets, judged on other images."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special  # scipy.stats takes seconds to import

from lottery_ticket.analysis._contrasts import DENSE
from lottery_ticket.analysis._statistics import FRESH, LEAD

__all__ = ["dense_images", "image_intervals"]

# replicate → which images each of its draws got right
Nets = Mapping[int, Sequence[NDArray[Any]]]


def image_intervals(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """95 % intervals of the ticket's differences over test images, the trained nets held fixed.

    Each image's difference (was the ticket right − was the other) is averaged over the replicates
    that have both; the interval is that of the mean over images. With one replicate it is that of
    McNemar's test: the variance is (b + c − (b − c)² / N) / (N (N − 1)) for b images that only the
    ticket gets right, c that only the other does.

    Args:
        rows: for each training arm, level, replicate, draw and `correct`, (N,) booleans: the same
            images in the same order in each.

    Returns:
        A frame of level, control, image_low, image_high, in fractions; a row for each level of the
        ticket below dense and each arm trained there.

    Source: McNemar (1947).

    Example:
        >>> own = {"arm": "ticket", "replicate": 0, "draw": 0}
        >>> right = np.array([True] * 90 + [False] * 10)
        >>> rows = [{**own, "level": 0, "correct": right}, {**own, "level": 1, "correct": ~right}]
        >>> image_intervals(rows).round(2).to_dict("records")
        [{'level': 1, 'control': 'dense', 'image_low': -0.92, 'image_high': -0.68}]
    """
    nets: dict[tuple[str, int], dict[int, list[NDArray[np.bool_]]]]
    nets = defaultdict(lambda: defaultdict(list))
    for row in rows:
        nets[row["arm"], row["level"]][row["replicate"]].append(row["correct"])
    found = []
    for level in sorted(level for arm, level in nets if arm == LEAD and level > 0):
        others = {arm: nets[arm, at] for arm, at in nets if at == level and arm != LEAD}
        for control, other in {DENSE: dense_images(nets), **others}.items():
            differences = _differences(nets[LEAD, level], other)
            if differences is not None:
                low, high = _interval(differences)
                found.append(
                    {"level": level, "control": control, "image_low": low, "image_high": high}
                )
    return pd.DataFrame(found, columns=pd.Index(["level", "control", "image_low", "image_high"]))


def dense_images(nets: Mapping[tuple[str, int], Nets]) -> dict[int, list[NDArray[np.float64]]]:
    """The dense nets of each replicate, one of each arm that has its own."""
    both = [nets[arm, 0] for arm in (LEAD, FRESH) if (arm, 0) in nets]
    replicates = {replicate for own in both for replicate in own}
    return {r: [np.mean(own[r], axis=0) for own in both if r in own] for r in replicates}


def _differences(own: Nets, other: Nets) -> NDArray[np.float64] | None:
    """Per image, the mean over the replicates that have both; draws are averaged first."""
    both = sorted(own.keys() & other.keys())
    if not both:
        return None
    return np.mean([np.mean(own[r], axis=0) - np.mean(other[r], axis=0) for r in both], axis=0)


def _interval(images: NDArray[np.float64]) -> tuple[float, float]:
    n = len(images)
    half = -special.stdtrit(n - 1, 0.025) * images.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    return float(images.mean() - half), float(images.mean() + half)
