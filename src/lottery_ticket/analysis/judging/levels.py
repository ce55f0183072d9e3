"""The verdict of a level, from its two contrasts, and what the levels make of the run."""

import math
from dataclasses import dataclass
from statistics import median

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lottery_ticket.analysis.judging.contrasts import DENSE, Contrast, Contrasts
from lottery_ticket.analysis.statistics.claims import ALPHA, claimed_levels, replicates_needed
from lottery_ticket.analysis.statistics.means import FRESH
from lottery_ticket.analysis.statistics.tables import Metric
from lottery_ticket.errors import UsageError

__all__ = [
    "DECIDED",
    "MATCHING",
    "NOT_A_TICKET",
    "NOT_DECIDED",
    "NO_VERDICT",
    "WINNING",
    "Claim",
    "Judgement",
    "LevelVerdict",
    "absolute_margin",
    "default_margin",
    "judged_levels",
    "level_labels",
    "level_needs",
    "run_label",
    "run_needs",
]


_POINTS, _NUM_TEST = 0.2, 10_000
_PERCENT_OF_LOSS = 5.0


def default_margin(metric: Metric, num_test: int | None = None) -> float:
    """The margin where none is stated: points of accuracy, or per cent of the dense loss.

    0.2 points on 10,000 test images or more. On fewer it grows as the test set's own standard
    error does, 0.2 · √(10,000 / images): 360 images cannot tell apart what 10,000 can. Of fewer
    than 25 it is one image, as less would be none. 5 % of a loss.

    Args:
        metric: what is judged.
        num_test: examples in the test set; None where that is not known.

    Returns:
        The margin: two significant digits, or one image to a tenth.

    Example:
        >>> from lottery_ticket.analysis import ACCURACY, LOSS
        >>> [default_margin(ACCURACY, n) for n in (None, 10_000, 360, 24)], default_margin(LOSS)
        ([0.2, 0.2, 1.1, 4.2], 5.0)
    """
    if metric.unit != "%":
        return _PERCENT_OF_LOSS
    scale = max(1.0, math.sqrt(_NUM_TEST / num_test)) if num_test else 1.0
    one_image = math.ceil(1000 / num_test) / 10 if num_test else 0.0
    return max(float(f"{_POINTS * scale:.2g}"), one_image)


def absolute_margin(
    margin: float, metric: Metric, dense: float, num_test: int | None = None
) -> float:
    """A margin in the metric's own unit.

    Args:
        margin: points of accuracy, or per cent of the dense loss.
        metric: what is judged.
        dense: the dense nets' mean.
        num_test: examples in the test set; None where that is not known.

    Raises:
        UsageError: not between 0 and 100, or less than one test image.

    Example:
        >>> from lottery_ticket.analysis import ACCURACY, LOSS
        >>> absolute_margin(0.2, ACCURACY, 0.98), absolute_margin(5, LOSS, 2.0)
        (0.002, 0.1)
    """
    wanted = "points of accuracy" if metric.unit == "%" else f"per cent of the dense {metric.short}"
    if not 0 < margin < 100:
        raise UsageError(f"margin: got {margin:g}, wanted {wanted} between 0 and 100")
    if metric.unit == "%" and num_test and margin < 100 / num_test:
        raise UsageError(
            f"margin: got {margin:g} {wanted}, less than one of the {num_test:,} test images "
            f"({100 / num_test:.2g} points); write 0.5 for half a point"
        )
    return margin / 100 * (1.0 if metric.unit == "%" else abs(dense))


WINNING = "winning"
MATCHING = "matching but not better than reinit"
NOT_A_TICKET = "not a ticket"
NOT_DECIDED = "not decided"
NO_VERDICT = "no verdict"
"""There is no spread to judge by: one replicate, or several that agree to the last digit."""

DECIDED = frozenset({WINNING, MATCHING, NOT_A_TICKET})
"""Labels of a run that more replicates are not needed for."""


@dataclass(frozen=True)
class Judgement:
    """What four one-sided tests say of a level; arrays are (..., levels).

    Args:
        is_matching: not worse than dense by the margin.
        is_worse: worse than dense by more than the margin.
        is_better: better than reinit.
        is_no_better: not better than reinit by the margin.
        has_spread: whether there was anything to test with.
    """

    is_matching: NDArray[np.bool_]
    is_worse: NDArray[np.bool_]
    is_better: NDArray[np.bool_]
    is_no_better: NDArray[np.bool_]
    has_spread: NDArray[np.bool_]

    @classmethod
    def of(
        cls, dense: Contrast, reinit: Contrast, margin: float, alpha: float = ALPHA
    ) -> "Judgement":
        """The judgement of two contrasts at a margin in their unit, each test at `alpha`."""
        return cls(
            dense.p_above(-margin) <= alpha,
            dense.p_below(-margin) <= alpha,
            reinit.p_above() <= alpha,
            reinit.p_below(margin) <= alpha,
            ~np.isnan(dense.error),
        )


