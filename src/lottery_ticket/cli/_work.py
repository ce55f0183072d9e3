"""`lottery work`."""

import threading
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery_ticket.cli._execution import LABELS, PLAIN, Execution, executed
from lottery_ticket.cli._options import Json
from lottery_ticket.cli._print import console, print_error, print_json
from lottery_ticket.errors import UsageError

if TYPE_CHECKING:
    from lottery_ticket.experiment import Observer, Worked

__all__ = ["work"]


_NOT_OF_WORKERS = (
    *("claims", "kernels", "keep", "threads", "executor", "address"),
    *(*LABELS, "track"),
)


@executed(*_NOT_OF_WORKERS)
def work(
    runs: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="ID", help="Only this run. Repeatable.", show_default=False),
    ] = None,
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="End when nothing is left (as by default).")
    ] = False,
    forever: Annotated[
        bool, typer.Option("--forever", help="Wait for more when nothing is left.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line for each cell.")] = False,
    json: Json = False,
    how: Execution = PLAIN,
) -> None:
    """Make cells of the runs that were submitted to a store, beside any number of other workers.

    Ctrl-C gives back what is in progress, with a checkpoint; others, or this one later, continue.
    """
    from lottery_ticket.workers import work as work_on

    if until_empty and forever:
        raise UsageError("--until-empty and --forever: choose one")
    arguments = how.arguments(*_NOT_OF_WORKERS)
    worked = work_on(
        runs=runs or (), is_forever=forever, observer=_log(is_quiet=quiet or json), **arguments
    )
    if json:
        print_json(vars(worked))
    else:
        _print(worked)
    if worked.is_stopped:
        raise typer.Exit(130)
    if worked.refused or any(worked.failures.values()):
        raise typer.Exit(1)


def _print(worked: "Worked") -> None:
    from lottery_ticket.progress import time_text

    for failures in worked.failures.values():
        for message in failures.values():
            print_error(message)
    for run_id, message in worked.refused.items():
        print_error(f"{run_id} was left to others: {message}")
    made = {run: count for run, count in worked.num_made.items() if count}
    runs = ", ".join(f"{count} of {run}" for run, count in made.items())
    total = f"{sum(made.values())} cells made in {time_text(worked.seconds)}"
    console.print(f"{total}{f' ({runs})' if made else ''}", soft_wrap=True)
    if not (worked.num_made or worked.refused or worked.is_stopped):
        console.print("nothing was submitted; `lottery submit SPEC` does that")


def _log(*, is_quiet: bool) -> "Observer":
    """A line on standard error for each cell, as a log has it."""
    from lottery_ticket.experiment import Cell, Observer, Outcome, Work
    from lottery_ticket.streams import StandardError

    class Log(Observer):
        def __init__(self) -> None:
            self.began: dict[str, float] = {}
            self.lock = threading.Lock()

        def begin(self, plan: Work, finished: set[str], store: Any) -> None:
            left = len(plan.cells) - len(finished)
            self.say(f"{plan.id}: {left} of {len(plan.cells)} cells are left")

        def started(self, cell: Cell) -> None:
            self.began[cell.name] = time.monotonic()

        def ended(self, cell: Cell, outcome: Outcome) -> None:
            seconds = time.monotonic() - self.began.pop(cell.name, time.monotonic())
            if outcome.status == "made" and cell.num_steps:
                self.say(f"made {cell.title} in {seconds:.1f} s")
            elif outcome.status in ("stopped", "lost", "failed"):
                self.say(f"{outcome.status}: {cell.title}")

        def note(self, message: str) -> None:
            self.say(message, is_note=True)

        def say(self, message: str, *, is_note: bool = False) -> None:
            if is_note or not is_quiet:
                with self.lock:
                    stamp = time.strftime("%H:%M:%S")
                    print(f"{stamp} {message}", file=StandardError(), flush=True)

    return Log()
