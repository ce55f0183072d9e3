"""The figures of a run, a function each: what is said of them is in `lottery_ticket.charts`.

`title` is what heads a figure, in most cases the run's name; without one there is no title and no
room for it. `run` is the run's id, for the small print. `ax`, of figures with one panel, is where
to draw instead of a figure of their own: it gets lines, axes and a legend above them, and the
figure that it is in neither title nor caption. `look` is any of `style`, `width`, `height` and
`font`, see `LookOptions`; axes that were given keep their size.
"""

from collections.abc import Sequence
from typing import Unpack

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lottery_ticket.analysis import Metric, Verdict
from lottery_ticket.charts import (
    compare_chart,
    curve_charts,
    difference_chart,
    early_stop_chart,
    layer_chart,
    metric_chart,
    overlap_charts,
    sign_chart,
)
from lottery_ticket.plots._look import LookOptions, look_of, look_on
from lottery_ticket.plots._render import chart_figure

__all__ = [
    "compare_figure",
    "curves_figure",
    "density_figure",
    "difference_figure",
    "early_stop_figure",
    "layers_figure",
    "overlap_figure",
    "signs_figure",
]


def density_figure(
    table: pd.DataFrame,
    metric: Metric,
    *,
    title: str = "",
    is_linear: bool = False,
    verdict: Verdict | None = None,
    run: str = "",
    ax: Axes | None = None,
    **look: Unpack[LookOptions],
) -> Figure:
    """The metric's mean against the weights kept, per arm, with dense as a dashed line.

    Args:
        table: a result table of one run; rows may be missing.
        metric: what is drawn.
        title: the run's name; without one there is no title.
        is_linear: a linear axis instead of a log axis.
        verdict: of the run, by this metric: its margin is drawn too.
        run: the run's id, for the small print.
        ax: where to draw, without title and caption; None for a figure of its own.
        look: `style`, `width`, `height`, `font`, see `LookOptions`.

    Returns:
        The figure; save it with `save`.

    Raises:
        UsageError: the table has no value of the metric, or holds several runs; the look makes no
            sense.

    >>> from lottery_ticket.analysis import ACCURACY, as_table
    >>> rows = [{"arm": "ticket", "level": n, "replicate": 0, "draw": 0, "density": 0.5**n,
    ...          "test_accuracy": 0.9} for n in range(3)]
    >>> float(density_figure(as_table(rows), ACCURACY, width="84mm").get_figwidth())
    3.3070866141732282
    """
    over = "kept, linear" if is_linear else "kept"
    chart = metric_chart(table, metric, verdict=verdict, over=over)
    return chart_figure([chart], title=title, run=run, ax=ax, look=look_on(ax, **look))


def difference_figure(
    verdict: Verdict,
    *,
    title: str = "",
    run: str = "",
    ax: Axes | None = None,
    **look: Unpack[LookOptions],
) -> Figure:
    """The ticket minus dense and minus each control, with 95 % intervals.

    Args:
        verdict: of the run.
        title, run, ax, look: as of `density_figure`.

    Returns:
        The figure; the margin is dashed.

    Raises:
        UsageError: no level has a difference.
    """
    return chart_figure(
        [difference_chart(verdict)], title=title, run=run, ax=ax, look=look_on(ax, **look)
    )


def early_stop_figure(
    speed: pd.DataFrame,
    table: pd.DataFrame,
    *,
    title: str = "",
    run: str = "",
    ax: Axes | None = None,
    **look: Unpack[LookOptions],
) -> Figure:
    """The step of the lowest validation loss against the weights kept, per arm.

    Args:
        speed: what `learning_speed` returned.
        table: the result table, which knows the densities.
        title, run, ax, look: as of `density_figure`.

    Returns:
        The figure; a hollow mark is a lower bound.

    Raises:
        UsageError: the run has no validation split.
    """
    return chart_figure(
        [early_stop_chart(speed, table)], title=title, run=run, ax=ax, look=look_on(ax, **look)
    )


def layers_figure(
    layers: pd.DataFrame,
    *,
    title: str = "",
    run: str = "",
    ax: Axes | None = None,
    **look: Unpack[LookOptions],
) -> Figure:
    """Density of each layer against that of all: the ticket arm, mean over replicates.

    Args:
        layers: arm, level, replicate, draw, layer, num_kept, num_prunable; layers in model
            order. Without a ticket arm the first arm of `sort_arms` is drawn.
        title, run, ax, look: as of `density_figure`.

    Returns:
        The figure; overall density is dashed. Of many layers the first and the last are named, at
        the ends of a bar of colours.

    Raises:
        UsageError: the table is empty.
    """
    return chart_figure(
        [layer_chart(layers)], title=title, run=run, ax=ax, look=look_on(ax, **look)
    )


def curves_figure(
    history: pd.DataFrame,
    table: pd.DataFrame,
    metric: Metric,
    *,
    title: str = "",
    run: str = "",
    **look: Unpack[LookOptions],
) -> Figure:
    """The metric against the step for up to six levels: the ticket, and reinit beside it.

    Args:
        history: arm, level, replicate, draw, step and the metric's column.
        table: the result table, which knows the densities.
        metric: what is drawn.
        title, run, look: as of `density_figure`.

    Returns:
        The figure, a panel per arm. Without a ticket arm the first arm of `sort_arms` takes its
        place.

    Raises:
        UsageError: the history has no value of the metric.
    """
    return chart_figure(
        curve_charts(history, table, metric), title=title, run=run, look=look_of(**look)
    )


def overlap_figure(
    overlap: pd.DataFrame, *, title: str = "", run: str = "", **look: Unpack[LookOptions]
) -> Figure:
    """The share of weights that two replicates both keep, and how many times that is chance.

    Args:
        overlap: what `structure.overlap_table` returned, across replicates; of one arm.
        title, run, look: as of `density_figure`.

    Returns:
        The figure: above, all layers together, with the lowest and the highest pair as a band;
        below, layer by layer.

    Raises:
        UsageError: there is no pair of pruned masks.
    """
    return chart_figure(overlap_charts(overlap), title=title, run=run, look=look_of(**look))


def signs_figure(
    kept_weights: pd.DataFrame,
    table: pd.DataFrame,
    *,
    title: str = "",
    run: str = "",
    ax: Axes | None = None,
    **look: Unpack[LookOptions],
) -> Figure:
    """The share of kept weights whose sign training did not change, per arm.

    Args:
        kept_weights: what `structure.run_kept_weights` returned.
        table: the result table, which knows the densities.
        title, run, ax, look: as of `density_figure`.

    Returns:
        The figure: mean over replicates, with a band of ±1 sd.

    Raises:
        UsageError: there is no row.
    """
    return chart_figure(
        [sign_chart(kept_weights, table)], title=title, run=run, ax=ax, look=look_on(ax, **look)
    )


def compare_figure(
    verdicts: Sequence[Verdict],
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    **look: Unpack[LookOptions],
) -> Figure:
    """Each run's ticket minus its own dense net, against the weights kept; winning levels filled.

    Args:
        verdicts: of the runs, judged by one metric, see `analysis.compare`.
        labels: what each is called in the legend; None for the runs' ids.
        title: what heads it; None for how many runs they are, empty for no title.
        ax, look: as of `density_figure`.

    Returns:
        The figure, with 95 % intervals.

    Raises:
        UsageError: no run has a difference to draw, or the metrics differ.
    """
    heading = f"{len(verdicts)} runs" if title is None else title
    charts = [compare_chart(verdicts, labels)]
    return chart_figure(charts, title=heading, ax=ax, look=look_on(ax, **look))
