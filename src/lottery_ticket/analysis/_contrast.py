"""Paired differences between two arms, level by level, and what their spread says of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special  # scipy.stats takes seconds to import

__all__ = ["NEIGHBOURS", "Contrast", "contrast_of", "pooled_variance"]

NEIGHBOURS = 2
"""Levels on either side whose residuals are pooled with a level's own."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Contrast:
    """What n replicates say of a difference, at each level. All arrays are (..., levels).

    Args:
        mean: over the replicates.
        sd: over the replicates, of the level alone; not a number at n = 1.
        n: replicates that have both values.
        pooled_sd: with the neighbouring levels, see `pooled_variance`.
        df: degrees of freedom of `pooled_sd`.
    """

    mean: Floats
    sd: Floats
    n: NDArray[np.int64]
    pooled_sd: Floats
    df: Floats

    def p_above(self, bound: float = 0.0) -> Floats:
        """One-sided p against "the true difference is `bound` or less".

        Not a number where nothing can be said: at n = 1, or without any spread.
        """
        return _p(self.mean - bound, self.pooled_sd / np.sqrt(self.n), self.df)

    def p_below(self, bound: float = 0.0) -> Floats:
        """One-sided p against "the true difference is `bound` or more"."""
        return _p(bound - self.mean, self.pooled_sd / np.sqrt(self.n), self.df)

    def interval(self, confidence: float, *, is_pooled: bool = True) -> tuple[Floats, Floats]:
        """A two-sided t interval, from the pooled spread or from the level's own."""
        sd, df = (self.pooled_sd, self.df) if is_pooled else (self.sd, self.n - 1.0)
        with np.errstate(invalid="ignore"):
            half = -special.stdtrit(df, (1 - confidence) / 2) * sd / np.sqrt(self.n)
        return self.mean - half, self.mean + half


def contrast_of(differences: Floats) -> Contrast:
    """The contrast of paired differences.

    Args:
        differences: (..., replicates, levels), levels in order of sparsity. A single table may
            lack some (not a number); a stack of tables may not.

    Example:
        >>> found = contrast_of(np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 5.0]]))
        >>> found.mean, found.n
        (array([2., 3.]), array([3, 3]))
    """
    known = ~np.isnan(differences)
    n = known.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, differences, 0.0).sum(axis=-2) / n
        residuals = np.where(known, differences - mean[..., None, :], 0.0)
        sd = np.sqrt((residuals**2).sum(axis=-2) / np.where(n > 1, n - 1.0, np.nan))
    num_levels = differences.shape[-1]
    pooled = [
        _pooled_at(differences, level, max(0, level - NEIGHBOURS), level + NEIGHBOURS + 1)
        for level in range(num_levels)
    ]
    variance, df = (np.stack(parts, axis=-1) for parts in zip(*pooled, strict=True))
    return Contrast(mean, sd, n, np.sqrt(variance), df)


def _pooled_at(differences: Floats, level: int, first: int, end: int) -> tuple[Floats, Floats]:
    """`pooled_variance` around a level, over the replicates that every level there has."""
    window = differences[..., first:end]
    if window.ndim == 2:
        own = ~np.isnan(window[:, level - first])
        window = window[:, ~np.isnan(window[own]).all(axis=0)]  # levels not made yet
        window = window[~np.isnan(window).any(axis=1)]
    return pooled_variance(window)


def pooled_variance(window: Floats) -> tuple[Floats, Floats]:
    """The variance of one replicate's difference, pooled over levels, and its degrees of freedom.

    s² = tr S / k for the k × k covariance S of the levels' differences over n replicates. Levels
    of one replicate share initial weights and the dense training, so that s² knows less than
    k(n − 1) independent residuals would. Satterthwaite: df = ν (tr Σ)² / tr Σ², ν = n − 1, with
    unbiased estimates of both: q = ν² / ((ν−1)(ν+2)) · (tr S² − (tr S)² / ν) of tr Σ², and
    (tr S)² − 2q / ν of (tr Σ)². So df = ν (tr S)² / q − 2, kept between ν and kν. At n = 2 nothing
    tells how levels are correlated, and df is 1.

    Args:
        window: (..., replicates, levels).

    Returns:
        The variance and the degrees of freedom, (...); not numbers at n = 1 or without spread.

    Source: Satterthwaite (1946), Box (1954); the estimates as in Huynh & Feldt (1976).

    Example:
        >>> variance, df = pooled_variance(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]))
        >>> float(variance), float(df)  # one level repeats the other: no more than n − 1
        (2.5, 2.0)
    """
    n, k = window.shape[-2:]
    nu = n - 1
    if nu < 1 or k < 1:
        missing = np.full(window.shape[:-2], np.nan)
        return missing, missing
    residuals = window - window.mean(axis=-2, keepdims=True)
    covariance = np.swapaxes(residuals, -1, -2) @ residuals / nu
    trace = np.trace(covariance, axis1=-2, axis2=-1)
    squares = (covariance**2).sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        if nu == 1:
            df = np.ones_like(trace)
        else:
            q = nu**2 / ((nu - 1) * (nu + 2)) * (squares - trace**2 / nu)
            df = np.where(q > 0, nu * trace**2 / q - 2, np.inf)
    variance = np.where(trace > 0, trace / k, np.nan)
    return variance, np.where(trace > 0, np.clip(df, nu, k * nu), np.nan)


def _p(effect: Floats, error: Floats, df: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return special.stdtr(df, -effect / error)
