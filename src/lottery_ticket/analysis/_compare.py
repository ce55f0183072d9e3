"""Several runs side by side."""

import math
from collections.abc import Sequence

import pandas as pd

from lottery_ticket.analysis._contrasts import DENSE
from lottery_ticket.analysis._statistics import LEAD
from lottery_ticket.analysis._verdict import Verdict
from lottery_ticket.arms import REINIT
from lottery_ticket.errors import UsageError

__all__ = ["compare"]

ABOUT = ("data", "model", "criterion", "scope", "rewind")


def compare(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """A row per run: what was run, and how far it was pruned with which verdict.

    Each run is judged against its own dense nets and its own controls. Runs are not tested against
    each other: to say that one beats another, train both as arms of one run.

    Args:
        verdicts: of the runs, in the order of the rows.

    Returns:
        A frame of run, data, model, criterion, scope and rewind (what is known of them), n, metric,
        margin (in the metric's own unit), dense (mean), verdict, level (the sparsest that is
        claimed as winning; null where none is), density, num_kept, ticket (its mean there),
        minus_dense, minus_reinit, search_steps, and matching_density, that of `matching_level`.

    Raises:
        UsageError: there is none, or they are judged by different metrics.
    """
    if not verdicts:
        raise UsageError("compare: got no run, wanted one or more")
    metrics = {verdict.metric.label for verdict in verdicts}
    if len(metrics) > 1:
        raise UsageError(
            f"compare: the runs are judged by {' and '.join(sorted(metrics))}; compare those of one"
        )
    rows = pd.DataFrame([_row(verdict) for verdict in verdicts])
    counts = dict.fromkeys(("level", "num_kept"), "Int64")
    return rows.astype(
        counts | dict.fromkeys(("density", "search_steps", "matching_density"), "float64")
    )


def _row(verdict: Verdict) -> dict[str, object]:
    level = verdict.level
    found = next((item for item in verdict.levels if item.level == level), None)
    matches = [item for item in verdict.levels if item.level == verdict.matching_level]
    return {
        "run": verdict.run,
        **{name: verdict.about.get(name) for name in ABOUT},
        "n": verdict.num_replicates,
        "metric": verdict.metric.label,
        "margin": verdict.margin,
        "dense": _mean(verdict, 0),
        "verdict": verdict.label,
        "level": level,
        "density": None if found is None else found.density,
        "num_kept": None if found is None else found.num_kept,
        "ticket": math.nan if level is None else _mean(verdict, level),
        "minus_dense": _difference(verdict, level, DENSE),
        "minus_reinit": _difference(verdict, level, REINIT),
        "search_steps": verdict.cost.search_steps if found is not None and verdict.cost else None,
        "matching_density": matches[0].density if matches else None,
    }


def _mean(verdict: Verdict, level: int) -> float:
    arms = verdict.arms
    means = arms.loc[(arms["arm"] == LEAD) & (arms["level"] == level), "mean"]
    return float(means.iloc[0]) if len(means) else math.nan


def _difference(verdict: Verdict, level: int | None, control: str) -> float:
    rows = verdict.contrasts
    found = rows.loc[(rows["level"] == level) & (rows["control"] == control), "difference"]
    return float(found.iloc[0]) if len(found) else math.nan