def level_labels(judgement: Judgement) -> NDArray[np.str_]:
    """The verdict of each level, pointwise.

    *Winning* takes two rejections, each at 5 %: not worse than dense by the margin, and better than
    reinit. Both must hold, so nothing is corrected between them (an intersection–union test).
    That a level is not better than reinit is a finding of its own, at the same margin; without
    it, or without either finding about dense, a level is *not decided*.

    Source: Berger (1982).
    """
    matching, better = judgement.is_matching, judgement.is_better
    verdicts = {
        NO_VERDICT: ~judgement.has_spread,
        WINNING: matching & better,
        NOT_A_TICKET: judgement.is_worse,
        MATCHING: matching & judgement.is_no_better,
    }
    return np.select(list(verdicts.values()), list(verdicts), default=NOT_DECIDED)


def level_needs(dense: Contrast, reinit: Contrast, margin: float) -> list[int | None]:
    """Per level: how many replicates would decide what is open, see `replicates_needed`.

    At this spread, that many tell a difference of the margin from none in 80 % of runs, or one as
    large as the measured one where that is larger. A level that has them and is still open lies
    close to a bound; then it is as many as would show what was measured. None above 1,000, and
    where nothing is open.
    """
    judgement = Judgement.of(dense, reinit, margin)
    is_open = level_labels(judgement) == NOT_DECIDED
    opens = (
        (dense, is_open & ~judgement.is_matching, np.abs(dense.mean + margin)),
        # either finding would do: that it is better, or that it is not by the margin
        (
            reinit,
            is_open & ~judgement.is_better & ~judgement.is_no_better,
            np.maximum(reinit.mean, margin - reinit.mean),
        ),
    )
    needs: list[int | None] = [None] * len(is_open)
    for level in np.flatnonzero(is_open):
        found = [
            _need(contrast, int(level), margin, float(measured[level]))
            for contrast, is_undecided, measured in opens
            if is_undecided[level] and contrast.n[level] > 1
        ]
        if found and None not in found:
            needs[level] = max(n for n in found if n is not None)
    return needs


def _need(contrast: Contrast, level: int, margin: float, measured: float) -> int | None:
    n, sd = int(contrast.n[level]), float(contrast.sd[level])
    share = float(contrast.df[level]) / (n - 1)
    planned = replicates_needed(max(margin, measured), sd, share)
    if planned is None or planned > n:
        return planned
    needed = replicates_needed(measured, sd, share)
    return None if needed is None else max(needed, n + 1)


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
            `no verdict` where nothing varies, as at n = 1.
        is_claimed: whether it is among the levels that the run calls winning together, or is the
            one that it was about before its first training.
        is_matching: whether it is not worse than dense by the margin, one-sided.
        beats_dense: whether it is better than dense, one-sided.
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
    contrasts: Contrasts,
    margin: float,
    sizes: pd.DataFrame,
    claim: Claim | None = None,
    *,
    is_planned: bool = True,
    alpha: float = ALPHA,
) -> tuple[LevelVerdict, ...]:
    """The verdict of each level.

    Args:
        contrasts: what `contrasts_of` returned.
        margin: in the metric's own unit.
        sizes: what `size_by_level` returned.
        claim: the level that the run is about, if there is one.
        is_planned: whether it is also told how many replicates would decide it, which takes longer
            than all else.
        alpha: of each test of a level, and of the claim over all of them.
    """
    dense = contrasts.against[DENSE]
    reinit = contrasts.against.get(FRESH, Contrast.untested(dense))
    judgement = Judgement.of(dense, reinit, margin, alpha)
    labels = level_labels(judgement)
    if claim is not None and claim.is_stated_before:  # one test: nothing to correct for
        claimed = (labels == WINNING) & np.asarray(contrasts.levels == claim.level)
    else:
        claimed = claimed_levels(dense.p_above(-margin), reinit.p_above(), alpha)
    beats = dense.p_above() <= alpha
    fresh = contrasts.fresh or Contrast.untested(dense)
    fresh_matches = fresh.p_above(-margin) <= alpha
    needs = level_needs(dense, reinit, margin) if is_planned else [None] * len(labels)
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
