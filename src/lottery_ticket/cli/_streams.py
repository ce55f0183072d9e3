"""Standard streams that are closed, full or gone; and what the operating system refuses."""

import contextlib
import errno
import os
import sys
from pathlib import Path

from lottery_ticket.errors import LotteryError

__all__ = ["check_current_folder", "flushed_output", "open_closed_streams", "refusal"]

_OF_STREAMS = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def open_closed_streams() -> None:
    """Keep the numbers of closed streams taken: the next file that is opened, a store's say, would
    get one of them, and then whatever is printed.

    What is printed to a closed standard output fails; standard error has nobody to tell.
    """
    for number, how in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # gets the lowest number that is free; workers want it, too
            os.set_inheritable(os.open(os.devnull, how), True)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  # of this process
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def check_current_folder() -> None:
    """Raises `LotteryError` if it was removed: libraries that torch loads end the process then."""
    try:
        Path.cwd()
    except OSError as error:
        raise LotteryError(
            f"the current folder cannot be found ({error.strerror}); change to one that is there"
        ) from None


def flushed_output() -> OSError | None:
    """Write what is still to be written; why that failed, and then nothing tries it again."""
    try:
        sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    except ValueError:  # someone closed it
        return None
    return None


def _is_of_output(error: OSError) -> bool:
    """Whether an error came from printing: those of files name the file."""
    return error.filename is None and error.errno in _OF_STREAMS


def refusal(error: OSError) -> str:
    """What the operating system refused, as a sentence."""
    if _is_of_output(error):
        return f"standard output: cannot be written ({error.strerror})"
    text = error.strerror or str(error)
    return text if error.filename is None else f"{error.filename}: {text}"
