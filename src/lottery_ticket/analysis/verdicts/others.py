"""Beside a verdict: any two arms of a run, and several runs side by side."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from lottery_ticket.analysis.judging.contrasts import (
    DENSE,
    Contrast,
    arm_values,
    contrast_of,
    dense_contrast,
    dense_nets,
    difference_columns,
)
from lottery_ticket.analysis.judging.levels import (
    WINNING,
    absolute_margin,
    default_margin,
)
from lottery_ticket.analysis.statistics.claims import ALPHA, holm
from lottery_ticket.analysis.statistics.means import LEAD, check_one_run, num_test_of, size_by_level
from lottery_ticket.analysis.statistics.tables import Metric, metric_of, plain, sort_arms
from lottery_ticket.analysis.statistics.text import MISSING, format_percent
from lottery_ticket.analysis.telling.words import aligned, margin_text, signed_number, wrapped
from lottery_ticket.analysis.verdicts.verdict import Verdict
from lottery_ticket.arms import REINIT
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.notebook_html import notebook_html

__all__ = ["Between", "between", "compare"]


@dataclass(frozen=True)
class Between:
    """What a run says of one arm against another.

    `print(between)` says it in words; `between.to_dict()` is all of it as plain values.

    Args:
        run: the run's name.
        arms: whose difference; the first minus the second.
        metric: what is judged.
        margin: how far apart still counts as equal, in the metric's own unit.
        margin_stated: the same in points of accuracy, or per cent of the dense loss.
        table: a row per level that both have: level, density, num_kept, difference, sd, n, low and
            high (95 %), p_better and p_worse (one-sided, not adjusted), is_better, is_worse and
            is_equivalent (within the margin either way), each level by itself at `alpha`, and
            is_claimed: better or worse over all levels together, at `alpha` for each of the two.
        alpha: of each test; less than 5 % where a run is looked at until it is decided.
    """

    run: str
    arms: tuple[str, str]
    metric: Metric
    margin: float
    margin_stated: float
    table: pd.DataFrame
    alpha: float = ALPHA

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; what is not known is None."""
        return plain(asdict(self) | {"table": self.table.to_dict("records")})

    @staticmethod
    def label(row: Mapping[Any, Any]) -> str:
        """What a row of `table` says, in a word or two."""
        return _label(row)

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    __repr__ = __str__
    _repr_html_ = notebook_html


def between(
    table: pd.DataFrame,
    one: str,
    other: str,
    *,
    margin: float | None = None,
    alpha: float = ALPHA,
) -> Between:
    """Compare two arms of a run: which is better, or whether they are equal within a margin.

    Each level by itself has three one-sided tests at `alpha`: better, worse, and (two of them)
    equal within the margin. Several levels together are Holm's, as in the verdict.

    Args:
        table: a result table of one run.
        one, other: names of arms; `"dense"` stands for the dense nets.
        margin: points of accuracy, or per cent of the dense loss; else `default_margin`.
        alpha: of each test.

    Raises:
        UsageError: there is no such arm, both are the same, they share no level, or the margin
            makes no sense.

    Source: equivalence by two one-sided tests, Schuirmann (1987).
    """
    check_one_run(table)
    known = [DENSE, *sort_arms(table["arm"].dropna())]
    for arm in (one, other):
        if arm not in known:
            raise UsageError(f"between: unknown arm {arm!r}{nearest(arm, known)}")
    if one == other:
        raise UsageError(f"between: got {one!r} twice, wanted two arms, such as ticket,lr_rewind")
    metric = metric_of(table)
    num_test = num_test_of(table)
    stated = default_margin(metric, num_test) if margin is None else margin
    levels, contrast = _contrast(table, metric, one, other)
    dense = dense_nets(arm_values(table, metric, pd.Index([0], name="level")))
    reference = np.nan if dense is None else float(np.nanmean(dense))
    absolute = absolute_margin(stated, metric, reference, num_test)
    rows = _rows(table, levels, contrast, difference_columns(contrast, metric), absolute, alpha)
    run = next((str(run) for run in table["run"].dropna()), "")
    return Between(run, (one, other), metric, absolute, stated, rows, alpha)


