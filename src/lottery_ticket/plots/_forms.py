"""What the forms of a model cost, and what they get right."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from lottery_ticket.errors import UsageError
from lottery_ticket.export import Measured
from lottery_ticket.plots._look import DEFAULT, Look, LookOptions, look_of
from lottery_ticket.plots._render import log_ticks
from lottery_ticket.plots._style import finish, new_figure, save

__all__ = ["draw_forms", "forms_figure"]

_COLORS = {True: "#777777", False: "#0072B2"}  # of the dense net, and of what is pruned
_PANELS = (
    ("accuracy", 100.0, "test accuracy (%)"),
    ("latency_p50_ms", 1.0, "latency at batch 1 (ms)"),
    ("file_bytes", 1e-3, "file (kB)"),
)


def forms_figure(
    measured: Measured,
    *,
    title: str | None = None,
    run: str = "",
    **look: Unpack[LookOptions],
) -> Figure:
    """Accuracy, latency and size of each form, a row per form; hollow marks are dense.

    Args:
        measured: what `lottery_ticket.export.measure` found.
        title: what heads it; None for what was measured, empty for no title.
        run: the run's id, for the small print.
        look: as of `density_figure`.

    Returns:
        The figure: three panels side by side, those of latency and size with log axes.

    Raises:
        UsageError: no accuracy was measured.
    """
    rows = [row for row in measured.rows if row["accuracy"] is not None]
    if not rows:
        raise UsageError("no accuracy was measured; nothing to draw")
    seen = look_of(**look)
    heading = measured.title if title is None else title
    with seen.applied():
        return _drawn(rows, measured.about, heading, run, seen, is_wide=look.get("width") is None)


def _drawn(
    rows: Sequence[Any],
    about: Mapping[str, Any],
    title: str,
    run: str,
    look: Look,
    *,
    is_wide: bool,
) -> Figure:
    """Three panels; half as wide again as other figures, where no width was asked for."""
    words = 1.4 if look.has_words else 0.6
    height = look.height if look.is_tall else (words + 0.27 * len(rows)) * look.label / 10.5
    width = look.width * 8.4 / 5.4 if is_wide else look.width
    figure, axes = new_figure(num_columns=3, width=width, height=height, share_y=True, look=look)
    for ax, (column, scale, label) in zip(axes, _PANELS, strict=True):
        _draw_panel(ax, rows, [scale * row[column] for row in rows], label, look)
        if column != "accuracy":
            _log_axis(ax, [scale * row[column] for row in rows])
    axes[0].set_yticks(range(len(rows)), [row["form"] for row in rows])
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    caption = (
        f"Median latency, timed in turns on {about['threads']} thread"
        f"{'' if about['threads'] == 1 else 's'}, {about['machine']}; {about['num_test']:,} test "
        "examples; latency and size on log axes. Hollow: the dense net."
    )
    finish(figure, title=title, what="forms", caption=caption, run=run, look=look)
    return figure


def _draw_panel(
    ax: Axes, rows: Sequence[Any], values: Sequence[float], label: str, look: Look
) -> None:
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        ax.plot(
            value,
            place,
            marker="o",
            markersize=look.mark * 7 / DEFAULT.mark,
            color=_COLORS[row["is_dense"]],
            fillstyle="none" if row["is_dense"] else "full",
            label=row["form"],
        )
    letters = int(ax.bbox.width * 72 / ax.figure.dpi / (0.5 * look.label))
    ax.set_xlabel(textwrap.fill(label, max(8, letters), break_long_words=False))
    ax.margins(x=0.12)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4))


def _log_axis(ax: Axes, values: Sequence[float]) -> None:
    low, high = min(values) / 1.3, max(values) * 1.3
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def draw_forms(
    measured: Measured,
    out: Path,
    *,
    title: str | None = None,
    run: str = "",
    formats: Sequence[str] = ("png", "svg"),
) -> list[Path]:
    """Write `forms_figure` into the folder `out`, which is made, as `forms` in every format.

    Args:
        measured, title, run: as of `forms_figure`.
        out: the folder.
        formats: suffixes that matplotlib can write.

    Returns:
        The files written; none where no accuracy was measured.
    """
    if all(row["accuracy"] is None for row in measured.rows):
        return []
    figure = forms_figure(measured, title=title, run=run)
    return [save(figure, out / f"forms.{suffix}") for suffix in formats]
