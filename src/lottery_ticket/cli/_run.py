"""`lottery run`."""

from textwrap import fill
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from lottery_ticket.arms import TICKET
from lottery_ticket.cli._execution import PLAIN, Execution, executed
from lottery_ticket.cli._options import (
    Quiet,
    RetryFailed,
    Set,
    SpecSource,
    UntilDecided,
)
from lottery_ticket.cli._print import console, name_text, print_error, where_text
from lottery_ticket.cli._table import print_summary
from lottery_ticket.errors import UsageError

if TYPE_CHECKING:
    from lottery_ticket.api import Prepared, RunResult
    from lottery_ticket.experiment import RunOutcome

__all__ = ["run", "run_prepared"]


@executed()
def run(
    spec: SpecSource,
    override: Set = None,
    until_decided: UntilDecided = False,
    retry_failed: RetryFailed = False,
    quiet: Quiet = False,
    how: Execution = PLAIN,
) -> None:
    """Run an experiment, or what is left of it; Ctrl-C stops it, the same command continues."""
    from lottery_ticket.api import prepare

    staged = {"until_decided": until_decided}
    prepared = prepare(spec, overrides=override or [], **staged, **how.arguments())
    if retry_failed and not prepared.is_for_workers:
        raise UsageError("--retry-failed: goes with --executor workers; a run here always does")
    run_prepared(prepared, quiet=quiet, retry_failed=retry_failed)


def run_prepared(prepared: "Prepared", *, quiet: bool, retry_failed: bool = False) -> None:
    """Run what was prepared, and say how it went; the exit code says so too."""
    prepared.store.open_for_writing()
    with prepared.store.in_use(prepared.plan.id):  # until its results are shown
        result = prepared.run(progress=not quiet, retry_failed=retry_failed)
        outcome = result.outcome
        assert outcome is not None
        if quiet:
            print(result.id)
        else:
            _report_if_possible(prepared, result, outcome)
    _exit(prepared, outcome)


def _report_if_possible(prepared: "Prepared", result: "RunResult", outcome: "RunOutcome") -> None:
    """Ctrl-C on `lottery run … | tee log` ends `tee`, too: that it was stopped is said then."""
    try:
        _report(prepared, result, outcome)
    except (OSError, SystemExit):
        if outcome.is_complete:
            raise


def _report(prepared: "Prepared", result: "RunResult", outcome: "RunOutcome") -> None:
    from lottery_ticket.progress import time_text

    if result.rows:
        print_summary(result)
        console.print()
    if outcome.is_complete and any(row["arm"] == TICKET for row in result.rows):
        for text in _judged(result):
            console.print(Text(fill(text, width=80)))
        console.print()
    made = f"{outcome.num_made} cells made in {time_text(outcome.seconds)}"
    found = f", {outcome.num_found} found in the store" if outcome.num_found else ""
    jobs = f", jobs {prepared.jobs}" if prepared.executor is None else ""
    by = "workers" if prepared.is_for_workers else f"device {prepared.context.device}{jobs}"
    console.print(f"{made}{found}; {by}")
    where, name = where_text(prepared.store), name_text(prepared.store, result.id)
    console.print(f"results: {prepared.store.location} (run {result.id})", soft_wrap=True)
    console.print(f"verdict: lottery verdict {name}{where}", soft_wrap=True)
    console.print(f"figures: lottery plot {name} --out figures{where}", soft_wrap=True)


def _judged(result: "RunResult") -> tuple[str, ...]:
    """The verdict, or why there is none; where the results lie is said in any case."""
    try:
        found = result.verdict()
    except UsageError as error:
        return (str(error),)
    return found.sentence, found.tested


def _exit(prepared: "Prepared", outcome: "RunOutcome") -> None:
    for message in outcome.failures.values():
        print_error(message)
    if outcome.num_blocked:
        others = "; others were" if outcome.num_made else ""
        print_error(f"{outcome.num_blocked} cells could not be made after that{others}")
    run, where = outcome.run_id, where_text(prepared.store)
    if outcome.failures and prepared.is_for_workers:
        print_error("workers try these again when they are asked to: --retry-failed")
    if outcome.is_stopped and prepared.is_stopped:
        print_error(f"{run} was asked to stop; the same command continues")
        raise typer.Exit(130)
    if outcome.is_stopped and prepared.is_for_workers:
        print_error(
            f"not watched any more; workers go on with it (lottery status {run}{where}), until "
            f"they are asked to stop (lottery stop {run}{where})"
        )
        raise typer.Exit(130)
    if outcome.is_stopped:
        print_error("stopped; what was in progress is kept, and the same command continues")
        raise typer.Exit(130)
    if not outcome.is_complete:
        raise typer.Exit(1)
