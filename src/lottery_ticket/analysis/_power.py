"""How many replicates a decision takes."""

import numpy as np
from scipy import special  # scipy.stats takes seconds to import

from lottery_ticket.analysis._sequence import ALPHA

__all__ = ["MOST_REPLICATES", "POWER", "power", "replicates_needed"]

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
