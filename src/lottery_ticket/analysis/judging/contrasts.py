"""Differences between two arms, level by level: the ticket against dense and each control."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special  # scipy.stats takes seconds to import

from lottery_ticket.analysis.statistics.claims import ALPHA
from lottery_ticket.analysis.statistics.means import FRESH, LEAD, values_by_arm
from lottery_ticket.analysis.statistics.spread import NEIGHBOURS, Spread, spread_of, spread_of_mean
from lottery_ticket.analysis.statistics.tables import Metric
from lottery_ticket.errors import UsageError

__all__ = [
    "DENSE",
    "Contrast",
    "Contrasts",
    "arm_values",
    "contrast_of",
    "contrast_table",
    "contrasts_between",
    "contrasts_of",
    "dense_contrast",
    "dense_contrast_of",
    "dense_nets",
    "difference_columns",
    "null_check",
    "without_noise",
]


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


DENSE = "dense"
"""What contrasts call the dense nets of a replicate: level 0 of `LEAD` and of `FRESH`."""


@dataclass(frozen=True)
class Contrasts:
    """The advantages of the ticket's levels below dense; more is better, of a loss a fall.

    Args:
        levels: those below dense.
        against: dense and every other arm → the contrast.
        null: the second dense net's advantage over the first, one level; None where only one was
            trained.
        fresh: the advantage of `FRESH` over dense; None where it was not trained.
    """

    levels: pd.Index
    against: dict[str, Contrast]
    null: Contrast | None
    fresh: Contrast | None


def contrasts_of(table: pd.DataFrame, metric: Metric) -> Contrasts:
    """The ticket against dense and against every other arm.

    The unit of n is the replicate: draws are averaged first, and so are the two dense nets, which
    share the order of the data. The mean of a difference is taken within replicates.

    Args:
        table: a result table of one run.
        metric: what is judged.

    Raises:
        UsageError: the table has no ticket, or none beside the dense training.
    """
    levels = _finished(table, metric)
    return contrasts_between(arm_values(table, metric, levels), levels)


def contrasts_between(values: dict[str, np.ndarray], levels: pd.Index) -> Contrasts:
    """The same from what `arm_values` returned; the ticket and its dense nets are among it."""
    values = dict(values)
    dense = dense_nets(values)
    assert dense is not None
    against = {DENSE: dense_contrast(values, LEAD, dense)}
    fresh = dense_contrast(values, FRESH, dense) if FRESH in values else None
    own = values.pop(LEAD)
    beside = {arm: contrast_of(own, other) for arm, other in values.items()}
    against |= {arm: contrast[1:] for arm, contrast in beside.items()}
    has_null = FRESH in values and not np.isnan(values[FRESH][:, 0]).all()
    null = contrast_of(values[FRESH], own)[:1] if has_null else None
    return Contrasts(levels[1:], against, null, fresh)


def arm_values(table: pd.DataFrame, metric: Metric, levels: pd.Index) -> dict[str, np.ndarray]:
    """Arm → (replicates, levels), more being better; not a number where nothing was measured."""
    wide = values_by_arm(table, metric.column, levels)
    replicates = sorted({replicate for frame in wide.values() for replicate in frame.columns})
    sign = 1.0 if metric.higher_is_better else -1.0
    return {
        arm: sign * without_noise(frame.reindex(columns=replicates).to_numpy("float64").T)
        for arm, frame in wide.items()
    }


def dense_nets(values: dict[str, np.ndarray]) -> np.ndarray | None:
    """(replicates, nets): level 0 of `LEAD` and of `FRESH`; None where neither is there.

    Args:
        values: what `arm_values` returned, level 0 first.
    """
    nets = [values[arm][:, :1] for arm in (LEAD, FRESH) if arm in values]
    nets = [net for net in nets if not np.isnan(net).all()]
    return np.concatenate(nets, axis=1) if nets else None


def dense_contrast(values: dict[str, np.ndarray], arm: str, dense: np.ndarray) -> Contrast:
    """An arm's levels below dense against the dense nets.

    Args:
        values: what `arm_values` returned, level 0 first.
        arm: whose levels.
        dense: what `dense_nets` returned.
    """
    level_0 = values[FRESH][:, :1] if arm == FRESH else dense[:, :1]
    return dense_contrast_of(values[arm][:, 1:], dense, level_0=level_0)


def _finished(table: pd.DataFrame, metric: Metric) -> pd.Index:
    """The levels of the ticket, dense and others."""
    own = table.loc[(table["arm"] == LEAD) & table[metric.column].notna(), "level"].dropna()
    if own.empty:
        raise UsageError(
            f"no row of arm {LEAD!r} has a {metric.label}: there is no ticket to judge yet"
        )
    levels = pd.Index(sorted({int(level) for level in own}), name="level", dtype="int64")
    if levels[0] != 0:
        raise UsageError("the dense training (level 0) is missing: nothing to judge a ticket by")
    if len(levels) == 1:
        raise UsageError("only the dense training is finished: there is no ticket to judge yet")
    return levels


def without_noise(values: np.ndarray) -> np.ndarray:
    """What a mean leaves in the last bits is no spread."""
    if np.isnan(values).all():
        return values
    unit = 1e-12 * float(np.nanmax(np.abs(values))) or 1.0
    return unit * np.round(values / unit)


def contrast_table(
    contrasts: Contrasts, metric: Metric, margin: float, alpha: float = ALPHA
) -> pd.DataFrame:
    """Contrasts as a table: a row for each level and control that were both measured.

    Args:
        contrasts: what `contrasts_of` returned.
        metric: what is judged.
        margin: in the metric's own unit.
        alpha: of each test, whose bounds are one-sided at 1 − alpha.

    Returns:
        A frame of level, control, difference (ticket − control, in the metric's own unit), sd
        (of one replicate's difference, from the level alone), n, low and high (95 % t interval of
        the level alone), then what decides, with the spread that
        `spread_of` takes: pooled_sd (of one replicate's difference), df, pooled_low and pooled_high
        (95 %), lower_bound and upper_bound (one-sided, 1 − alpha), p (one-sided, not adjusted: not
        worse than dense by the margin, better than a control).
    """
    parts = []
    for control, contrast in contrasts.against.items():
        columns = {"level": contrasts.levels, "control": control}
        columns |= difference_columns(contrast, metric, alpha)
        columns["p"] = contrast.p_above(-margin if control == DENSE else 0.0)
        parts.append(pd.DataFrame(columns).loc[np.asarray(contrast.n) > 0])
    return pd.concat(parts, ignore_index=True)


def null_check(contrasts: Contrasts, metric: Metric) -> dict[str, float] | None:
    """The second dense net minus the first: nothing but chance should tell them apart.

    Returns:
        difference, sd, n, low and high (95 %), and a two-sided p; None where there is one net, or
        one replicate.
    """
    if contrasts.null is None or int(contrasts.null.n[0]) < 2:
        return None
    columns = difference_columns(contrasts.null, metric)
    own = {"difference": "difference", "sd": "pooled_sd", "n": "n"}
    names = own | {"low": "pooled_low", "high": "pooled_high"}
    ps = contrasts.null.p_above()[0], contrasts.null.p_below()[0]
    return {new: columns[old].item() for new, old in names.items()} | {"p": float(2 * min(ps))}


def difference_columns(contrast: Contrast, metric: Metric, alpha: float = ALPHA) -> dict[str, Any]:
    """A contrast in the metric's own unit: the columns of `contrast_table`."""
    ends = {
        ("low", "high"): contrast.interval(0.95, is_pooled=False),
        ("pooled_low", "pooled_high"): contrast.interval(0.95),
        ("lower_bound", "upper_bound"): contrast.interval(1 - 2 * alpha),
    }
    sign = 1.0 if metric.higher_is_better else -1.0
    columns = {"difference": sign * contrast.mean, "sd": contrast.own_sd, "n": contrast.n}
    for names, (low, high) in ends.items():
        if names[0] == "pooled_low":
            columns |= {"pooled_sd": contrast.sd, "df": contrast.df}
        pair = (low, high) if metric.higher_is_better else (-high, -low)
        columns |= dict(zip(names, pair, strict=True))
    return columns
