"""Several runs on one figure: each ticket against its own dense net."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lottery_ticket.analysis import WINNING, Verdict
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._axes import density_axis
from lottery_ticket.plots._style import GREY, ArmStyle, finish, legend_above, new_figure

__all__ = ["compare_figure"]

# Okabe and Ito's colours and as many markers; further runs begin anew
_RUN_STYLES = (
    ArmStyle("#0072B2", "o"),
    ArmStyle("#D55E00", "s"),
    ArmStyle("#009E73", "^"),
    ArmStyle("#CC79A7", "D"),
    ArmStyle("#E69F00", "v"),
    ArmStyle("#56B4E9", "P"),
    ArmStyle("#000000", "X"),
)


def compare_figure(verdicts: Sequence[Verdict]) -> Figure:
    """Each run's ticket minus its own dense net, against the weights kept; winning levels filled.

    Args:
        verdicts: of the runs, judged by one metric, see `analysis.compare`.

    Returns:
        The figure, with 95 % intervals.

    Raises:
        UsageError: no run has a difference to draw, or the metrics differ.
    """
    metrics = {verdict.metric for verdict in verdicts}
    if len(metrics) != 1:
        raise UsageError(f"compare: got {len(metrics)} metrics, wanted one or more runs of one")
    (metric,) = metrics
    figure, (ax,) = new_figure()
    percents: list[float] = []
    for index, verdict in enumerate(verdicts):
        percents += _draw(ax, verdict, _RUN_STYLES[index % len(_RUN_STYLES)])
    if not percents:
        raise UsageError("compare: no ticket has a difference to dense; nothing to draw")
    ax.axhline(0, color=GREY, linewidth=1, zorder=1)
    density_axis(ax, percents, is_linear=False)
    points = " (points)" if metric.unit == "%" else ""
    ax.set_ylabel(f"{metric.label} minus dense{points}")
    legend_above(ax, num_columns=2)
    caption = (
        "Each ticket minus the dense net of its own run, paired, with 95 % intervals; filled: "
        "winning, level by level. Runs are not tested against each other."
    )
    finish(figure, title=f"tickets of {len(verdicts)} runs", caption=caption)
    return figure


def _draw(ax: Axes, verdict: Verdict, style: ArmStyle) -> list[float]:
    """One run's line; returns the densities drawn, in percent."""
    rows: pd.DataFrame = verdict.contrasts
    rows = rows.loc[(rows["control"] == "dense") & rows["difference"].notna()]
    found = {level.level: level for level in verdict.levels}
    rows = rows.loc[rows["level"].isin(found)]
    percents = [100 * found[int(level)].density for level in rows["level"]]
    scale = verdict.metric.scale
    values = scale * rows["difference"].to_numpy(dtype="float64")
    is_winning = [found[int(level)].label == WINNING for level in rows["level"]]
    filled = [value if wins else np.nan for value, wins in zip(values, is_winning, strict=True)]
    ax.plot(percents, values, color=style.color, linewidth=1.4, label=verdict.run, zorder=3,
            marker=style.marker, markersize=5, markerfacecolor="white")  # fmt: skip
    low, high = (scale * rows[f"pooled_{end}"].to_numpy(dtype="float64") for end in ("low", "high"))
    ax.vlines(percents, low, high, color=style.color, linewidth=1.0, alpha=0.6)
    ax.plot(percents, filled, color=style.color, linestyle="", marker=style.marker, markersize=5,
            zorder=4)  # fmt: skip
    return percents
