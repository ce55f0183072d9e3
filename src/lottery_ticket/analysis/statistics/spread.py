"""How much a replicate's value varies at each level: its own spread, or one with its neighbours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special  # scipy.stats takes seconds to import

__all__ = [
    "EDGE_GATE",
    "GATE",
    "NEIGHBOURS",
    "Spread",
    "pooled_variance",
    "spread_of",
    "spread_of_mean",
]


NEIGHBOURS = 2
"""Levels on either side whose residuals are pooled with a level's own."""

GATE = 0.25
"""One-sided p of an F test below which a level is judged by its own spread."""

EDGE_GATE = 0.4
"""The same where a neighbour is missing: where the spread grows from level to level, all that the
sparsest has vary less than it does."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """The variance of one replicate's value, and its degrees of freedom. Arrays are (..., levels).

    Args:
        variance, df: what decides; not numbers where nothing is known.
        own, own_df: of the level alone.
    """

    variance: Floats
    df: Floats
    own: Floats
    own_df: Floats


def spread_of(values: Floats) -> Spread:
    """The spread of each level.

    It is pooled with two neighbours on either side, whose trainings vary about alike; but where a
    level varies more than they do (an F test of its own variance against theirs, p < 0.25; at the
    first and the last levels, whose neighbours lie on one side, p < 0.4) it is the level's own,
    with n − 1 degrees of freedom: what is pooled would call such a level winning too lightly.

    Args:
        values: (..., replicates, levels), in order of sparsity. A single table may lack some (not
            a number); a stack of tables may lack whole levels.

    Example:
        >>> found = spread_of(np.array([[1.0, 2.0], [2.0, 2.5], [3.0, 6.0]]))
        >>> found.own.tolist()
        [1.0, 4.75]
    """
    parts = [_at(values, level) for level in range(values.shape[-1])]
    return Spread(*(np.stack(part, axis=-1) for part in zip(*parts, strict=True)))


def spread_of_mean(nets: Floats, neighbours: Floats) -> Spread:
    """The spread of a replicate's mean over nets that vary alike, such as its two dense ones.

    Args:
        nets: (..., replicates, nets), those to average.
        neighbours: (..., replicates, levels): others that vary about as much as one net.

    Returns:
        A spread of one level, (..., 1).
    """
    count = (~np.isnan(nets)).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(np.isnan(nets), 0.0, nets).sum(axis=-1) / count
    own, own_df = _own(mean)
    pooled, df = pooled_variance(_complete(np.concatenate([nets, neighbours], axis=-1)))
    # independent nets: their mean varies less; where they are not, its own spread says so
    pooled = pooled / np.maximum(count.max(axis=-1), 1)
    parts = _gated(own, own_df, pooled, df, others=pooled, others_df=df)
    return Spread(*(part[..., None] for part in parts))


def _at(values: Floats, level: int) -> tuple[Floats, Floats, Floats, Floats]:
    first, end = max(0, level - NEIGHBOURS), level + NEIGHBOURS + 1
    own, own_df = _own(values[..., level])
    window, position = values[..., first:end], level - first
    if window.ndim == 2:  # around what this level has
        window = np.where(np.isnan(window[:, [position]]), np.nan, window)
    is_there = ~np.asarray(np.isnan(window).all(axis=tuple(range(window.ndim - 1))))
    if not is_there[position]:
        missing = np.full_like(own, np.nan)
        return missing, missing, own, own_df
    position = int(is_there[:position].sum())
    window = _complete(window[..., is_there])
    pooled, df = pooled_variance(window)
    k = window.shape[-1]
    if k == 1:
        return own, own_df, own, own_df
    with np.errstate(invalid="ignore"):
        others = (k * pooled - _own(window[..., position])[0]) / (k - 1)
    others_df = np.maximum(df * (k - 1) / k, window.shape[-2] - 1)
    is_edge = min(position, k - 1 - position) < NEIGHBOURS
    gate = EDGE_GATE if is_edge else GATE
    return _gated(own, own_df, pooled, df, others=others, others_df=others_df, gate=gate)


def _gated(
    own: Floats,
    own_df: Floats,
    pooled: Floats,
    df: Floats,
    *,
    others: Floats,
    others_df: Floats,
    gate: float = GATE,
) -> tuple[Floats, Floats, Floats, Floats]:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(others > 0, own / others, np.where(own > 0, np.inf, np.nan))
        stands_out = special.fdtrc(own_df, others_df, ratio) < gate
    stands_out |= np.isnan(pooled)
    return np.where(stands_out, own, pooled), np.where(stands_out, own_df, df), own, own_df


def _own(values: Floats) -> tuple[Floats, Floats]:
    """Variance and degrees of freedom of (..., replicates)."""
    known = ~np.isnan(values)
    n = known.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=-1) / n
        residuals = np.where(known, values - mean[..., None], 0.0)
        variance = (residuals**2).sum(axis=-1) / np.where(n > 1, n - 1.0, np.nan)
    return variance, np.where(n > 1, n - 1.0, np.nan)


def _complete(window: Floats) -> Floats:
    """Of a single table, the replicates that every level has."""
    if window.ndim > 2:
        return window
    window = window[:, ~np.isnan(window).all(axis=0)]
    return window[~np.isnan(window).any(axis=1)]


def pooled_variance(window: Floats) -> tuple[Floats, Floats]:
    """The variance of one replicate's value, pooled over levels, and its degrees of freedom.

    s² = tr S / k for the k × k covariance S of the levels' values over n replicates. Levels of one
    replicate share initial weights, so that s² may know less than k(n − 1) independent residuals
    would. Satterthwaite: df = ν (tr Σ)² / tr Σ², ν = n − 1, with unbiased estimates of both:
    q = ν² / ((ν−1)(ν+2)) · (tr S² − (tr S)² / ν) of tr Σ², and (tr S)² − 2q / ν of (tr Σ)². So
    df = ν (tr S)² / q − 2, kept between ν and kν. At n = 2 nothing tells how levels are correlated,
    and df is 1.

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
