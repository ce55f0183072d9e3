"""`lottery stability`."""

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from lottery_ticket.arms import TICKET
from lottery_ticket.cli._execution import CLUSTER, LABELS, PLAIN, Execution, executed
from lottery_ticket.cli._figure import check_figure, save_figure
from lottery_ticket.cli._options import (
    Font,
    Height,
    Json,
    PlanOnly,
    Set,
    SpecSource,
    Style,
    Width,
    level_numbers,
    listed,
)
from lottery_ticket.cli._print import console, name_text, print_json, print_table, where_text

if TYPE_CHECKING:
    from lottery_ticket.analysis import Stability
    from lottery_ticket.instability import Asked

__all__ = ["stability"]


@executed("claims", *CLUSTER, *LABELS, "track")
def stability(
    spec: SpecSource,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="K,K,…",
            help="Steps at which copies part, such as 0it,100it,1ep; each is a run of its own that "
            "rewinds there. By default the spec's own `rewind`.",
            show_default=False,
        ),
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(
            metavar="0,5,10",
            help="Of which levels; by default dense and the sparsest.",
            show_default=False,
        ),
    ] = None,
    arms: Annotated[
        str, typer.Option(metavar="ARM,ARM,…", help="Of which arms, such as ticket,random.")
    ] = TICKET,
    copies: Annotated[
        int, typer.Option(help="Trainings from each start, the run's own among them.")
    ] = 2,
    points: Annotated[int, typer.Option(help="Nets on each line, its ends among them.")] = 30,
    override: Set = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Also draw it: a .png, .svg or .pdf file.", show_default=False),
    ] = None,
    style: Style = None,
    width: Width = None,
    height: Height = None,
    font: Font = None,
    plan: PlanOnly = False,
    json: Json = False,
    how: Execution = PLAIN,
) -> None:
    """Whether the order of the data decides where nets end: from which step on they are stable.

    Copies of each net are trained from step k under the same mask in other orders of the data, and
    the error is measured on the straight line between each two. Ctrl-C stops it, the same command
    continues.
    """
    look = {"style": style or None, "width": width, "height": height, "font": font}
    check_figure(out, look)
    from lottery_ticket.instability import asked_of

    asked = asked_of(
        spec,
        at=listed("--at", at) or (),
        levels=level_numbers(levels) or (),
        arms=listed("--arms", arms) or (),
        copies=copies,
        points=points,
        overrides=override or [],
        **how.arguments("claims", *CLUSTER, *LABELS, "track"),
    )
    if plan:
        _print_plan(asked, json=json)
        return
    found = asked.run(progress=not json)
    if out is not None:
        _draw(found, out, {name: value for name, value in look.items() if value is not None})
    if json:
        print_json(found.to_dict())
    else:
        _print(found, asked)


def _print_plan(asked: "Asked", *, json: bool) -> None:
    """What is to be made, step by step."""
    steps = [
        {
            "step": step,
            "rewind": said,
            "run": work.id,
            "trainings": sum(cell.kind == "train" for cell in work.cells.values()),
            "copies": len(work.trained),
            "lines": len(work.measured),
            "cells": len(work.cells),
            "in the store": len(prepared.store.cell_names() & work.cells.keys()),
        }
        for step, (said, prepared, work) in asked.steps.items()
    ]
    if json:
        print_json(steps)
        return
    print_table(
        [
            [*steps[0]],
            *([f"{v:,}" if isinstance(v, int) else v for v in s.values()] for s in steps),
        ],
        num_left=3,
    )
    console.print(f"{asked.num_trainings:,} trainings in all; steps share those that are equal")


def _draw(found: "Stability", out: Path, look: dict[str, Any]) -> None:
    from lottery_ticket.plots import stability_figure

    save_figure(stability_figure(found, **look), out)


def _print(found: "Stability", asked: "Asked") -> None:
    """A line per step, arm and level, and what they say."""
    from lottery_ticket.analysis import barrier_interval_text, barrier_text, format_percent

    rows = found.table.to_dict("records")
    has_norms = any(row["interpolated_barrier"] == row["interpolated_barrier"] for row in rows)
    is_error = found.is_error
    unit = " (points)" if is_error else ""
    heads = ["step", "arm", "level", "density", "n", f"barrier{unit}", "95 % interval", "state"]
    heads += [f"on train{unit}", *([f"statistics interpolated{unit}"] if has_norms else [])]
    lines = [heads]
    for row in rows:
        lines.append(
            [
                f"{row['step']:,}", row["arm"], str(row["level"]), format_percent(row["density"]),
                str(row["n"]), barrier_text(row["barrier"], is_error),
                barrier_interval_text(row, is_error), row["state"],
                barrier_text(row["train_barrier"], is_error),
                *([barrier_text(row["interpolated_barrier"], is_error)] if has_norms else []),
            ]
        )  # fmt: skip
    print_table(lines, num_left=2, spare=[heads[8], *heads[9:]])
    console.print()
    for sentence in found.sentences:
        console.print(Text(fill(sentence, width=80)))
    console.print()
    for step, (_, prepared, _) in asked.steps.items():
        name, where = name_text(prepared.store, found.runs[step]), where_text(prepared.store)
        console.print(f"step {step:,}: lottery table {name}{where}", soft_wrap=True)
