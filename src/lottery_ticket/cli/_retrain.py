"""`lottery retrain`."""

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

__all__ = ["retrain"]


def retrain(
    run: RunReference,
    level: Annotated[
        int, typer.Option(help="The level whose ticket is trained again.", show_default=False)
    ],
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
    """Train a run's ticket of one level again by another recipe, beside dense and reinit."""
    from lottery_ticket.spec import retrain_spec

    run_tickets(
        run,
        partial(retrain_spec, level=level, overrides=override or []),
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
