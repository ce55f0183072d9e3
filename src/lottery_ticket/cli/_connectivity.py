"""`lottery connectivity`."""

from textwrap import fill
from typing import Annotated

import typer
from rich.text import Text

from lottery_ticket.arms import TICKET
from lottery_ticket.cli._execution import CLUSTER, LABELS, PLAIN, Execution, executed
from lottery_ticket.cli._options import Json, RunReference
from lottery_ticket.cli._print import console, print_json, print_table

__all__ = ["connectivity"]


@executed("claims", "kernels", "group", "keep", *CLUSTER, *LABELS, "track")
def connectivity(
    run: RunReference = "last",
    arm: Annotated[str, typer.Option(help="Of which arm.")] = TICKET,
    points: Annotated[int, typer.Option(help="Nets on each line, its ends among them.")] = 30,
    json: Json = False,
    how: Execution = PLAIN,
) -> None:
    """Whether nets of successive levels lie in one valley; nothing is trained.

    The error is measured on the straight line between the trained nets of levels L − 1 and L, and
    stands beside whether the sparser one matches dense.
    """
    from lottery_ticket.analysis import barrier_interval_text, barrier_text, format_percent
    from lottery_ticket.instability import level_connectivity

    given = how.arguments("claims", "kernels", "group", "keep", *CLUSTER, *LABELS, "track")
    found = level_connectivity(run, arm=arm, points=points, progress=not json, **given)
    if json:
        print_json(found.to_dict())
        return
    rows = found.table.to_dict("records")
    is_error = any(row["state"] for row in rows)
    unit = " (points)" if is_error else ""
    heads = ["levels", "density", "n", f"barrier{unit}", "95 % interval", "state", "the sparser"]
    lines = [
        [
            f"{row['level'] - 1}–{row['level']}", format_percent(row["density"]), str(row["n"]),
            barrier_text(row["barrier"], is_error), barrier_interval_text(row, is_error),
            row["state"], row["matches"] or "–",
        ]
        for row in rows
    ]  # fmt: skip
    print_table([heads, *lines], title=f"{found.run}: {found.arm}")
    console.print()
    console.print(Text(fill(found.sentence, width=80)))
