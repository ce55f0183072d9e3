"""The commands, and how what they raise is printed."""

import io
import signal
import sys
import threading
from typing import Annotated

import typer

from lottery_ticket import __version__
from lottery_ticket.cli._bench_export import bench_export
from lottery_ticket.cli._cite import cite
from lottery_ticket.cli._classes import classes
from lottery_ticket.cli._compare import compare
from lottery_ticket.cli._connectivity import connectivity
from lottery_ticket.cli._doctor import doctor
from lottery_ticket.cli._edit import edit
from lottery_ticket.cli._export import export
from lottery_ticket.cli._gc import gc
from lottery_ticket.cli._init import init
from lottery_ticket.cli._list import list_runs
from lottery_ticket.cli._models import models
from lottery_ticket.cli._plan import plan
from lottery_ticket.cli._plot import plot
from lottery_ticket.cli._presets import presets
from lottery_ticket.cli._print import print_error, warnings_shown
from lottery_ticket.cli._probe import evaluate, probe
from lottery_ticket.cli._pull import merge, pull, push
from lottery_ticket.cli._report import report
from lottery_ticket.cli._retrain import retrain
from lottery_ticket.cli._rm import rm
from lottery_ticket.cli._run import run
from lottery_ticket.cli._runs import runs
from lottery_ticket.cli._stability import stability
from lottery_ticket.cli._status import status
from lottery_ticket.cli._streams import (
    check_current_folder,
    flushed_output,
    open_closed_streams,
    refusal,
)
from lottery_ticket.cli._submit import stop, submit
from lottery_ticket.cli._sweep import sweep
from lottery_ticket.cli._table import table
from lottery_ticket.cli._track import track
from lottery_ticket.cli._transfer import transfer
from lottery_ticket.cli._unknown_option import TakesSet
from lottery_ticket.cli._verdict import verdict
from lottery_ticket.cli._verify import verify
from lottery_ticket.cli._watch import watch
from lottery_ticket.cli._work import work
from lottery_ticket.errors import LotteryError

__all__ = ["app", "main"]

_INTERRUPTED = 130


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


app.command("init")(init)
app.command("run", cls=TakesSet)(run)
app.command("plan", cls=TakesSet)(plan)
app.command("submit", cls=TakesSet)(submit)
app.command("work")(work)
app.command("status")(status)
app.command("watch")(watch)
app.command("stop")(stop)
app.command("presets")(presets)
app.command("models")(models)
app.command("list")(list_runs)
app.command("runs")(runs)
app.command("edit")(edit)
app.command("table")(table)
app.command("verdict")(verdict)
app.command("classes")(classes)
app.command("compare")(compare)
app.command("plot")(plot)
app.command("report")(report)
app.command("cite")(cite)
app.command("track")(track)
app.command("export")(export)
app.command("bench-export")(bench_export)
app.command("transfer", cls=TakesSet)(transfer)
app.command("retrain", cls=TakesSet)(retrain)
app.command("sweep", cls=TakesSet)(sweep)
app.command("stability", cls=TakesSet)(stability)
app.command("connectivity")(connectivity)
app.command("evaluate")(evaluate)
app.command("probe")(probe)
app.command("pull")(pull)
app.command("push")(push)
app.command("merge")(merge)
app.command("verify")(verify)
app.command("rm")(rm)
app.command("gc")(gc)
app.command("doctor")(doctor)


def main() -> None:
    """Call a command; ends the process."""
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a pipe or log that knows no "±"
    code = _called()
    lost = flushed_output()
    if lost is not None and not code:
        code = 1
        if not isinstance(lost, BrokenPipeError):  # who reads a pipe no more knows that
            print_error(refusal(lost))
    sys.exit(code)


def _called() -> int:
    """The exit code of the command."""
    try:
        check_current_folder()
        with warnings_shown():
            app(prog_name="lottery")  # however it was started
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            _end_at_once_by_the_next()
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except LotteryError as error:
        print_error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _end_at_once_by_the_next()
        print_error("stopped; the same command continues")
        return _INTERRUPTED
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # who reads a pipe no more knows that
            print_error(refusal(error))
        return 1
    return 0


def _end_at_once_by_the_next() -> None:
    """After a Ctrl-C one more ends the process without a word, not with a traceback of its end."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
