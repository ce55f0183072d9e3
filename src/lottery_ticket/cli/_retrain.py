"""`lottery retrain`."""

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

__all__ = ["retrain"]


@executed("claims")
def retrain(
    run: RunReference,
    level: Annotated[
        int, typer.Option(help="The level whose ticket is trained again.", show_default=False)
    ],
    override: Set = None,
    plan: PlanOnly = False,
    json: Json = False,
    quiet: Quiet = False,
    how: Execution = PLAIN,
) -> None:
    """Train a run's ticket of one level again by another recipe, beside dense and reinit."""
    from lottery_ticket.spec import retrain_spec

    run_tickets(
        run,
        partial(retrain_spec, level=level, overrides=override or []),
        how,
        plan=plan,
        json=json,
        quiet=quiet,
    )
