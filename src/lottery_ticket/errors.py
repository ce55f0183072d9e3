"""The errors a user can cause; the command line prints their text alone, without a traceback."""

import difflib
from collections.abc import Iterable

__all__ = [
    "DamagedError",
    "DataError",
    "LotteryError",
    "StoreError",
    "TrainingError",
    "UsageError",
    "nearest",
]


class LotteryError(Exception):
    """Something failed that the user should read about; the command line exits with 1."""

    exit_code = 1


class UsageError(LotteryError, ValueError):
    """The user asked for something that cannot be; the command line exits with 2."""

    exit_code = 2


class DataError(LotteryError):
    """A data file is missing, damaged or does not fit."""


class StoreError(LotteryError):
    """The store cannot be read or written, or one of its files is damaged."""


class DamagedError(StoreError):
    """A file of the store was read, and is not as it was written: it can be made anew."""


class TrainingError(LotteryError):
    """A training went wrong: a loss that is not finite, say."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for a near miss, else the list of valid names.

    >>> nearest("lenet-mnst", ["lenet-mnist", "quickstart"])
    "; did you mean 'lenet-mnist'?"
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; valid: {', '.join(names)}" if names else ""
