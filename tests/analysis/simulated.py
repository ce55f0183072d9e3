"""Runs whose truth is known: sd 0.15 points, 20 levels, as differences paired by replicate."""

from dataclasses import dataclass

import numpy as np

SD, MARGIN, LEVELS = 0.15, 0.2, 20

# what is true, as arguments of `simulated`
TWO_NULLS = {
    "ticket equals reinit": {"gains": 0.0},
    "exactly the margin below dense": {"loses": -MARGIN, "gains": 1.0},
}
# dense levels equal reinit, sparse ones are exactly the margin below dense: none is winning
MIXED = {
    "loses": [0.0] + [-MARGIN] * (LEVELS - 1),
    "gains": [0.0] + [1.0] * (LEVELS - 1),
}
# spread doubles from dense to sparse; it triples at once; trainings follow their predecessors
SPREADING = {"sd": SD * 2 ** np.linspace(-0.5, 0.5, LEVELS + 1)}
JUMPING = {"sd": SD * np.where(np.arange(LEVELS + 1) > 16, 3.0, 1.0)}
CHAINED = {"correlation": 0.7}


@dataclass(frozen=True)
class Runs:
    """Simulated runs.

    Args:
        dense, reinit: ticket − dense and ticket − reinit, (runs, replicates, levels).
        loses, gains: the true differences of each level.
    """

    dense: np.ndarray
    reinit: np.ndarray
    loses: np.ndarray
    gains: np.ndarray

    @property
    def is_false(self) -> np.ndarray:
        """Levels that are no winning tickets in truth."""
        return (self.loses <= -MARGIN) | (self.gains <= 0)


def simulated(n, *, loses=0.0, gains=0.0, seed=0, num_runs=2000, sd=SD, correlation=0.0) -> Runs:
    """Trainings that differ by noise alone, beside the true differences of their levels.

    `sd` may be one for each of the levels 0 … 20; `correlation` is that of a level's training with
    the one before it.
    """
    rng = np.random.default_rng([seed, n])
    loses, gains = (np.broadcast_to(np.asarray(v, float), LEVELS) for v in (loses, gains))
    shape = (num_runs, n, LEVELS + 1)
    noise = rng.standard_normal((2, *shape))
    for level in range(1, LEVELS + 1) if correlation else ():
        fresh = np.sqrt(1 - correlation**2) * noise[..., level]
        noise[..., level] = correlation * noise[..., level - 1] + fresh
    ticket, reinit = sd * noise
    dense = (ticket - ticket[..., :1])[..., 1:] + loses
    return Runs(dense, (ticket - reinit)[..., 1:] + gains, loses, gains)
