"""`lottery transfer`."""

from functools import partial
from typing import Annotated

import typer

from lottery_ticket.cli._options import (
    DataDir,
    Device,
    Group,
    Imports,
    Jobs,
    Json,
    Keep,
    Kernels,
    PlanOnly,
    Quiet,
    RunReference,
    Set,
    StorePath,
    Threads,
)
from lottery_ticket.cli._tickets import run_tickets

__all__ = ["transfer"]


def transfer(
    run: RunReference,
    data: Annotated[
        str | None,
        typer.Option(help="Another data set; or change the recipe with --set.", show_default=False),
    ] = None,
    override: Set = None,
    store: StorePath = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    jobs: Jobs = None,
    threads: Threads = None,
    kernels: Kernels = "auto",
    group: Group = None,
    keep: Keep = "all",
    imports: Imports = None,
    plan: PlanOnly = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a run's tickets, level by level, on other data or by another recipe."""
    from lottery_ticket.spec import transfer_spec

    run_tickets(
        run,
        partial(transfer_spec, data=data, overrides=override or []),
        store=store,
        imports=imports,
        plan=plan,
        json=json,
        quiet=quiet,
        data_dir=data_dir,
        device=device,
        jobs=jobs,
        threads=threads,
        kernels=kernels,
        group=group,
        keep=keep,
    )
