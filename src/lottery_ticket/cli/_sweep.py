"""`lottery sweep`."""

import enum
import sys
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from lottery_ticket.cli._execution import CLUSTER, LABELS, PLAIN, Execution, executed
from lottery_ticket.cli._figure import check_figure, save_figure
from lottery_ticket.cli._options import (
    Font,
    Height,
    Json,
    Margin,
    PlanOnly,
    Set,
    SpecSource,
    Style,
    Width,
)
from lottery_ticket.cli._print import (
    console,
    name_text,
    print_json,
    print_table,
    where_text,
)
from lottery_ticket.errors import UsageError

if TYPE_CHECKING:
    from lottery_ticket.analysis import Metric, Sweep
    from lottery_ticket.tuning import Asked

__all__ = ["sweep"]


class Format(enum.StrEnum):
    """How a sweep is printed."""

    text = "text"
    json = "json"
    csv = "csv"


@executed("claims", *CLUSTER, *LABELS, "track")
def sweep(
    spec: SpecSource,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            metavar="KEY=V,V,…",
            help="A key of the spec and its values: --grid train.lr=0.01,0.03. Repeatable: all "
            "combinations. By default the spec's own `sweep`.",
            show_default=False,
        ),
    ] = None,
    override: Set = None,
    margin: Margin = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Also draw it: a .png, .svg or .pdf file.", show_default=False),
    ] = None,
    style: Style = None,
    width: Width = None,
    height: Height = None,
    font: Font = None,
    plan: PlanOnly = False,
    format: Annotated[
        Format, typer.Option(help="How to print it; csv has a row per training.")
    ] = Format.text,
    json: Json = False,
    how: Execution = PLAIN,
) -> None:
    """Train an experiment over a grid of recipes, each arm at its own best point, and judge.

    Points are chosen on validation, by the mean over replicates; controls under the ticket's masks
    are tuned under those of its best point. The verdict is made on test. Ctrl-C stops it, the same
    command continues.
    """
    look = {"style": style or None, "width": width, "height": height, "font": font}
    check_figure(out, look)
    if json and format is Format.csv:
        raise UsageError("--json and --format csv: leave one of them out")
    if plan and format is Format.csv:
        raise UsageError("--format csv: has no effect with --plan")
    from lottery_ticket.tuning import asked_of, made

    asked = asked_of(
        spec,
        grid,
        overrides=override or [],
        margin=margin,
        **how.arguments("claims", *CLUSTER, *LABELS, "track"),
    )
    is_json = json or format is Format.json
    if plan:
        _print_plan(asked, json=is_json)
        return
    found = made(asked, progress=not is_json and format is Format.text)
    if out is not None:
        _draw(found, out, {name: value for name, value in look.items() if value is not None})
    if is_json:
        print_json(found.to_dict())
    elif format is Format.csv:
        found.table.to_csv(sys.stdout, index=False, lineterminator="\n")
    else:
        _print(found, asked)


def _print_plan(asked: "Asked", *, json: bool) -> None:
    """What is to be trained, point by point."""
    from lottery_ticket.progress import time_text
    from lottery_ticket.tuning import planned as planned_of

    planned = planned_of(asked)
    if json:
        print_json(planned.to_dict())
        return
    rows = [[*planned.points[0]]]
    for point in planned.points:
        rows.append([f"{v:,}" if isinstance(v, int) else str(v) for v in point.values()])
    print_table(rows, num_left=2)
    shared = planned.num_asked - planned.num_trainings
    console.print(
        f"\n{planned.num_trainings:,} trainings of {len(planned.points)} points"
        f"{f' ({shared:,} more are shared between points)' if shared > 0 else ''}, "
        f"{planned.num_finished:,} in the store; {planned.steps_to_train:,} steps to train"
    )
    if not planned.is_chosen and asked.has_controls:
        console.print(
            "controls: under the masks of the ticket's best points, which are not known yet"
        )
    if planned.steps_to_train:
        jobs = asked.prepared[0].jobs
        at_a_time = f", {jobs} at a time" if jobs > 1 else ""
        console.print(f"about {time_text(planned.seconds)} on this machine{at_a_time}")


def _draw(found: "Sweep", out: Path, look: dict[str, Any]) -> None:
    from lottery_ticket.plots import grid_figure

    save_figure(grid_figure(found, **look), out)


def _print(found: "Sweep", asked: "Asked") -> None:
    """A line per arm and level, what they say, and where the runs are."""
    n = found.verdict.num_replicates
    title = (
        f"{found.metric.short}, each arm at its best point; mean over {n} replicate{'s' * (n != 1)}"
    )
    print_table(_choice(found), title=title, spare=["95 % interval", "of"])
    console.print("of: among how many different points; dense: level 0 of all arms")
    console.print()
    said = (found.verdict.sentence, found.fairness, found.edges, found.verdict.tested)
    for sentence in filter(None, said):
        console.print(Text(fill(sentence, width=80)))
    console.print()
    where = where_text(asked.store)
    for label, run in zip(found.labels, found.runs, strict=True):
        name = name_text(asked.store, run)
        console.print(f"{label}: lottery table {name}{where}", soft_wrap=True)


def _choice(found: "Sweep") -> list[list[str]]:
    """Where each arm stands at each level, and what it comes to there; the header first."""
    from lottery_ticket.analysis import format_percent
    from lottery_ticket.spec import short_names, value_text

    metric, test, keys = found.metric, found.verdict.metric, [*found.grid]
    unit = f" ({metric.unit})" if metric.unit else ""
    heads = ["arm", "level", "density", *short_names(keys).values(), f"validation{unit}", "of"]
    lines = [[*heads, f"test{unit}", "95 % interval"]]
    for row in found.choice.to_dict("records"):
        low, high = (_number(row[f"test_{end}"], test) for end in ("low", "high"))
        lines.append(
            [
                row["arm"], str(row["level"]), format_percent(row["density"]),
                *(value_text(row[key], key) for key in keys),
                _number(row["mean"], metric), str(row["num_points"]),
                _number(row["test"], test), "–" if low == "–" else f"{low} to {high}",
            ]
        )  # fmt: skip
    return lines


def _number(value: float, metric: "Metric") -> str:
    if value != value:
        return "–"
    return f"{metric.scale * value:.2f}" if metric.unit == "%" else f"{value:.4g}"
