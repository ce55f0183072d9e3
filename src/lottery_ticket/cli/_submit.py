"""`lottery submit` and `lottery stop`."""

from typing import TYPE_CHECKING, Annotated

import typer

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
from lottery_ticket.errors import UsageError

if TYPE_CHECKING:
    from lottery_ticket.integrations.slurm import Started, WorkerArray

__all__ = ["stop", "submit"]

_OF_WORKERS = ("jobs", "group", "device", "per_device")  # they start with these, by --slurm
_NOT_SUBMITTED = (*_OF_WORKERS, "executor", "address")


@executed("executor", "address", "track")
def submit(
    spec: SpecSource,
    override: Set = None,
    retry_failed: RetryFailed = False,
    quiet: Quiet = False,
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            "--slurm",
            metavar="KEY=VALUE",
            help="Start workers by Slurm, with this option of sbatch: --slurm partition=gpu. "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="With --slurm: how many; by default 1.", show_default=False),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            "--time",
            metavar="H:MM:SS",
            help="With --slurm: how long each may run before it goes back into the queue; as "
            "sbatch has it.",
            show_default=False,
        ),
    ] = None,
    print_sbatch: Annotated[
        bool,
        typer.Option(
            "--print-sbatch", help="With --slurm: print the batch script, and submit nothing."
        ),
    ] = False,
    how: Execution = PLAIN,
) -> None:
    """Let the workers of a store (`lottery work`) make a run, and do not wait for them.

    With --slurm it starts workers too. --jobs, --group, --device and --per-device are for these.
    """
    from lottery_ticket.api import prepare
    from lottery_ticket.experiment import finished_cells

    array = _array(slurm, workers, time, print_sbatch, how)
    arguments = how.arguments(*_NOT_SUBMITTED)
    prepared = prepare(spec, overrides=override or [], executor="workers", **arguments)
    if array is not None and print_sbatch:
        print(array.script(prepared.plan.id, prepared.store), end="")
        return
    if array is not None:
        array.check(prepared.store)
    run = prepared.submit(retry_failed=retry_failed)
    total, done = len(prepared.plan.cells), len(finished_cells(prepared.plan, prepared.store))
    started = array.start(run.id, prepared.store) if array is not None and done < total else None
    if quiet:
        print(run.id)
        return
    where = where_text(prepared.store)
    console.print(f"submitted {run.id}: {total - done} of {total} cells are left", soft_wrap=True)
    if started is not None:
        _print_started(started)
    elif array is None:
        imports = "".join(f" --import {name}" for name in prepared.context.imports)
        console.print(f"work on it:  lottery work{where}{imports}", soft_wrap=True)
    console.print(f"see how far: lottery status {run.id}{where}", soft_wrap=True)


def _array(
    slurm: list[str] | None,
    workers: int | None,
    time: str | None,
    print_sbatch: bool,
    how: Execution,
) -> "WorkerArray | None":
    """The workers that are to be started; None without --slurm.

    Raises:
        UsageError: options do not go together.
    """
    given = [name for name in _OF_WORKERS if getattr(how, name) != getattr(PLAIN, name)]
    if not slurm:
        options = {"workers": workers, "time": time, "print_sbatch": print_sbatch or None}
        given += [name for name, value in options.items() if value is not None]
        if given:
            name = given[0].replace("_", "-")
            raise UsageError(f"--{name}: goes with --slurm, which starts workers; see --help")
        return None
    from lottery_ticket.integrations.slurm import WorkerArray, parse_sbatch_options, parse_time

    if time is None:
        raise UsageError("--slurm: say with --time how long a worker may run, such as 4:00:00")
    return WorkerArray(
        num_workers=1 if workers is None else workers,
        minutes=parse_time(time),
        options=parse_sbatch_options(slurm),
        work_options=_work_options(how, given),
    )


def _work_options(how: Execution, given: list[str]) -> list[str]:
    """What `lottery work` is called with."""
    named = {f"--{name.replace('_', '-')}": str(getattr(how, name)) for name in given}
    if how.data_dir is not None:
        named["--data-dir"] = str(how.data_dir.absolute())
    options = [text for option in named.items() for text in option]
    return options + [text for name in how.imports or () for text in ("--import", name)]


def _print_started(started: "Started") -> None:
    count = len(started.jobs)
    workers = f"{count} workers" if count > 1 else "a worker"
    console.print(f"started {workers}, as Slurm's job {started.job_id}", soft_wrap=True)
    console.print(f"their logs:  {started.folder}", soft_wrap=True)


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
