"""Charts with a line per arm: the metric, differences, speed, signs."""

import pandas as pd

from lottery_ticket.analysis import (
    LOSS,
    Metric,
    RunTables,
    Verdict,
    level_statistics,
    metric_of,
    sign_statistics,
)
from lottery_ticket.arms import TICKET
from lottery_ticket.plots import control_styles, difference_limits, fit_limits, style_arms
from lottery_ticket.report._chart import Axis, Chart, Rule, Series
from lottery_ticket.report._levels import DENSITY, Levels
from lottery_ticket.report._numbers import (
    interval_text,
    mean_text,
    num_replicates,
    outside_note,
    padded,
    reference_of,
)

__all__ = ["difference_chart", "metric_charts", "sign_chart", "speed_chart"]


def metric_charts(tables: RunTables, verdict: Verdict | None) -> list[Chart]:
    """The metric against density, and the loss too where the metric is not the loss."""
    metric = metric_of(tables.table)
    charts = [_metric_chart(tables, metric, verdict)]
    if metric != LOSS and bool(tables.table["test_loss"].notna().any()):
        charts.append(_metric_chart(tables, LOSS, None))
    return charts


def _metric_chart(tables: RunTables, metric: Metric, verdict: Verdict | None) -> Chart:
    levels = Levels(tables.table)
    stats = level_statistics(tables.table, metric.column)
    sd = stats["sd"].fillna(0.0)
    stats = stats.assign(
        y=metric.scale * stats["mean"],
        low=metric.scale * (stats["mean"] - sd),
        high=metric.scale * (stats["mean"] + sd),
        text=[mean_text(row, metric) for row in stats.to_dict("records")],
    )
    ends = [*stats["low"], *stats["high"], *stats["y"]]
    limits = fit_limits(ends, higher_is_better=metric.higher_is_better) or (0.0, 1.0)
    dense = stats.loc[(stats["arm"] == TICKET) & (stats["level"] == 0), "y"]
    rules = [Rule(float(value), "dense") for value in dense]
    if verdict is not None and rules:
        worse = -verdict.margin if metric.higher_is_better else verdict.margin
        rules.append(
            Rule(
                rules[0].y + metric.scale * worse,
                f"dense {'−' if metric.higher_is_better else '+'} margin",
            )
        )
    outside = outside_note(stats["y"], limits)
    return Chart(
        metric.column.removeprefix("test_"),
        f"{metric.label[0].upper()}{metric.label[1:]} against weights kept",
        f"Mean over {num_replicates(stats['n'])}, band ± one standard deviation. Sparser to the "
        f"right; level 0 is the dense network.{outside}",
        f"Lines of {metric.label} over the share of weights kept, one for each of "
        f"{', '.join(dict.fromkeys(stats['arm']))}. The table of levels has the values.",
        DENSITY,
        Axis(metric.axis_label, "linear", *limits),
        levels.stops,
        _arms(levels, stats),
        rules,
    )


def _arms(levels: Levels, stats: pd.DataFrame) -> list[Series]:
    return [
        levels.series(arm, style.color, stats.loc[stats["arm"] == arm], marker=style.marker)
        for arm, style in style_arms(stats["arm"]).items()
    ]


def difference_chart(tables: RunTables, verdict: Verdict) -> Chart:
    """The ticket's differences from dense and from each control, with their intervals."""
    metric, levels = verdict.metric, Levels(tables.table)
    rows = verdict.contrasts
    scaled = rows.assign(
        y=metric.scale * rows["difference"],
        low=metric.scale * rows["pooled_low"],
        high=metric.scale * rows["pooled_high"],
        text=[interval_text(row, metric, reference_of(verdict)) for row in rows.to_dict("records")],
    )
    side = "above" if metric.higher_is_better else "below"
    margin = metric.scale * verdict.margin * (-1 if metric.higher_is_better else 1)
    limits = difference_limits(verdict)
    outside = outside_note(scaled["y"], limits)
    unit = " (points)" if metric.unit == "%" else ""
    return Chart(
        "difference",
        "Ticket minus dense, and minus each control",
        "Means over replicates and 95 % t intervals, their spread pooled with neighbouring levels. "
        f"A ticket wins where the interval against dense lies {side} the margin, and that "
        f"against reinit {side} zero; its tests are one-sided, so that they may touch.{outside}",
        "Differences of the ticket with intervals, over the share of weights kept. The table of "
        "levels has the values.",
        DENSITY,
        Axis(f"difference in {metric.label}{unit}", "linear", *limits),
        levels.stops,
        [
            levels.series(
                f"− {control}",
                style.color,
                scaled.loc[scaled["control"] == control],
                marker=style.marker,
                is_bars=True,
            )
            for control, style in control_styles(verdict).items()
        ],
        [Rule(0.0, "no difference"), Rule(margin, "margin")],
    )


def speed_chart(tables: RunTables, verdict: Verdict) -> Chart:
    """The step of the lowest validation loss per arm and level."""
    speed, levels = verdict.speed, Levels(tables.table)
    sd = speed["sd"].fillna(0.0)
    speed = speed.assign(
        y=speed["step"],
        low=speed["step"] - sd,
        high=speed["step"] + sd,
        text=[
            f"{'≥ ' if row['num_censored'] else ''}{row['step']:,.0f} ({row['n']})"
            for row in speed.to_dict("records")
        ],
    )
    series = [
        levels.series(
            arm,
            style.color,
            speed.loc[speed["arm"] == arm],
            marker=style.marker,
            open=_is_censored(levels, speed.loc[speed["arm"] == arm]),
        )
        for arm, style in style_arms(speed["arm"]).items()
    ]
    return Chart(
        "early_stop",
        "How soon it has learnt",
        "Step of the lowest validation loss, where an early stop would stop: mean over "
        f"{num_replicates(speed['n'])}, band ± one standard deviation. A hollow mark is a lower "
        "bound: in at least one replicate the loss was still falling at the end.",
        "Lines of the early-stop step over the share of weights kept, one for each arm.",
        DENSITY,
        Axis("early-stop step", "linear", *padded([*speed["low"], *speed["high"], 0.0])),
        levels.stops,
        series,
    )


def _is_censored(levels: Levels, rows: pd.DataFrame) -> list[bool]:
    censored = set(rows.loc[rows["num_censored"] > 0, "level"])
    return [level in censored for level in levels.numbers]


def sign_chart(tables: RunTables) -> Chart:
    """The share of kept weights that end with the sign they began with."""
    stats, levels = sign_statistics(tables.kept_weights, tables.table), Levels(tables.table)
    sd = stats["sd"].fillna(0.0)
    stats = stats.assign(
        y=100 * stats["mean"],
        low=100 * (stats["mean"] - sd),
        high=100 * (stats["mean"] + sd),
        text=[f"{100 * mean:.1f} %" for mean in stats["mean"]],
    )
    return Chart(
        "signs",
        "Signs kept in training",
        "Of the weights that the mask keeps, those whose sign after training is that of their "
        f"initial value: mean over {num_replicates(stats['n'])}, band ± one standard deviation.",
        "Lines of the share of kept signs over the share of weights kept, one for each arm.",
        DENSITY,
        Axis("signs kept (%)", "linear", *padded([*stats["low"], *stats["high"], 50.0])),
        levels.stops,
        _arms(levels, stats),
        [Rule(50.0, "a coin's toss")],
    )
