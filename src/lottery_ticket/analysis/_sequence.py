"""Claims over several levels of a run together."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALPHA", "claimed_levels", "fixed_sequence", "holm"]

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


def claimed_levels(p_noninferior: Floats, p_superior: Floats) -> Bools:
    """The levels that a run may call winning together, with `ALPHA` for the whole claim.

    A level is winning where it is not worse than dense *and* better than the control, so that its p
    is the larger of the two (an intersection–union test); over the levels these are Holm's.

    Args:
        p_noninferior, p_superior: (..., levels).

    Source: Berger (1982), Holm (1979).

    Example:
        >>> claimed_levels(np.array([0.001, 0.01, 0.3]), np.array([0.6, 0.004, 0.001]))
        array([False,  True, False])
    """
    return holm(np.maximum(p_noninferior, p_superior))
