"""What suits where standard error goes."""

from lottery_ticket.progress._log import LogObserver
from lottery_ticket.progress._notebook import NotebookObserver, is_notebook
from lottery_ticket.progress._terminal import BarObserver
from lottery_ticket.progress._watching import SilentObserver, console_of
from lottery_ticket.streams import StandardError

__all__ = ["observer"]


def observer(*, is_quiet: bool = False) -> "SilentObserver":
    """What suits standard error: bars on a terminal or in a notebook, lines in a log, or nothing.

    A context manager; the run goes inside.
    """
    if is_quiet:
        return SilentObserver()
    if is_notebook():
        return NotebookObserver()
    console = console_of()
    if console.is_terminal:
        return BarObserver(console)
    return LogObserver(lambda line: print(line, file=StandardError(), flush=True))
