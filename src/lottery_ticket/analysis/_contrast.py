"""Differences between two arms, level by level, and what their spread says of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special  # scipy.stats takes seconds to import

from lottery_ticket.analysis._spread import NEIGHBOURS, Spread, spread_of, spread_of_mean

__all__ = ["Contrast", "contrast_of", "dense_contrast_of"]

Floats = NDArray[np.float64]
Rule = Callable[[Floats], Spread]


@dataclass(frozen=True)
class Contrast:
    """What n replicates say of a difference, at each level. All arrays are (..., levels).

    Args:
        mean: over the replicates.
        n: replicates that have both values.
        error: the standard error of `mean`, from the spreads of both sides, see `spread_of`.
        df: degrees of freedom of `error`.
        own_error, own_df: the same from the level alone.
    """

    mean: Floats
    n: NDArray[np.int64]
    error: Floats
    df: Floats
    own_error: Floats
    own_df: Floats

    @classmethod
    def untested(cls, like: "Contrast") -> "Contrast":
        """A contrast of an arm that was not trained."""
        missing = np.full_like(like.mean, np.nan)
        return cls(missing, np.zeros_like(like.n), *(missing,) * 4)

    def __getitem__(self, levels: slice) -> "Contrast":
        """Some of the levels."""
        return Contrast(*(values[..., levels] for values in vars(self).values()))

    def reversed(self) -> "Contrast":
        """The difference the other way round."""
        return replace(self, mean=-self.mean)

    @property
    def sd(self) -> Floats:
        """Of one replicate's difference, if the two sides are independent."""
        return self.error * np.sqrt(self.n)

    @property
    def own_sd(self) -> Floats:
        """The same from the level alone."""
        return self.own_error * np.sqrt(self.n)

    def p_above(self, bound: float = 0.0) -> Floats:
        """One-sided p against "the true difference is `bound` or less".

        Not a number where nothing can be said: at n = 1, or without any spread.
        """
        return _p(self.mean - bound, self.error, self.df)

    def p_below(self, bound: float = 0.0) -> Floats:
        """One-sided p against "the true difference is `bound` or more"."""
        return _p(bound - self.mean, self.error, self.df)

    def interval(self, confidence: float, *, is_pooled: bool = True) -> tuple[Floats, Floats]:
        """A two-sided t interval, from what decides or from the level's own spread."""
        error, df = (self.error, self.df) if is_pooled else (self.own_error, self.own_df)
        with np.errstate(invalid="ignore"):
            half = -special.stdtrit(df, (1 - confidence) / 2) * error
        return self.mean - half, self.mean + half


def contrast_of(values: Floats, control: Floats, *, rule: Rule = spread_of) -> Contrast:
    """The contrast of two arms.

    The mean is that of the differences within replicates. Its error is Welch's, from the spread of
    each side: trainings of two arms share the order of the data and often θ₀, and yet hardly vary
    together (measured correlations lie about 0), so that pairing would only halve the degrees of
    freedom. Where they do vary together, bounds are wider than they need be.

    Args:
        values, control: (..., replicates, levels), levels in order of sparsity. A single table may
            lack some (not a number); of a stack of tables all have the same ones.
        rule: how the spread of an arm's levels is taken, to compare rules.

    Source: Welch (1947).

    Example:
        >>> two = np.array([[2.0, 2.0], [2.5, 3.0], [3.0, 7.0]])
        >>> found = contrast_of(two, np.zeros((3, 2)))
        >>> found.mean.tolist(), found.n.tolist()
        ([2.5, 4.0], [3, 3])
    """
    return _contrast(values, control, rule(values), rule(control))


def dense_contrast_of(
    values: Floats, dense: Floats, *, level_0: Floats | None = None, rule: Rule = spread_of
) -> Contrast:
    """The contrast of an arm's levels and the dense nets: those of a replicate are averaged first.

    Args:
        values: (..., replicates, levels) below dense, in order of sparsity.
        dense: (..., replicates, nets). They share the order of the data, and so are one replicate.
        level_0: (..., replicates, 1), the arm's own dense net, whose spread is pooled with that of
            the levels beside it; by default the first of `dense`.
        rule: as in `contrast_of`.
    """
    level_0 = dense[..., :1] if level_0 is None else level_0
    spread = rule(np.concatenate([level_0, values], axis=-1))
    own = Spread(*(part[..., 1:] for part in vars(spread).values()))
    with np.errstate(invalid="ignore", divide="ignore"):
        known = ~np.isnan(dense)
        mean = np.where(known, dense, 0.0).sum(axis=-1) / known.sum(axis=-1)
    control = np.broadcast_to(mean[..., None], values.shape)
    return _contrast(values, control, own, spread_of_mean(dense, values[..., :NEIGHBOURS]))


def _contrast(values: Floats, control: Floats, one: Spread, other: Spread) -> Contrast:
    differences = values - control
    known = ~np.isnan(differences)
    n = known.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, differences, 0.0).sum(axis=-2) / n
        pooled = _welch(one.variance, one.df, other.variance, other.df, n)
        own = _welch(one.own, one.own_df, other.own, other.own_df, n)
    return Contrast(mean, n, *pooled, *own)


def _welch(
    one: Floats, one_df: Floats, other: Floats, other_df: Floats, n: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """The error of a difference of two means of n, and its degrees of freedom."""
    one, other = np.broadcast_arrays(one, other)
    total = one + other
    # a side without any spread has no degrees of freedom to give
    parts = (np.where(v > 0, v**2 / df, 0.0) for v, df in ((one, one_df), (other, other_df)))
    df = total**2 / sum(parts)
    is_known = (total > 0) & (n > 1)
    return np.where(is_known, np.sqrt(total / n), np.nan), np.where(is_known, df, np.nan)


def _p(effect: Floats, error: Floats, df: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return special.stdtr(df, -effect / error)
