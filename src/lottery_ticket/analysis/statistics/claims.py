"""Claims over several levels of a run together, and how many replicates a decision takes."""

import numpy as np
from numpy.typing import NDArray
from scipy import special  # scipy.stats takes seconds to import

__all__ = [
    "ALPHA",
    "MOST_REPLICATES",
    "POWER",
    "claimed_levels",
    "fixed_sequence",
    "holm",
    "power",
    "replicates_needed",
]


ALPHA = 0.05
"""Of each one-sided test of a level, and of a run's claim over all its levels."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def fixed_sequence(p: Floats, alpha: float) -> Bools:
    """Which hypotheses are rejected, when each is tested only after all before it were rejected.

    Whatever their dependence, a true one among them is rejected with probability `alpha` at most:
    the first true one must be.

    Args:
        p: (..., hypotheses) in the fixed order; not a number counts as not rejected.
        alpha: of each test.

    Source: Maurer, Hothorn & Lehmacher (1995).

    Example:
        >>> fixed_sequence(np.array([0.01, 0.04, 0.20, 0.001]), 0.05)
        array([ True,  True, False, False])
    """
    return np.logical_and.accumulate(p <= alpha, axis=-1)


def holm(p: Floats, alpha: float = ALPHA) -> Bools:
    """Which hypotheses are rejected together, with probability `alpha` of one false rejection.

    Whatever their dependence: the smallest p is held to `alpha` / m, the next to `alpha` / (m − 1),
    and so on, up to the first that fails.

    Args:
        p: (..., hypotheses); not a number where nothing was tested, which counts as none of the m.
        alpha: of all of them together.

    Source: Holm (1979).

    Example:
        >>> holm(np.array([0.001, 0.06, 0.02, np.nan]))
        array([ True, False,  True, False])
    """
    order = np.argsort(p, axis=-1)  # what is not a number comes last
    ranked = np.take_along_axis(p, order, axis=-1)
    tested = (~np.isnan(p)).sum(axis=-1, keepdims=True)
    left = np.maximum(tested - np.arange(p.shape[-1]), 1)
    rejected = np.logical_and.accumulate(ranked <= alpha / left, axis=-1)
    found = np.empty_like(rejected)
    np.put_along_axis(found, order, rejected, axis=-1)
    return found


def claimed_levels(p_noninferior: Floats, p_superior: Floats, alpha: float = ALPHA) -> Bools:
    """The levels that a run may call winning together, with `alpha` for the whole claim.

    A level is winning where it is not worse than dense *and* better than the control, so that its p
    is the larger of the two (an intersection–union test); over the levels these are Holm's.

    Args:
        p_noninferior, p_superior: (..., levels).
        alpha: of all levels together.

    Source: Berger (1982), Holm (1979).

    Example:
        >>> claimed_levels(np.array([0.001, 0.01, 0.3]), np.array([0.6, 0.004, 0.001]))
        array([False,  True, False])
    """
    return holm(np.maximum(p_noninferior, p_superior), alpha)


POWER = 0.8
"""The chance of a decision that `replicates_needed` asks for."""

MOST_REPLICATES = 1000

# beyond this many standard errors a test rejects, whatever its degrees of freedom
_CERTAIN = 30.0


def power(distance: float, sd: float, n: np.ndarray | int, share: float = 1.0) -> np.ndarray:
    """The chance that a one-sided test at 5 % shows a difference that is there.

    It lies halfway between a test with the spread of the level alone and one with a pooled spread:
    a level that happens to vary more than its neighbours is judged by itself, see `spread_of`.

    Args:
        distance: of the true difference from the bound it is tested against.
        sd: of one replicate's difference.
        n: replicates, 2 or more.
        share: degrees of freedom of the pooled spread for each replicate beyond the first; at
            n = 2 they are 1 however many levels are pooled.

    Returns:
        The power, of the shape of `n`.

    Example:
        >>> power(0.2, 0.212, np.array([2, 5, 10]), share=4.0).round(2).tolist()
        [0.17, 0.59, 0.88]
    """
    n = np.asarray(n)
    errors = distance * np.sqrt(n) / sd
    pooled, own = (_power(errors, np.where(n > 2, (n - 1) * each, 1.0)) for each in (share, 1.0))
    return (pooled + own) / 2


def _power(errors: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Of a t test of a difference of so many standard errors."""
    critical = -special.stdtrit(df, ALPHA)
    near = 1 - special.nctdtr(df, np.minimum(errors, _CERTAIN), critical)
    return np.where(errors < _CERTAIN, near, 1.0)


def replicates_needed(distance: float, sd: float, share: float = 1.0) -> int | None:
    """The fewest replicates with which a test shows a difference in 80 % of runs.

    Args:
        distance, sd, share: as in `power`.

    Returns:
        The number; None above 1,000, or where the spread is not known.

    Example:
        >>> replicates_needed(0.2, 0.212, share=4.0), replicates_needed(0.001, 0.212)
        (8, None)
    """
    if not (distance > 0 and sd > 0):
        return None
    n = np.arange(2, MOST_REPLICATES + 1)
    enough = power(distance, sd, n, share) >= POWER
    return int(n[enough.argmax()]) if enough.any() else None
