"""Every figure of a run: by name, and written into a folder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lottery_ticket.analysis import RunTables, Verdict, metric_of
from lottery_ticket.charts import input_images, run_charts
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.plots._figures import density_figure
from lottery_ticket.plots._inputs import inputs_figure
from lottery_ticket.plots._look import LookOptions, look_of, look_on
from lottery_ticket.plots._render import chart_figure, check_axes
from lottery_ticket.plots._shown import Figures
from lottery_ticket.plots._style import check_suffix, save
from lottery_ticket.plots._sweep import SWEEP_FIGURES, sweep_figures
from lottery_ticket.plots._verdict import verdict_figure

__all__ = [
    "check_figures",
    "draw_all",
    "draw_summary_figure",
    "run_figure",
    "run_figures",
    "save_figures",
]

# as they are read: what was found, how it was learnt, what the masks look like
FIGURES = (
    *("accuracy", "metric", "loss", "verdict", "difference", "early_stop", "layers"),
    *("learning_curves", "inputs", "overlap", "signs"),
)
# another word → the figures that it may be, of which the first that a run has is meant
ALIASES = {
    "density": ("accuracy", "metric", "loss"),
    "curves": ("learning_curves",),
    "differences": ("difference",),
    "early-stop": ("early_stop",),
    "learning-curves": ("learning_curves",),
}
_Maker = Callable[[Axes | None], Figure]


def run_figures(
    tables: RunTables,
    *,
    title: str = "",
    run: str = "",
    verdict: Verdict | None = None,
    is_sweep: bool = False,
    only: Sequence[str] | None = None,
    **look: Unpack[LookOptions],
) -> Figures:
    """The figures that the tables have values for, in the order in which they are read.

    Args:
        tables: of one run; rows may be missing, and all but the result table may be empty.
        title: the run's name; empty for no titles.
        run: the run's id, for the small print.
        verdict: of the run; without it there is no figure of it.
        is_sweep: whether a dense net was pruned once to each of several sparsities: then there
            are the figures of `sweep_figures` too.
        only: which; `"density"` is the figure of what the run is judged by. None for all.
        look: as of `density_figure`.

    Returns:
        Name → figure, which a notebook shows; the names are those of the files that `draw_all`
        writes.

    Raises:
        UsageError: there is no such figure, or this run has no values for it; no training has a
            value of the metric; the table holds several runs; the look makes no sense.
    """
    seen = look_of(**look)  # before any work
    _check_names(only)
    makers = _makers(tables, verdict, title, run, look)
    sweep = SWEEP_FIGURES if is_sweep else ()
    if not makers:
        raise UsageError(f"no training has a {metric_of(tables.table).label}; nothing to draw")
    names = _chosen(only, [*makers, *sweep])
    with seen.applied():
        figures = Figures({name: makers[name](None) for name in names if name in makers})
    wanted = [name for name in names if name in sweep]
    if wanted:
        figures |= sweep_figures(tables.table, title=title, run=run, only=wanted, **look)
    return Figures(figures)


def run_figure(
    name: str,
    tables: RunTables,
    *,
    title: str = "",
    run: str = "",
    verdict: Verdict | None = None,
    is_sweep: bool = False,
    ax: Axes | None = None,
    **look: Unpack[LookOptions],
) -> Figure:
    """One figure of a run, on axes of its own or on those given.

    Args:
        name: as in `run_figures`.
        tables, title, run, verdict, is_sweep, look: as of `run_figures`.
        ax: where to draw a figure of one panel, without title and small print.

    Raises:
        UsageError: as `run_figures`; the figure has several panels, and `ax` is given.
    """
    look_on(ax, **look)
    if ax is None:
        options = {"title": title, "run": run, "verdict": verdict, "is_sweep": is_sweep}
        (figure,) = run_figures(tables, only=[name], **options, **look).values()
        return figure
    _check_names([name])
    makers = _makers(tables, verdict, title, run, look)
    (found,) = _chosen([name], [*makers, *(SWEEP_FIGURES if is_sweep else ())])
    if found not in makers:
        raise UsageError(f"ax: {found!r} cannot be drawn on axes that are given; leave it out")
    return makers[found](ax)


def _makers(
    tables: RunTables, verdict: Verdict | None, title: str, run: str, look: Mapping[str, Any]
) -> dict[str, _Maker]:
    """Name → what makes the figure, of those that there are values for."""
    of: dict[str, Any] = {"title": title, "run": run, **look}

    def charted(charts: Any) -> _Maker:
        return lambda ax: chart_figure(
            charts, title=title, run=run, ax=ax, look=look_on(ax, **look)
        )

    def mapped(ax: Axes | None) -> Figure:
        if ax is not None:
            check_axes(ax, "inputs", 2)
        return inputs_figure(tables.inputs, **of)

    makers = {name: charted(charts) for name, charts in run_charts(tables, verdict).items()}
    if verdict is not None and verdict.levels:
        makers["verdict"] = lambda ax: verdict_figure(verdict, ax=ax, **of)
    if input_images(tables.inputs):
        makers["inputs"] = mapped
    return {name: makers[name] for name in FIGURES if name in makers}


def check_figures(
    only: Sequence[str] | None = None,
    formats: Sequence[str] = (),
    *,
    ax: Axes | None = None,
    **look: Unpack[LookOptions],
) -> None:
    """See that what is asked for can be drawn, before a run is read: that takes a while.

    Args:
        only, look: as of `run_figures`.
        formats: suffixes that matplotlib is to write.
        ax: as of `run_figure`.

    Raises:
        UsageError: there is no such figure or format; the look makes no sense.
    """
    look_on(ax, **look)
    _check_names(only)
    if isinstance(formats, str):
        raise UsageError(f"formats: got {formats!r}, wanted a list, such as [{formats!r}]")
    for suffix in formats:
        check_suffix(f".{suffix}", f"formats: got {suffix!r}")


def _check_names(only: Sequence[str] | None) -> None:
    if isinstance(only, str):
        raise UsageError(f"only: got {only!r}, wanted a list of names, such as [{only!r}]")
    known = (*FIGURES, *SWEEP_FIGURES, *ALIASES)
    for name in only or ():
        if name not in known:
            raise UsageError(f"only: there is no figure {name!r}{nearest(name, known)}")
    if only is not None and not only:
        raise UsageError("only: got no name, wanted at least one")


def _chosen(only: Sequence[str] | None, there: Sequence[str]) -> list[str]:
    """The names of the figures that are meant, of those that a run has."""
    if only is None:
        return [*there]
    found: dict[str, None] = {}
    for name in only:
        meant = next((one for one in ALIASES.get(name, (name,)) if one in there), None)
        if meant is None:
            raise UsageError(
                f"only: this run has no values for the figure {name!r}; it has: {', '.join(there)}"
            )
        found[meant] = None
    return [*found]


def save_figures(
    figures: Mapping[str, Figure], out: Path, formats: Sequence[str] = ("png", "svg")
) -> list[Path]:
    """Write figures into the folder `out`, each in every format; returns the files."""
    return [
        save(figure, Path(out) / f"{name}.{suffix}")
        for name, figure in figures.items()
        for suffix in formats
    ]


def draw_all(
    tables: RunTables,
    out: Path,
    *,
    title: str,
    run: str = "",
    verdict: Verdict | None = None,
    formats: Sequence[str] = ("png", "svg"),
    only: Sequence[str] | None = None,
    **look: Unpack[LookOptions],
) -> list[Path]:
    """Write every figure that the tables have values for.

    Args:
        tables: of one run; rows may be missing, and all but the result table may be empty.
        out: the folder to write into; it is made.
        title: the run's name; empty for no titles.
        run: the run's id, for the small print.
        verdict: of the run; without it there is no figure of it.
        formats: suffixes that matplotlib can write.
        only, look: as of `run_figures`.

    Returns:
        The files written: `accuracy`, `loss`, `verdict`, `difference`, `early_stop`, `layers`,
        `learning_curves`, `inputs`, `overlap` and `signs`, each in every format; `metric` instead
        of `accuracy` where the run has a metric of its own that is better lower. `imp_recovery`,
        once a second figure of the loss of a regression, is that of `density_figure` with
        `is_linear=True`.

    Raises:
        UsageError: as `run_figures`.
    """
    figures = run_figures(tables, title=title, run=run, verdict=verdict, only=only, **look)
    return save_figures(figures, out, formats)


def draw_summary_figure(
    table: pd.DataFrame, path: str | Path, *, title: str = "", run: str = ""
) -> Path:
    """Write the one figure that says it all: the metric against the weights kept, per arm.

    Args:
        table: the result table of one run; rows may be missing.
        path: the file to write, its format by its suffix; its folder is made.
        title: the run's name; without one there is no title.
        run: the run's id, for the small print.

    Returns:
        The path.

    Raises:
        UsageError: there is nothing to draw, or the table holds several runs.
    """
    return save(density_figure(table, metric_of(table), title=title, run=run), path)
