"""`lottery submit` and `lottery stop`."""

from lottery_ticket.cli._execution import PLAIN, Execution, executed
from lottery_ticket.cli._options import (
    Quiet,
    RetryFailed,
    RunReference,
    Set,
    SpecSource,
    StorePath,
    open_store,
)
from lottery_ticket.cli._print import console, where_text

__all__ = ["stop", "submit"]


@executed("jobs", "group", "device", "executor", "address", "per_device")
def submit(
    spec: SpecSource,
    override: Set = None,
    retry_failed: RetryFailed = False,
    quiet: Quiet = False,
    how: Execution = PLAIN,
) -> None:
    """Let the workers of a store (`lottery work`) make a run, and do not wait for them."""
    from lottery_ticket.api import prepare
    from lottery_ticket.experiment import finished_cells

    arguments = how.arguments("jobs", "group", "device", "executor", "address", "per_device")
    prepared = prepare(spec, overrides=override or [], executor="workers", **arguments)
    run = prepared.submit(retry_failed=retry_failed)
    if quiet:
        print(run.id)
        return
    total, done = len(prepared.plan.cells), len(finished_cells(prepared.plan, prepared.store))
    where = where_text(prepared.store)
    imports = "".join(f" --import {name}" for name in prepared.context.imports)
    console.print(f"submitted {run.id}: {total - done} of {total} cells are left", soft_wrap=True)
    console.print(f"work on it:  lottery work{where}{imports}", soft_wrap=True)
    console.print(f"see how far: lottery status {run.id}{where}", soft_wrap=True)


def stop(
    run: RunReference,
    store: StorePath = None,
) -> None:
    """Ask all who make a run to stop, wherever they are; what is in progress is kept."""
    from lottery_ticket.workers import stop as stop_run

    opened = open_store(store)
    record = stop_run(run, store=opened)
    console.print(
        f"asked those who make {record.id} to stop; it goes on when it is run or submitted again",
        soft_wrap=True,
    )
