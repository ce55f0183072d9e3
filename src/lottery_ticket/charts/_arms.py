"""Charts with a line per arm: the metric, how soon it has learnt, the signs it keeps."""

from dataclasses import replace
from typing import Literal

import pandas as pd

from lottery_ticket.analysis import (
    Metric,
    Verdict,
    check_one_run,
    dense_mean,
    level_statistics,
    sign_statistics,
)
from lottery_ticket.arms import REINIT, TICKET
from lottery_ticket.charts._chart import Axis, Chart, Rule, Series, cut_note
from lottery_ticket.charts._levels import Levels, levels_of
from lottery_ticket.charts._limits import fit_limits, padded
from lottery_ticket.charts._style import style_arms
from lottery_ticket.charts._text import is_known, mean_text, num_replicates, outside_note
from lottery_ticket.errors import UsageError

__all__ = ["early_stop_chart", "metric_chart", "sign_chart"]

_MOST_BANDS = 4  # more of them lie on one another until nothing can be read


def metric_chart(
    table: pd.DataFrame,
    metric: Metric,
    *,
    verdict: Verdict | None = None,
    over: Literal["kept", "kept, linear", "pruned"] = "kept",
) -> Chart:
    """The metric's mean over the weights kept, per arm, beside dense.

    Args:
        table: a result table of one run; rows may be missing.
        metric: what is drawn.
        verdict: of the run, by this metric: the margin of its dense net is drawn too.
        over: what the x axis is: weights kept, on a log axis or on a linear one, or weights pruned.

    Raises:
        UsageError: the table has no value of the metric, or holds several runs.
    """
    check_one_run(table)
    stats = level_statistics(table, metric.column).dropna(subset=["density"])
    if stats.empty:
        raise UsageError(f"no row of the table has a {metric.label}; nothing to draw")
    kept = stats["density"]
    stats = stats.assign(
        x=100 * ((1 - kept) if over == "pruned" else kept),
        y=metric.scale * stats["mean"],
        sd=metric.scale * stats["sd"],
        text=[mean_text(row, metric) for row in stats.to_dict("records")],
    )
    levels = levels_of(table)
    series = _series(levels, stats)
    sd = stats["sd"].fillna(0.0)
    ends = [*(stats["y"] - sd), *stats["y"], *(stats["y"] + sd)]
    low, high = fit_limits(ends, higher_is_better=metric.higher_is_better) or (0.0, 1.0)
    rules = _rules(dense_mean(table, metric.column), metric, verdict)
    dense = f"; dashed: dense ({_nets(stats)})" if rules else ""
    dense += "; dotted: as much worse as still matches it" if rules[1:] else ""
    axis = levels.axis(series)
    axes = {
        "kept": axis,
        "kept, linear": Axis(axis.label, "linear", axis.low, axis.high),
        "pruned": Axis("weights pruned (%)", "linear", 0.0, 100.0),
    }
    return Chart(
        metric.column.removeprefix("test_"),
        metric.label,
        f"{_mean_of(stats, series)}{dense}.{outside_note(stats['y'], low, high)}"
        f"{cut_note(series, low, high)}",
        axes[over],
        Axis(metric.axis_label, "linear", low, high),
        [replace(stop, x=100 - stop.x) if over == "pruned" else stop for stop in levels.stops],
        series,
        rules,
    )


def _nets(stats: pd.DataFrame) -> str:
    """Which nets are the dense ones."""
    arms = set(stats.loc[stats["level"] == 0, "arm"])
    return f"mean of {TICKET}'s and {REINIT}'s level 0" if REINIT in arms else f"{TICKET}, level 0"


def _rules(dense: float, metric: Metric, verdict: Verdict | None) -> list[Rule]:
    """What the arms are held against: the dense nets' mean, and the margin below it."""
    if not is_known(dense):
        return []
    rules = [Rule(metric.scale * dense, "dense")]
    if verdict is not None:
        sign, sense = (-1, "−") if metric.higher_is_better else (1, "+")
        worse = rules[0].y + sign * metric.scale * verdict.margin
        rules.append(Rule(worse, f"dense {sense} margin", "dotted"))
    return rules


