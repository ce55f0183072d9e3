"""What the test set itself leaves open: the same nets on other images, and class by class."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special  # scipy.stats takes seconds to import

from lottery_ticket.analysis.judging.contrasts import DENSE
from lottery_ticket.analysis.statistics.claims import ALPHA
from lottery_ticket.analysis.statistics.means import FRESH, LEAD
from lottery_ticket.analysis.statistics.tables import ACCURACY, plain
from lottery_ticket.analysis.statistics.text import MISSING, format_percent
from lottery_ticket.analysis.telling.words import aligned, signed_number, wrapped
from lottery_ticket.errors import UsageError
from lottery_ticket.notebook_html import notebook_html

__all__ = ["ClassDifferences", "class_differences", "dense_images", "image_intervals"]


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


Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassDifferences:
    """The ticket of a level minus dense, class by class.

    Args:
        level, density: which ticket.
        num_replicates: that have both.
        difference: over all test images, as a fraction.
        table: a row per class: class, name, num_images, dense, ticket (accuracies), difference, low
            and high (95 %: other replicates and other images), unlike_others (its difference minus
            that of all other images), p (two-sided, that this is 0) and is_beyond_chance (step by
            step as in Holm's procedure, 5 % over all classes). p is not a number with one
            replicate.
    """

    level: int
    density: float
    num_replicates: int
    difference: float
    table: pd.DataFrame

    @property
    def beyond_chance(self) -> list[int]:
        """Classes that fare otherwise than the rest, beyond what chance gives."""
        return self.table.loc[self.table["is_beyond_chance"], "class"].tolist()

    @property
    def sentence(self) -> str:
        """What it says, in a sentence or two."""
        n = self.num_replicates
        where = f"At {format_percent(self.density)} of the weights (level {self.level})"
        overall = f"the ticket differs from dense by {_points(self.difference)} points in all"
        if n == 1:
            return (
                f"{where} {overall}. One replicate does not tell what pruning does to a class from "
                "what another training would; more do."
            )
        parts = [
            f"{row['name']} by {_points(row['difference'])}"
            for row in self.table.to_dict("records")
            if row["is_beyond_chance"]
        ]
        found = "no class fares otherwise beyond what chance gives"
        if parts:
            found = f"beyond what chance gives it differs for {', '.join(parts)}"
        return f"{where} {overall}; {found} (5 % over all classes; {n} replicates)."

    @staticmethod
    def interval(row: Mapping[str, Any]) -> str:
        """The interval of a row of `table`, in points."""
        if np.isnan(row["low"]):  # one image, or nothing varies
            return MISSING
        return f"{_points(row['low'])} to {_points(row['high'])}"

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; what is not known is None."""
        values = {**vars(self), "table": self.table.to_dict("records")}
        return plain({"sentence": self.sentence, **values})

    def __str__(self) -> str:
        rows = [["class", "images", "dense", "ticket", "difference", "95 % interval", ""]]
        for row in self.table.to_dict("records"):
            ends = self.interval(row)
            accuracies = (f"{100 * row[name]:.2f} %" for name in ("dense", "ticket"))
            star = "*" if row["is_beyond_chance"] else ""
            shown = [row["name"], f"{row['num_images']:,}", *accuracies]
            rows.append([*shown, _points(row["difference"]), ends, star])
        legend = [
            "differences in points; intervals: where other replicates and other test images",
            "would lie",
        ]
        if self.beyond_chance:
            legend.append("* unlike the other classes, beyond chance")
        return "\n".join([*wrapped(self.sentence), "", *aligned(rows), *legend])

    __repr__ = __str__
    _repr_html_ = notebook_html


def class_differences(
    rows: Iterable[Mapping[str, Any]],
    labels: Sequence[int] | NDArray[np.int64],
    *,
    level: int,
    density: float,
    names: Sequence[object] | None = None,
) -> ClassDifferences:
    """How the ticket of a level fares against dense in each class of the test set.

    x is, for a replicate and an image, whether the ticket is right minus the mean of the dense
    nets. Both the replicate and the images are random: the error of a class's mean is that over
    images, σ²/N, and what whole classes shift by from training to training, which that does not
    hold: s²/n over the replicates' means, less the share in it of single images, with n − 1 degrees
    of freedom. Of that shift the larger of the class's own and the mean over classes is taken,
    since 3 or 5 replicates tell little of one class. Degrees of freedom of the sum are
    Satterthwaite's. A class that is unlike all others beyond chance is left out of what the next
    are held against.

    Args:
        rows: for each training arm, level, replicate, draw and `correct`, (N,) booleans.
        labels: (N,) the class of each image.
        level: which ticket.
        density: of that level, to be shown.
        names: of the classes; None for "class 0" and so on.

    Raises:
        UsageError: the run has no per-image results of this level and dense, or labels of other
            images.

    Source: Hooker et al. 2019, "What do compressed deep neural networks forget?" (there: Welch's
    test over trainings, each class by itself); Holm (1979).

    Example:
        >>> own = {"arm": "ticket", "replicate": 0, "draw": 0}
        >>> right = np.array([True] * 9 + [False])
        >>> rows = [
        ...     {**own, "level": 0, "correct": right},
        ...     {**own, "level": 1, "correct": ~right},
        ... ]
        >>> found = class_differences(rows, [0] * 5 + [1] * 5, level=1, density=0.5)
        >>> found.table["difference"].tolist()
        [-1.0, -0.6]
    """
    nets: dict[tuple[str, int], dict[int, list[NDArray[np.bool_]]]]
    nets = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["level"] in (0, level):
            nets[row["arm"], row["level"]][row["replicate"]].append(row["correct"])
    dense, ticket = dense_images(nets), nets.get((LEAD, level), {})
    both = sorted(dense.keys() & ticket.keys())
    if not both or level == 0:
        raise UsageError(
            f"level {level}: there are no answers to single test images of this ticket and of "
            "dense; they are stored for classifiers, once both are trained"
        )
    other = np.array([np.mean(dense[r], axis=0) for r in both])
    own = np.array([np.mean(ticket[r], axis=0) for r in both])
    classes, of = np.unique(np.asarray(labels), return_inverse=True)
    if names is not None and len(names) <= classes.max():
        raise UsageError(f"names: got {len(names)}, and there is a class {classes.max()}")
    if own.shape[1] != len(of):
        raise UsageError(f"labels: got {len(of):,}, wanted one for each of {own.shape[1]:,} images")
    at = {
        "class": classes,
        "name": [_name(int(c), names) for c in classes],
        "num_images": np.bincount(of),
        "dense": _Sums.of(other, of).mean,
        "ticket": _Sums.of(own, of).mean,
    }
    found = pd.DataFrame({**at, **_table(own - other, of)})
    return ClassDifferences(level, density, len(both), float((own - other).mean()), found)


@dataclass(frozen=True)
class _Sums:
    """What is known of groups of images; arrays are (..., groups).

    Args:
        images: how many.
        means: of each replicate, (replicates, groups).
        squares: Σ (mean over replicates)², over images.
        within: Σ of the variance over replicates, over images.
    """

    images: Floats
    means: Floats
    squares: Floats
    within: Floats

    @classmethod
    def of(cls, x: Floats, of: NDArray[np.intp]) -> "_Sums":
        """Each class of (replicates, images)."""
        images = np.bincount(of)
        image = x.mean(axis=0)
        within = x.var(axis=0, ddof=1) if len(x) > 1 else np.zeros(len(of))
        means = np.array([np.bincount(of, weights=row) / images for row in x])
        sums = (np.bincount(of, weights=each) for each in (image**2, within))
        return cls(images.astype(float), means, *(np.asarray(each, float) for each in sums))

    def others(self) -> "_Sums":
        """For each group all the others together."""
        images = self.images.sum() - self.images
        total = (self.means * self.images).sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (total - self.means * self.images) / images
        return _Sums(
            images, means, self.squares.sum() - self.squares, self.within.sum() - self.within
        )

    def __getitem__(self, groups: NDArray[np.intp]) -> "_Sums":
        return _Sums(*(part[..., groups] for part in vars(self).values()))

    @property
    def mean(self) -> Floats:
        """Of all replicates."""
        return self.means.mean(axis=0)

    @property
    def of_images(self) -> Floats:
        """The variance of `mean`, for other images."""
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = (self.squares / self.images - self.mean**2).clip(0) / (self.images - 1)
        return np.where(self.images > 1, spread, np.nan)

    @property
    def of_single_images(self) -> Floats:
        """The share of single images in the variance of `mean` over replicates."""
        return self.within / self.images**2 / len(self.means)


def _table(x: Floats, of: NDArray[np.intp]) -> dict[str, Any]:
    """The columns of differences, from (replicates, images)."""
    sums = _Sums.of(x, of)
    error, df = _error(sums)
    half = -special.stdtrit(df, 0.025) * error
    unlike, p, is_beyond = _unlike_others(sums)
    return {
        "difference": sums.mean, "low": sums.mean - half, "high": sums.mean + half,
        "unlike_others": unlike, "p": p, "is_beyond_chance": is_beyond,
    }  # fmt: skip


def _unlike_others(sums: _Sums) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Each class against all others, step by step: one that is unlike them is no measure of what
    comes after."""
    count = len(sums.images)
    unlike, p = np.full(count, np.nan), np.full(count, np.nan)
    is_beyond = np.zeros(count, dtype=bool)
    while (left := np.flatnonzero(~is_beyond)).size > 1:
        one = sums[left]
        rest = one.others()
        error, df = _error(one, rest)
        unlike[left] = one.mean - rest.mean
        if len(sums.means) == 1:
            break
        with np.errstate(invalid="ignore", divide="ignore"):
            p[left] = 2 * special.stdtr(df, -np.abs(unlike[left]) / error)
        if np.isnan(p[left]).all():
            break
        # of the last two each is as unlike the other: the one that changed more is meant
        likeliest = np.isclose(p[left], np.nanmin(p[left]), rtol=1e-9, atol=0)
        first = left[np.argmax(np.where(likeliest, np.abs(one.mean), -1.0))]
        if p[first] > ALPHA / left.size:
            break
        is_beyond[first] = True
    return unlike, p, is_beyond


def _error(one: _Sums, rest: _Sums | None = None) -> tuple[Floats, Floats]:
    """The standard error of means, or of what they exceed others by, and its degrees of freedom."""
    n = len(one.means)
    sides = [one] if rest is None else [one, rest]
    images = sum(side.of_images for side in sides)
    shift = np.zeros_like(images)
    if n > 1:
        means = one.means if rest is None else one.means - rest.means
        own = means.var(axis=0, ddof=1) / n - sum(side.of_single_images for side in sides)
        shift = np.maximum(own, max(0.0, float(np.nanmean(own))))
    variance = images + shift
    fewest = np.min([side.images for side in sides], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        df = variance**2 / (images**2 / (fewest - 1) + shift**2 / max(n - 1, 1))
    return np.where(variance > 0, np.sqrt(variance), np.nan), df


def _name(number: int, names: Sequence[object] | None) -> str:
    """What a class is called, in one line: a bare number is none."""
    name = str(number) if names is None else " ".join(str(names[number]).split())
    return f"class {name}" if re.fullmatch(r"-?[\d.]*", name) else name


def _points(value: float) -> str:
    return signed_number(value, 1.0, ACCURACY)