def _contrast(
    table: pd.DataFrame, metric: Metric, one: str, other: str
) -> tuple[pd.Index, Contrast]:
    finished = table.loc[table[metric.column].notna()]
    of = {arm: {int(level) for level in own["level"]} for arm, own in finished.groupby("arm")}
    named = [of.get(arm, set()) - {0} for arm in (one, other) if arm != DENSE]
    levels = pd.Index([0, *sorted(set.intersection(*named))], name="level", dtype="int64")
    if len(levels) == 1:
        raise UsageError(f"between: {one!r} and {other!r} have no level in common yet")
    values = arm_values(table, metric, levels)
    if DENSE in (one, other):
        dense = dense_nets(values)
        if dense is None:
            raise UsageError("between: the dense training (level 0) is missing")
        arm = other if one == DENSE else one
        found = dense_contrast(values, arm, dense)
        return levels[1:], found.reversed() if one == DENSE else found
    return levels[1:], contrast_of(values[one], values[other])[1:]


def _rows(
    table: pd.DataFrame,
    levels: pd.Index,
    contrast: Contrast,
    columns: Mapping[str, Any],
    margin: float,
    alpha: float,
) -> pd.DataFrame:
    sizes = size_by_level(table).reindex(levels)
    better, worse = contrast.p_above(), contrast.p_below()
    equivalent = (contrast.p_above(-margin) <= alpha) & (contrast.p_below(margin) <= alpha)
    frame = pd.DataFrame(
        {
            "level": levels,
            "density": sizes["density"].to_numpy(),
            "num_kept": sizes["num_kept"].to_numpy(),
            **{name: columns[name] for name in ("difference", "sd", "n")},
            "low": columns["pooled_low"],
            "high": columns["pooled_high"],
            "p_better": better,
            "p_worse": worse,
            "is_better": better <= alpha,
            "is_worse": worse <= alpha,
            "is_equivalent": equivalent,
            "is_claimed": holm(better, alpha) | holm(worse, alpha),
        }
    )
    return frame.loc[frame["n"] > 0].reset_index(drop=True)


def _lines(found: Between) -> Iterator[str]:
    one, other = found.arms
    margin, alpha = margin_text(found.margin_stated, found.metric), f"{100 * found.alpha:.3g} %"
    unit = "points" if found.metric.unit == "%" else found.metric.label
    n = sorted({int(n) for n in found.table["n"]})
    many = f"{n[0]}" if len(n) == 1 else f"{n[0]} to {n[-1]}"
    yield from wrapped(
        f"{found.run + ': ' if found.run else ''}{one} minus {other}, in {unit}; {many} "
        f"replicate{'s' if n[-1] != 1 else ''}, margin {margin}."
    )
    yield ""
    rows = [["level", "density", "kept", "difference", "95 % interval", ""]]
    reference = float(np.nanmax(np.abs(found.table[["difference", "low", "high"]].to_numpy())))
    for row in found.table.to_dict("records"):
        texts = [
            MISSING if pd.isna(row[name]) else signed_number(row[name], reference, found.metric)
            for name in ("difference", "low", "high")
        ]
        interval = MISSING if texts[1] == MISSING else f"{texts[1]} to {texts[2]}"
        kept = MISSING if pd.isna(row["num_kept"]) else f"{row['num_kept']:,}"
        size = format_percent(row["density"])
        rows.append([str(row["level"]), size, kept, texts[0], interval, _label(row)])
    yield from aligned(rows)
    yield ""
    yield from wrapped(
        f"better, worse: each level by itself, one-sided at {alpha}; * over all levels together. "
        f"equal: within {margin} either way, at {alpha}."
    )