def _series(levels: Levels, stats: pd.DataFrame) -> list[Series]:
    """A line per arm with its spread: a band, or bars where bands are too many.

    Args:
        levels: the stops.
        stats: arm, level, x, y, sd and text; where marks may be hollow, is_open.
    """
    styles = style_arms(stats["arm"])
    stats = stats.assign(low=stats["y"] - stats["sd"], high=stats["y"] + stats["sd"])
    series = []
    for arm, style in styles.items():
        own = stats.loc[stats["arm"] == arm]
        opened = set(own.loc[own["is_open"], "level"]) if "is_open" in own else set()
        series.append(
            levels.series(
                arm,
                style.color,
                own,
                marker=style.marker,
                open=[level in opened for level in levels.numbers] if opened else None,
                is_bars=len(styles) > _MOST_BANDS,
            )
        )
    return series


def _mean_of(stats: pd.DataFrame, series: list[Series]) -> str:
    """What the lines are means of, and what is drawn around them."""
    drawn = {"bars" if line.is_bars else "band" for line in series if line.low}
    spread = "".join(f", {kind} ±1 sd" for kind in drawn)
    return f"Mean over {num_replicates(stats['n'])}{spread}"


def early_stop_chart(speed: pd.DataFrame, table: pd.DataFrame) -> Chart:
    """The step of the lowest validation loss over the weights kept, per arm.

    Args:
        speed: what `learning_speed` returned.
        table: the result table, which knows the densities.

    Raises:
        UsageError: the run has no validation split.
    """
    if speed.empty:
        raise UsageError("early stops are chosen on a validation split, and there is none")
    levels = levels_of(table)
    densities = table.astype({"arm": "str", "level": "int64"})
    densities = densities.groupby(["arm", "level"], as_index=False).agg(density=("density", "mean"))
    stats = speed.merge(densities, on=["arm", "level"])
    stats = stats.assign(
        x=100 * stats["density"],
        y=stats["step"],
        is_open=stats["num_censored"] > 0,
        text=[
            f"{'≥ ' if row['num_censored'] else ''}{row['step']:,.0f} ({row['n']})"
            for row in stats.to_dict("records")
        ],
    )
    series = _series(levels, stats)
    hollow = ""
    if any(line.open for line in series):
        hollow = (
            " Hollow: a lower bound, the loss was still falling at the end in at least one "
            "replicate."
        )
    top = padded([0.0, *stats["y"], *(stats["y"] + stats["sd"])])[1]
    return Chart(
        "early_stop",
        "early stop",
        f"Step of the lowest validation loss. {_mean_of(stats, series)}.{hollow}"
        f"{cut_note(series, 0.0, top)}",
        levels.axis(series),
        Axis("early-stop step", "linear", 0.0, top),
        levels.stops,
        series,
    )


def sign_chart(kept_weights: pd.DataFrame, table: pd.DataFrame) -> Chart:
    """The share of kept weights that end with the sign they began with, per arm.

    Args:
        kept_weights: what `structure.run_kept_weights` returned.
        table: the result table, which knows the densities.

    Raises:
        UsageError: there is no row.
    """
    if kept_weights.empty:
        raise UsageError("no training has both its first and its last weights; nothing to draw")
    stats = sign_statistics(kept_weights, table)
    stats = stats.assign(
        x=100 * stats["density"],
        y=100 * stats["mean"],
        sd=100 * stats["sd"],
        text=[f"{100 * mean:.1f} %" for mean in stats["mean"]],
    )
    levels = levels_of(table)
    series = _series(levels, stats)
    ends = [50.0, *stats["y"], *(stats["y"] - stats["sd"]), *(stats["y"] + stats["sd"])]
    return Chart(
        "signs",
        "signs kept in training",
        "Of the weights that the mask keeps, those whose sign after training is that of the "
        f"initial weight. {_mean_of(stats, series)}.",
        levels.axis(series),
        Axis("signs kept (%)", "linear", *padded(ends)),
        levels.stops,
        series,
        [Rule(50.0, "a coin's toss")],
    )
