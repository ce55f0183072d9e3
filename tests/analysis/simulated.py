"""Runs whose truth is known: 20 levels, sd 0.15 points, two dense nets in each replicate."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np

SD, MARGIN, LEVELS = 0.15, 0.2, 20
CLEARLY = 50.0  # points by which a level wins that is not in question

# standard deviations over ten replicates, of the ticket and of reinit from level 0 on, in points
QUICKSTART = (
    [0.9, 0.63, 0.54, 0.26, 0.65, 0.39, 0.39, 0.58, 0.79, 0.84, 1.26, 1.04, 0.91],
    [0.68, 0.85, 0.39, 1.31, 0.74, 1.87, 1.61, 1.33, 2.36, 5.62, 8.06, 14.82, 17.52],
)
HOW_IT_WORKS = (  # docs/results/how-it-works.csv, scope global
    [
        0.56, 0.53, 0.44, 0.63, 0.48, 0.53, 0.53, 0.43, 0.51, 0.63, 0.45,
        0.57, 0.71, 0.58, 0.76, 0.75, 1.0, 0.92, 1.02, 1.74, 1.96,
    ],
    [
        0.59, 0.48, 0.38, 0.35, 0.58, 0.61, 0.71, 0.45, 0.5, 0.77, 0.88,
        0.98, 0.92, 1.47, 1.26, 1.25, 2.83, 3.36, 3.97, 7.05, 13.58,
    ],
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """The true differences of each level: ticket − dense and ticket − reinit, in points."""

    loses: np.ndarray
    gains: np.ndarray

    @classmethod
    def of(cls, loses=0.0, gains=0.0) -> "Truth":
        """One number for all levels, or one for each."""
        return cls(*(np.broadcast_to(np.asarray(v, float), LEVELS) for v in (loses, gains)))

    @classmethod
    def all_but(cls, level: int, **on_bound: float) -> "Truth":
        """Every level wins clearly but this one (from 0), which lies on a bound."""
        loses, gains = np.zeros(LEVELS) + CLEARLY, np.zeros(LEVELS) + 2 * CLEARLY
        loses[level] = on_bound.get("loses", loses[level])
        gains[level] = on_bound.get("gains", gains[level])
        return cls(loses, gains)

    @property
    def is_false(self) -> np.ndarray:
        """Levels that are no winning tickets in truth."""
        return (self.loses <= -MARGIN) | (self.gains <= 0)


@dataclass(frozen=True)
class Noise:
    """How trainings vary around the truth.

    Args:
        sd: of the ticket at levels 0 … 20, by `SD`.
        reinit_sd: of reinit, if it is another one.
        shape: "normal", "t3" (Student's t with three degrees of freedom) or a skewness.
        correlation: of a level's training with the one before it.
        shared: of any two levels of reinit, which share fresh weights.
        dense: of the two dense nets.
    """

    sd: np.ndarray = field(default_factory=lambda: np.ones(LEVELS + 1))
    reinit_sd: np.ndarray | None = None
    shape: str | float = "normal"
    correlation: float = 0.0
    shared: float = 0.0
    dense: float = 0.0

    def drawn(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Values of mean 0 and variance 1."""
        if self.shape == "t3":
            return rng.standard_t(3, shape) / np.sqrt(3)
        if isinstance(self.shape, float):  # a gamma distribution of this skewness
            k = 4 / self.shape**2
            return np.sign(self.shape) * (rng.gamma(k, size=shape) - k) / np.sqrt(k)
        return rng.standard_normal(shape)


def measured(sds: tuple[list[float], list[float]]) -> Noise:
    """Spreads as they were measured, by those of the dense nets; over as many levels as here."""
    at = np.arange(LEVELS + 1) / LEVELS
    ticket, reinit = (np.interp(at, np.linspace(0, 1, len(own)), own) for own in sds)
    return Noise(ticket / ticket[0], reinit / reinit[0])


@dataclass(frozen=True)
class Runs:
    """Simulated runs.

    Args:
        ticket, reinit: accuracies in points, (runs, replicates, levels) below dense.
        dense: (runs, replicates, 2): of the ticket and of reinit.
        truth: what is so.
    """

    ticket: np.ndarray
    reinit: np.ndarray
    dense: np.ndarray
    truth: Truth


def simulated(
    n: int, truth: Truth | None = None, noise: Noise | None = None, *, seed=0, num_runs=2000
) -> Runs:
    """Runs of n replicates; by default ticket, reinit and dense are equal and vary alike."""
    truth, noise = truth or Truth.of(), noise or Noise()
    rng = np.random.default_rng([seed, n])
    shape = (num_runs, n, LEVELS + 1)
    drawn = noise.drawn(rng, (2, *shape))
    for level in range(1, LEVELS + 1) if noise.correlation else ():
        fresh = np.sqrt(1 - noise.correlation**2) * drawn[..., level]
        drawn[..., level] = noise.correlation * drawn[..., level - 1] + fresh
    ticket, reinit = drawn
    if noise.shared:
        common = noise.drawn(rng, (num_runs, n, 1))
        reinit[..., 1:] *= np.sqrt(1 - noise.shared)
        reinit[..., 1:] += np.sqrt(noise.shared) * common
    reinit[..., 0] *= np.sqrt(1 - noise.dense**2)
    reinit[..., 0] += noise.dense * ticket[..., 0]
    ticket = SD * noise.sd * ticket
    reinit = SD * (noise.sd if noise.reinit_sd is None else noise.reinit_sd) * reinit
    dense = np.stack([ticket[..., 0], reinit[..., 0]], axis=-1)
    return Runs(
        ticket[..., 1:] + truth.loses, reinit[..., 1:] + truth.loses - truth.gains, dense, truth
    )


def spike(level: int) -> np.ndarray:
    """Three times the spread at one level (from 0) alone."""
    return np.where(np.arange(LEVELS + 1) == level + 1, 3.0, 1.0)


WINNING = Truth.of(gains=0.4)
TWO_NULLS = {
    "ticket equals reinit": Truth.of(),
    "exactly the margin below dense": Truth.of(loses=-MARGIN, gains=1.0),
}
# dense levels equal reinit, sparse ones are exactly the margin below dense: none is winning
MIXED = Truth.of(loses=[0.0] + [-MARGIN] * (LEVELS - 1), gains=[0.0] + [1.0] * (LEVELS - 1))
PLACES = (0, LEVELS // 2, LEVELS - 1)
SINGLE = {
    f"all but level {level + 1} win, and it {name}": Truth.all_but(level, **bound)
    for level, (name, bound) in product(
        PLACES,
        {
            "equals reinit": {"gains": 0.0},
            "lies the margin below dense": {"loses": -MARGIN},
        }.items(),
    )
}
TRUTHS = TWO_NULLS | {"mixed": MIXED} | SINGLE

DOUBLING = Noise(2 ** np.linspace(-0.5, 0.5, LEVELS + 1))
NOISES = {
    "flat": Noise(),
    "doubles towards sparse": DOUBLING,
    "heavy tails (t with 3 degrees of freedom)": Noise(shape="t3"),
    "skewness 0.9": Noise(shape=0.9),
    "skewness −0.9": Noise(shape=-0.9),
    "levels correlated by 0.7": Noise(correlation=0.7),
    "levels correlated by 0.9": Noise(correlation=0.9),
    "one reinit draw for all levels": Noise(shared=0.95),
    "dense nets correlated by 0.5": Noise(dense=0.5),
    "as in quickstart": measured(QUICKSTART),
    "as in how-it-works": measured(HOW_IT_WORKS),
}
SPIKES = {  # threefold; the last is also a spread that triples at the last level
    f"threefold at level {level + 1}{where}": Noise(spike(level), other)
    for level, (where, other) in product(
        PLACES, {"": None, " of the ticket": np.ones(LEVELS + 1)}.items()
    )
}


def cases() -> Iterator[tuple[str, str, Truth, Noise]]:
    """Every truth with every noise: (name of the truth, of the noise, both)."""
    for (truth, what), (noise, how) in product(TRUTHS.items(), (NOISES | SPIKES).items()):
        yield truth, noise, what, how


# answers to single test images of several classes

CLASSES, IMAGES = 8, 100
LABELS = np.repeat(np.arange(CLASSES), IMAGES)


def simulated_answers(
    seed: int, *, shift: float, n: int = 3, hurt: float = 0.0
) -> list[np.ndarray]:
    """Whether the ticket and two dense nets get each image right, (n, images) each.

    They are equally good; each training shifts whole classes by `shift`, as a standard deviation.
    The ticket gets `hurt` fewer of class 3 right.
    """
    rng = np.random.default_rng(seed)
    right = rng.beta(7.2, 0.8, LABELS.size)  # how often a net gets an image right: 0.9 on average
    nets = []
    for loss in (hurt, 0.0, 0.0):
        shifts = rng.normal(0, shift, (n, CLASSES))[:, LABELS] - loss * (LABELS == 3)
        nets.append(rng.random((n, LABELS.size)) < np.clip(right + shifts, 0, 1))
    return nets


def rows_of_answers(ticket: object, *dense: object) -> list[dict[str, object]]:
    """Rows as the store has them: the ticket at level 2, and one or two dense nets."""
    nets = [("ticket", 2, ticket), *zip(("ticket", "reinit"), (0, 0), dense, strict=False)]
    return [
        {"arm": arm, "level": level, "replicate": r, "draw": 0, "correct": correct}
        for arm, level, nets_of in nets
        for r, correct in enumerate(np.asarray(nets_of, dtype=bool))
    ]
