"""`lottery transfer`."""

from functools import partial
from typing import Annotated

import typer

from lottery_ticket.cli._execution import PLAIN, Execution, executed
from lottery_ticket.cli._options import (
    Json,
    PlanOnly,
    Quiet,
    RunReference,
    Set,
)
from lottery_ticket.cli._tickets import run_tickets

__all__ = ["transfer"]


@executed("claims")
def transfer(
    run: RunReference,
    data: Annotated[
        str | None,
        typer.Option(help="Another data set; or change the recipe with --set.", show_default=False),
    ] = None,
    override: Set = None,
    plan: PlanOnly = False,
    json: Json = False,
    quiet: Quiet = False,
    how: Execution = PLAIN,
) -> None:
    """Train a run's tickets, level by level, on other data or by another recipe."""
    from lottery_ticket.spec import transfer_spec

    run_tickets(
        run,
        partial(transfer_spec, data=data, overrides=override or []),
        how,
        plan=plan,
        json=json,
        quiet=quiet,
    )
