"""Charts of learning curves, one for the ticket and one for reinit beside it."""

import pandas as pd

from lottery_ticket.analysis import Metric, curve_means, replicate_means, sort_arms
from lottery_ticket.arms import REINIT
from lottery_ticket.charts._chart import Axis, Chart, Series, Stop, nulls
from lottery_ticket.charts._levels import pick_levels
from lottery_ticket.charts._limits import fit_limits
from lottery_ticket.charts._style import level_colors
from lottery_ticket.charts._text import num_replicates, percent_label, value_text
from lottery_ticket.errors import UsageError

__all__ = ["curve_charts", "curve_limits", "select_curves"]

_MOST_STEPS = 120


def curve_charts(history: pd.DataFrame, table: pd.DataFrame, metric: Metric) -> list[Chart]:
    """The metric over the step for up to six levels: the ticket, and reinit beside it.

    Args:
        history: arm, level, replicate, draw, step and the metric's column.
        table: the result table, which knows the densities.
        metric: what is drawn.

    Returns:
        A chart per arm, their axes alike. Without a ticket the first arm of `sort_arms` takes its
        place.

    Raises:
        UsageError: the history has no value of the metric.
    """
    curves = curve_means(history, metric.column)
    curves = curves.assign(mean=metric.scale * curves["mean"])
    if curves.empty:
        raise UsageError(f"no step of the history has a {metric.label}; nothing to draw")
    curves, arms, levels = select_curves(curves)
    steps, thinned = _steps(curves)
    low, high = curve_limits(curves, metric) or (0.0, 1.0)
    caption = (
        f"Mean over {num_replicates(curves['n'])}; the first steps may lie outside the axis"
        f"{_ends_outside(curves, low, high)}.{thinned}"
    )
    colors = level_colors(levels)
    return [
        Chart(
            f"curves_{arm}",
            f"{metric.label} while training",
            caption,
            Axis("training step", "linear", 0.0, float(steps[-1])),
            Axis(metric.axis_label, "linear", low, high),
            [Stop(float(step), f"step {step:,}") for step in steps],
            _series(curves.loc[curves["arm"] == arm], steps, colors, _names(table, arm), metric),
            panel=arm,
        )
        for arm in arms
    ]


def select_curves(curves: pd.DataFrame) -> tuple[pd.DataFrame, list[str], list[int]]:
    """The curves that are drawn, their arms and their levels; the first arm picks the levels.

    Args:
        curves: what `curve_means` returned.
    """
    lead, *others = sort_arms(curves["arm"])
    arms = [lead, *(arm for arm in others if arm == REINIT)]
    levels = pick_levels([int(level) for level in curves.loc[curves["arm"] == lead, "level"]])
    drawn = curves.loc[curves["arm"].isin(arms) & curves["level"].isin(levels)]
    return drawn, sort_arms(drawn["arm"]), levels


def curve_limits(curves: pd.DataFrame, metric: Metric) -> tuple[float, float] | None:
    """Limits that fit what comes after the first tenth of the training."""
    late = curves.loc[curves["step"] >= 0.1 * curves["step"].max(), "mean"]
    return fit_limits(late, higher_is_better=metric.higher_is_better)


def _steps(curves: pd.DataFrame) -> tuple[list[int], str]:
    """The steps that are drawn, and what to say where they are not all."""
    steps = sorted({int(step) for step in curves["step"]})
    every = -(-len(steps) // _MOST_STEPS)
    if every == 1:
        return steps, ""
    return sorted({*steps[::every], steps[-1]}), f" Every {every}th measurement is drawn."


def _ends_outside(curves: pd.DataFrame, low: float, high: float) -> str:
    """How many curves of each arm end where the axis does not reach: panels share these words."""
    ends = curves.sort_values("step").groupby(["arm", "level"]).agg(mean=("mean", "last"))
    hidden = ends.loc[~ends["mean"].between(low, high), "mean"]
    told = []
    for arm in sort_arms(hidden.index.get_level_values("arm")):
        own = hidden.xs(arm, level="arm")
        count = f"1 curve of {arm} ends" if len(own) == 1 else f"{len(own)} curves of {arm} end"
        values = dict.fromkeys(f"{value:.4g}" for value in (own.min(), own.max()))
        told.append(f", and {count} there ({' to '.join(values)})")
    return "".join(told)


def _names(table: pd.DataFrame, arm: str) -> dict[int, str]:
    """What an arm's levels are called: by their densities."""
    means = replicate_means(table.loc[table["arm"] == arm], "density")
    by_level = means.groupby("level", as_index=False).agg(density=("density", "mean"))
    return {
        int(row["level"]): f"{percent_label(100 * row['density'])} % kept"
        for row in by_level.to_dict("records")
    }


def _series(
    curves: pd.DataFrame,
    steps: list[int],
    colors: dict[int, str],
    names: dict[int, str],
    metric: Metric,
) -> list[Series]:
    series = []
    for level, color in colors.items():
        own = curves.loc[curves["level"] == level].set_index("step")["mean"].reindex(steps)
        if own.isna().all():  # this arm has not come so far
            continue
        text = [value_text(mean, metric) for mean in own]
        series.append(Series(names.get(level, f"level {level}"), color, nulls(own), text))
    return series
