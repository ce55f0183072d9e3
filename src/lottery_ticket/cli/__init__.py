"""The command line: one file per command.

The commands are loaded when one is called, so that a Ctrl-C while they load is heard, too.
"""

from typing import TYPE_CHECKING, Any

__all__ = ["app", "main"]

if TYPE_CHECKING:
    from lottery_ticket.cli._app import app


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lottery_ticket.cli._app import app

    return app


def main() -> None:
    """Entry point: errors a user can cause are printed as text; 2 for usage, 1 for failure."""
    try:
        from lottery_ticket.cli._app import main as called

        called()
    except KeyboardInterrupt:  # while it loaded, or ended
        import signal
        import sys

        signal.signal(signal.SIGINT, signal.SIG_DFL)  # one more ends the process without a word
        sys.stderr.write("error: stopped; the same command continues\n")
        sys.exit(130)
