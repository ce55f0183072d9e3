"""The command line: one file per command."""

import io
import sys
from typing import Annotated

import typer

from lottery_ticket import __version__
from lottery_ticket.cli._bench_export import bench_export
from lottery_ticket.cli._compare import compare
from lottery_ticket.cli._doctor import doctor
from lottery_ticket.cli._export import export
from lottery_ticket.cli._gc import gc
from lottery_ticket.cli._list import list_runs
from lottery_ticket.cli._models import models
from lottery_ticket.cli._plan import plan
from lottery_ticket.cli._plot import plot
from lottery_ticket.cli._presets import presets
from lottery_ticket.cli._print import print_error, warnings_shown
from lottery_ticket.cli._report import report
from lottery_ticket.cli._retrain import retrain
from lottery_ticket.cli._rm import rm
from lottery_ticket.cli._run import run
from lottery_ticket.cli._table import table
from lottery_ticket.cli._transfer import transfer
from lottery_ticket.cli._verdict import verdict
from lottery_ticket.cli._verify import verify
from lottery_ticket.errors import LotteryError

__all__ = ["app", "main"]


def _version(asked: bool) -> None:
    if asked:
        print(f"lottery-ticket {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="lottery",
    help="Find, prove and ship winning lottery tickets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _lottery(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    pass


app.command("run")(run)
app.command("plan")(plan)
app.command("presets")(presets)
app.command("models")(models)
app.command("list")(list_runs)
app.command("table")(table)
app.command("verdict")(verdict)
app.command("compare")(compare)
app.command("plot")(plot)
app.command("report")(report)
app.command("export")(export)
app.command("bench-export")(bench_export)
app.command("transfer")(transfer)
app.command("retrain")(retrain)
app.command("verify")(verify)
app.command("rm")(rm)
app.command("gc")(gc)
app.command("doctor")(doctor)


def main() -> None:
    """Entry point: errors a user can cause are printed as text; 2 for usage, 1 for failure."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a pipe or log that knows no "±"
    try:
        with warnings_shown():
            app(prog_name="lottery")  # however it was started
    except LotteryError as error:
        print_error(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print_error("stopped; the same command continues")
        sys.exit(130)
