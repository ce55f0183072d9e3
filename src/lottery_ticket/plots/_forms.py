"""What the forms of a model cost, and what they get right."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from lottery_ticket.errors import UsageError
from lottery_ticket.export import Measured
from lottery_ticket.plots._style import finish, new_figure, save

__all__ = ["draw_forms", "forms_figure"]

# as of arms: a colour that colour-blind readers can tell from its neighbours, and a marker
_STYLE = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
    ("#56B4E9", "P"),
    ("#9F4020", "d"),
    ("#8080FF", ">"),
    ("#80BF60", "<"),
    ("#402000", "H"),
    ("#000000", "X"),
)


def forms_figure(measured: Measured) -> Figure:
    """Accuracy against latency and against size, one mark per form; hollow marks are dense.

    Args:
        measured: what `lottery_ticket.export.measure` found.

    Returns:
        The figure: two panels with log axes.

    Raises:
        UsageError: no accuracy was measured.
    """
    rows = [row for row in measured.rows if row["accuracy"] is not None]
    if not rows:
        raise UsageError("no accuracy was measured; nothing to draw")
    figure, axes = new_figure(num_columns=2, width=8.4, share_y=True)
    columns = (("latency_p50_ms", 1.0, "latency at batch 1 (ms)"), ("file_bytes", 1e3, "file (kB)"))
    for ax, (column, unit, label) in zip(axes, columns, strict=True):
        for index, row in enumerate(rows):
            color, marker = _STYLE[index % len(_STYLE)]
            ax.plot(
                row[column] / unit,
                100 * row["accuracy"],
                marker=marker,
                color=color,
                fillstyle="none" if row["is_dense"] else "full",
                linestyle="none",
                markersize=8,
                label=row["form"],
            )
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.margins(x=0.15)
        ax.set_xlabel(f"{label}, log scale")
    axes[0].set_ylabel("test accuracy (%)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=9.5)
    about = measured.about
    caption = (
        f"Median latency, timed in turns on {about['threads']} thread"
        f"{'' if about['threads'] == 1 else 's'}, {about['machine']}; {about['num_test']:,} test "
        "examples. Hollow: the dense net."
    )
    finish(figure, title=f"{measured.title}: forms", caption=caption)
    return figure


def draw_forms(
    measured: Measured, out: Path, *, formats: Sequence[str] = ("png", "svg")
) -> list[Path]:
    """Write `forms_figure` into the folder `out`, which is made, as `forms` in every format.

    Returns:
        The files written; none where no accuracy was measured.
    """
    if all(row["accuracy"] is None for row in measured.rows):
        return []
    figure = forms_figure(measured)
    return [save(figure, out / f"forms.{suffix}") for suffix in formats]
