"""The errors a user can cause; the command line prints their text alone, without a traceback."""

import difflib
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import ParamSpec, TypeVar

__all__ = [
    "DataError",
    "LotteryError",
    "StoreError",
    "TrainingError",
    "UsageError",
    "check_keywords",
    "known_keywords",
    "nearest",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")


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


class TrainingError(LotteryError):
    """A training went wrong: a loss that is not finite, say."""


def nearest(name: object, valid: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for a near miss, else the list of valid names.

    What is no text at all is no near miss.

    >>> nearest("lenet-mnst", ["lenet-mnist", "quickstart"])
    "; did you mean 'lenet-mnist'?"
    """
    names = sorted(valid)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; valid: {', '.join(names)}" if names else ""


def check_keywords(
    what: str,
    given: Iterable[str],
    known: Iterable[str],
    elsewhere: Mapping[str, str] | None = None,
) -> None:
    """Raise `UsageError` for a keyword that is not known, with the one that may have been meant.

    Args:
        what: whose keywords they are.
        given: the names that were passed.
        known: those that it takes.
        elsewhere: names that belong somewhere else → where.
    """
    known = set(known)
    for name in given:
        if name in (elsewhere or {}):
            raise UsageError(f"{what}: it takes no {name}=; {(elsewhere or {})[name]}")
        if name not in known:
            raise UsageError(f"{what}: unknown argument {name!r}{nearest(name, known)}")


def known_keywords(
    what: str, *, also: Iterable[str] = (), elsewhere: Mapping[str, str] | None = None
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """A decorator: a keyword that the function does not take is a `UsageError` with a hint.

    Args:
        what: what the error calls the function.
        also: what it takes beside its named parameters, by `**`.
        elsewhere: names that belong somewhere else → where.

    >>> @known_keywords("area")
    ... def area(width, height):
    ...     return width * height
    >>> area(2, heigth=3)
    Traceback (most recent call last):
        ...
    lottery_ticket.errors.UsageError: area: unknown argument 'heigth'; did you mean 'height'?
    """

    def decorated(function: Callable[_P, _R]) -> Callable[_P, _R]:
        code = function.__code__  # type: ignore[attr-defined]  # inspect takes long to import
        known = {*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], *also}

        @functools.wraps(function)
        def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            check_keywords(what, kwargs, known - {"self", "cls"}, elsewhere)
            return function(*args, **kwargs)

        return checked

    return decorated
