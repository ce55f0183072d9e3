"""The ticket's differences from dense and from its controls, with their intervals."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lottery_ticket.analysis import Verdict
from lottery_ticket.errors import UsageError
from lottery_ticket.plots._arms import hidden_note
from lottery_ticket.plots._axes import density_axis
from lottery_ticket.plots._style import (
    GREY,
    ArmStyle,
    finish,
    legend_above,
    new_figure,
    num_replicates,
    style_arms,
)

__all__ = ["control_styles", "difference_figure", "difference_limits"]

_DENSE = ArmStyle("#777777", "h")


def control_styles(verdict: Verdict) -> dict[str, ArmStyle]:
    """How each control that the ticket was held against is drawn, dense first."""
    controls = set(verdict.contrasts["control"])
    return {
        control: style
        for control, style in {"dense": _DENSE, **style_arms(controls - {"dense"})}.items()
        if control in controls
    }


def difference_limits(verdict: Verdict) -> tuple[float, float]:
    """Limits, in the printed unit, in which the differences from dense can be told apart.

    A control that has collapsed lies ten times as far off as anything that the verdict turns on.
    Then the axis ends where the differences from dense would if they were as large upwards, or with
    what is claimed.
    """
    rows = verdict.contrasts
    sign = verdict.metric.scale * (1 if verdict.metric.higher_is_better else -1)
    margin = -abs(verdict.metric.scale * verdict.margin)
    ends = sign * rows[["difference", "pooled_low", "pooled_high"]]
    known = ends.loc[rows["control"] == "dense"].to_numpy(dtype="float64")
    known = [*known[np.isfinite(known)], margin, 0.0]
    everything = np.nan_to_num(ends.to_numpy(dtype="float64")).ravel()
    span = max(known) - min(known)
    most = float(max([*everything, *known]))
    if most > 3 * span:
        is_claimed = rows["level"] <= (verdict.level or 0)
        claimed = np.nan_to_num(ends.loc[is_claimed].to_numpy(dtype="float64")).ravel()
        most = max([*known, *claimed.tolist(), span])
    least = float(min(known))  # what is worse than dense is what the verdict turns on
    pad = 0.05 * (most - least) or 0.5
    low, high = sorted((np.sign(sign) * (least - pad), np.sign(sign) * (most + pad)))
    return float(low), float(high)


def difference_figure(verdict: Verdict, *, title: str) -> Figure:
    """The ticket minus dense and minus each control, paired, with 95 % intervals.

    Args:
        verdict: of the run.
        title: the run's name.

    Returns:
        The figure; the margin is dashed.

    Raises:
        UsageError: no level has a difference.
    """
    metric = verdict.metric
    rows = verdict.contrasts.dropna(subset=["difference"])
    if rows.empty:
        raise UsageError("no level of the ticket has a difference; nothing to draw")
    percents = {found.level: 100 * found.density for found in verdict.levels}
    rows = rows.assign(percent=[percents[int(level)] for level in rows["level"]])
    figure, (ax,) = new_figure()
    styles = control_styles(verdict)
    width = math.log(max(percents.values()) / min(percents.values()) or 1) / max(len(percents), 2)
    for index, (control, style) in enumerate(styles.items()):
        # intervals of several controls at one level stand side by side
        shift = math.exp(-0.14 * width * (index - (len(styles) - 1) / 2))
        _draw(ax, rows.loc[rows["control"] == control], style, shift, metric.scale)
    ax.axhline(0, color=GREY, linewidth=1, zorder=1)
    margin = metric.scale * verdict.margin * (-1 if metric.higher_is_better else 1)
    ax.axhline(margin, color=GREY, linestyle="--", linewidth=1.2, label="margin", zorder=1)
    ax.set_ylim(*difference_limits(verdict))
    density_axis(ax, list(percents.values()), is_linear=False)
    unit = " (points)" if metric.unit == "%" else ""
    ax.set_ylabel(f"difference in {metric.label}{unit}")
    legend_above(ax, num_columns=4)
    caption = (
        f"Paired differences, mean over {num_replicates(rows['n'])}, with 95 % t intervals whose "
        "spread is pooled with neighbouring levels; dashed: as much worse than dense as still "
        "matches it."
    )
    values = metric.scale * rows["difference"]
    note = hidden_note([v for v in values if not ax.get_ylim()[0] <= v <= ax.get_ylim()[1]])
    caption += f" {note}." if note else ""
    finish(figure, title=f"{title}: ticket minus dense and controls", caption=caption)
    return figure


def _draw(ax: Axes, rows: pd.DataFrame, style: ArmStyle, shift: float, scale: float) -> None:
    x, y = rows["percent"] * shift, scale * rows["difference"]
    name = f"− {rows['control'].iloc[0]}"
    look = {"color": style.color, "marker": style.marker, "markersize": 4, "linewidth": 1.3}
    ax.plot(x, y, label=name, zorder=3, **look)
    known = rows.dropna(subset=["pooled_low"])
    ends = scale * known["pooled_low"], scale * known["pooled_high"]
    ax.vlines(known["percent"] * shift, *ends, color=style.color, linewidth=1.1, alpha=0.75)