def _label(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["p_better"]):
        return MISSING
    words = [w for w, is_so in (("better", row["is_better"]), ("worse", row["is_worse"])) if is_so]
    label = words[0] + " *" * bool(row["is_claimed"]) if words else ""
    if row["is_equivalent"]:
        return f"{label}, within the margin" if label else "equal"
    return label or "not decided"


ABOUT = ("data", "model", "criterion", "scope", "rewind")


def compare(verdicts: Sequence[Verdict], *, differs: Sequence[str] | None = None) -> pd.DataFrame:
    """A row per run: what was run, and how far it was pruned with which verdict.

    Each run is judged against its own dense nets and its own controls. Runs are not tested against
    each other: to say that one beats another, train both as arms of one run.

    Args:
        verdicts: of the runs, in the order of the rows.
        differs: for each what tells its recipe from the others' (`spec.short_labels`), a column.

    Returns:
        A frame of run, differs (where it is given), data, model, criterion, scope and rewind (what
        is known of them), n, metric, margin (in the metric's own unit), dense (what differences are
        taken against: the mean of its dense nets), verdict,
        level (the sparsest that is claimed as winning; null where none is), density, num_kept,
        ticket (its mean there), minus_dense, minus_reinit, search_steps, and matching_density, that
        of `matching_level`; sparsest_density, of the sparsest level that is trained, sparsest (the
        ticket's mean there), sparsest_minus_dense and sparsest_minus_reinit; winning_levels, those
        that are winning each by itself.

    Raises:
        UsageError: there is none, or they are judged by different metrics.
    """
    if not verdicts:
        raise UsageError("compare: got no run, wanted one or more")
    metrics = {verdict.metric.label for verdict in verdicts}
    if len({verdict.metric.label.removeprefix("test ") for verdict in verdicts}) > 1:
        raise UsageError(
            f"compare: the runs are judged by {' and '.join(sorted(metrics))}; compare those of one"
        )
    rows = pd.DataFrame([_row(verdict) for verdict in verdicts])
    if differs is not None:
        rows.insert(1, "differs", list(differs))
    counts = dict.fromkeys(("level", "num_kept"), "Int64")
    return rows.astype(
        counts | dict.fromkeys(("density", "search_steps", "matching_density"), "float64")
    )


def _row(verdict: Verdict) -> dict[str, object]:
    level, last = verdict.level, verdict.levels[-1]
    found = next((item for item in verdict.levels if item.level == level), None)
    matches = [item for item in verdict.levels if item.level == verdict.matching_level]
    return {
        "run": verdict.run,
        **{name: verdict.about.get(name) for name in ABOUT},
        "n": verdict.num_replicates,
        "metric": verdict.metric.label,
        "margin": verdict.margin,
        "dense": verdict.dense,
        "verdict": verdict.label,
        "level": level,
        "density": None if found is None else found.density,
        "num_kept": None if found is None else found.num_kept,
        "ticket": math.nan if level is None else _mean(verdict, level),
        "minus_dense": _difference(verdict, level, DENSE),
        "minus_reinit": _difference(verdict, level, REINIT),
        "search_steps": verdict.cost.search_steps if found is not None and verdict.cost else None,
        "matching_density": matches[0].density if matches else None,
        "sparsest_density": last.density,
        "sparsest": _mean(verdict, last.level),
        "sparsest_minus_dense": _difference(verdict, last.level, DENSE),
        "sparsest_minus_reinit": _difference(verdict, last.level, REINIT),
        "winning_levels": [one.level for one in verdict.levels if one.label == WINNING],
    }


def _mean(verdict: Verdict, level: int) -> float:
    arms = verdict.arms
    means = arms.loc[(arms["arm"] == LEAD) & (arms["level"] == level), "mean"]
    return float(means.iloc[0]) if len(means) else math.nan


def _difference(verdict: Verdict, level: int | None, control: str) -> float:
    rows = verdict.contrasts
    found = rows.loc[(rows["level"] == level) & (rows["control"] == control), "difference"]
    return float(found.iloc[0]) if len(found) else math.nan
