"""Standard error for what is only good to know: a pipe that is gone stops no work."""

import sys
from typing import Any

__all__ = ["StandardError"]


class StandardError:
    """A text file that writes to `sys.stderr` as it is by then; what that does not take is lost."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        """Write if that is possible; the count that `text` has."""
        try:
            stream = _stream()
            return len(text) if stream is None else stream.write(text)
        except (OSError, ValueError):  # full, or closed
            return len(text)

    def flush(self) -> None:
        """Flush if that is possible."""
        try:
            stream = _stream()
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            return

    def isatty(self) -> bool:
        """Whether a person reads it."""
        try:
            return sys.stderr is not None and sys.stderr.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        """The number of `sys.stderr`; `OSError` if it has none."""
        if sys.stderr is None:
            raise OSError("there is no standard error")
        return sys.stderr.fileno()


def _stream() -> Any:
    """`sys.stderr`; None where the process was started without one.

    While rich draws, what stands there draws in its turn: what is drawn goes to what is behind it.
    """
    return getattr(sys.stderr, "rich_proxied_file", sys.stderr)
