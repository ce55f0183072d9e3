"""The verdicts of a run's levels, and what they make of the run."""

import math
from dataclasses import dataclass
from statistics import median

import numpy as np
import pandas as pd

from lottery_ticket.analysis._contrast import Contrast
from lottery_ticket.analysis._contrasts import DENSE, Contrasts
from lottery_ticket.analysis._labels import (
    MATCHING,
    NO_VERDICT,
    NOT_A_TICKET,
    NOT_DECIDED,
    WINNING,
    Judgement,
    level_labels,
    level_needs,
)
from lottery_ticket.analysis._sequence import ALPHA, claimed_levels
from lottery_ticket.analysis._statistics import FRESH

__all__ = ["Claim", "LevelVerdict", "judged_levels", "run_label", "run_needs"]


@dataclass(frozen=True)
class Claim:
    """The level that a run is about, by its spec.

    Args:
        level: which.
        num_trained: trainings below dense that were finished when it was stated. 0: before anything
            could be seen, so that this level alone is tested.
        is_margin_same: whether it was stated with the margin that it is judged by.
    """

    level: int
    num_trained: int = 0
    is_margin_same: bool = True

    @property
    def is_stated_before(self) -> bool:
        """Whether it was stated, margin and all, before there was anything to see."""
        return self.num_trained == 0 and self.is_margin_same


@dataclass(frozen=True)
class LevelVerdict:
    """What is said of one level, pointwise.

    Args:
        level, density, num_kept: which.
        label: `winning`, `matching but not better than reinit`, `not a ticket`, `not decided`, or
            `no verdict` at n = 1.
        is_claimed: whether it is among the levels that the run calls winning together, or is the
            one that it was about before its first training.
        is_matching: whether it is not worse than dense by the margin, one-sided at 5 %.
        beats_dense: whether it is better than dense, one-sided at 5 %.
        reinit_matches: whether reinit is not worse than dense by the margin either, likewise.
        replicates_needed: how many would decide it, where it is not decided and that is known.
    """

    level: int
    density: float
    num_kept: int
    label: str
    is_claimed: bool
    is_matching: bool
    beats_dense: bool
    reinit_matches: bool
    replicates_needed: int | None


def judged_levels(
    contrasts: Contrasts, margin: float, sizes: pd.DataFrame, claim: Claim | None = None
) -> tuple[LevelVerdict, ...]:
    """The verdict of each level.

    Args:
        contrasts: what `contrasts_of` returned.
        margin: in the metric's own unit.
        sizes: what `size_by_level` returned.
        claim: the level that the run is about, if there is one.
    """
    dense = contrasts.against[DENSE]
    reinit = contrasts.against.get(FRESH, Contrast.untested(dense))
    judgement = Judgement.of(dense, reinit, margin)
    labels = level_labels(judgement)
    if claim is not None and claim.is_stated_before:  # one test: nothing to correct for
        claimed = (labels == WINNING) & np.asarray(contrasts.levels == claim.level)
    else:
        claimed = claimed_levels(dense.p_above(-margin), reinit.p_above())
    beats = dense.p_above() <= ALPHA
    fresh = contrasts.fresh or Contrast.untested(dense)
    fresh_matches = fresh.p_above(-margin) <= ALPHA
    needs = level_needs(dense, reinit, margin)
    return tuple(
        LevelVerdict(
            int(level),
            float(sizes["density"].loc[level]),
            int(sizes["num_kept"].loc[level]),
            str(labels[i]),
            bool(claimed[i]),
            bool(judgement.is_matching[i]),
            bool(beats[i]),
            bool(fresh_matches[i]),
            needs[i],
        )
        for i, level in enumerate(contrasts.levels)
    )


def run_label(levels: tuple[LevelVerdict, ...], claim: Claim | None = None) -> str:
    """The label of a run: winning is claimed over all levels, what is negative is pointwise.

    Of a run that is about one level since before its first training, it is the label of that level.
    """
    levels = _about(levels, claim)
    labels = {found.label for found in levels}
    if any(found.is_claimed for found in levels):
        return WINNING
    if labels <= {NO_VERDICT}:
        return NO_VERDICT
    if labels <= {MATCHING, NOT_A_TICKET}:
        return MATCHING if MATCHING in labels else NOT_A_TICKET
    return NOT_DECIDED


def run_needs(levels: tuple[LevelVerdict, ...], claim: Claim | None = None) -> int | None:
    """About how many replicates would decide the levels that are open."""
    levels = _about(levels, claim)
    # the middle one: the level that happens to lie nearest to a bound would ask for any number
    needs = [n for n in (found.replicates_needed for found in levels) if n is not None]
    return math.ceil(median(needs)) if needs else None


def _about(levels: tuple[LevelVerdict, ...], claim: Claim | None) -> tuple[LevelVerdict, ...]:
    """The levels that the run is about."""
    if claim is None or not claim.is_stated_before:
        return levels
    return tuple(found for found in levels if found.level == claim.level)
