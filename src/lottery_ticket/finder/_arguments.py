"""What a search is given, checked before its first training: a mistake costs nothing."""

import functools
import inspect
import math
import operator
import os
import re
from collections.abc import Callable, Iterable
from numbers import Real
from pathlib import Path
from typing import Any, get_args

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.masks import Attachment
from lottery_ticket.metric_names import Direction, meant_by
from lottery_ticket.pruning import PIPELINES, Pipeline

__all__ = [
    "as_batches",
    "as_folder",
    "as_pipeline",
    "check_call",
    "check_name",
    "check_optional_call",
    "checked_functions",
    "start_step",
    "the_attachment",
    "whole_number",
    "within",
]

_LONGEST_NAME = 150

_NEVER_RUN = (
    (inspect.iscoroutinefunction, "a coroutine function"),
    (inspect.isasyncgenfunction, "an asynchronous generator"),
    (inspect.isgeneratorfunction, "a generator"),
)


def check_call(name: str, wanted: str, function: object, *args: object, **kwargs: object) -> None:
    """Raises `UsageError` unless a function of the user's can be called with these arguments.

    Args:
        name: of the argument that it was passed as.
        wanted: how it is called, to show.
        function: function, method, partial, class or object with `__call__`.
        args, kwargs: stand for what it will be called with.
    """
    if not callable(function):
        raise UsageError(f"{name}: got {type(function).__name__}, wanted a function {wanted}")
    called = function
    while isinstance(called, functools.partial):
        called = called.func
    for each in (called, getattr(called, "__call__", None)):  # noqa: B004  (an object's own)
        for is_such, kind in _NEVER_RUN:
            if is_such(each):
                raise UsageError(f"{name}: got {kind}, which would not run; wanted {wanted}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        if isinstance(function, functools.partial):
            raise UsageError(f"{name}: {error}; wanted {wanted}") from None
        return  # of some functions written in C
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(
            f"{name}: its parameters are {signature}, wanted {wanted} ({error})"
        ) from None


def checked_functions(
    train_fn: object, eval_fn: object, *, starts_later: bool, mode: str
) -> tuple[Callable[..., object], Callable[..., Any]]:
    """The two functions of the user's.

    Args:
        train_fn, eval_fn: as they were passed.
        starts_later: whether trainings start elsewhere than at step 0 of the schedule.
        mode: the search's; an `eval_fn` of an integration has a `Direction`, held against it.

    Raises:
        UsageError: one of them is none, cannot be called as it will be, or has another mode.
    """
    wanted = "train_fn(model, mask" + (", start_step=0)" if starts_later else ")")
    if not callable(train_fn):
        raise UsageError(f"train_fn: got {type(train_fn).__name__}, wanted a function {wanted}")
    given = {**start_step(train_fn, int(starts_later)), **the_attachment(train_fn, None)}
    check_call("train_fn", wanted, train_fn, None, None, **given)
    wanted = "eval_fn(model) -> float"
    if not callable(eval_fn):
        raise UsageError(f"eval_fn: got {type(eval_fn).__name__}, wanted a function {wanted}")
    check_call("eval_fn", wanted, eval_fn, None)
    _check_direction(getattr(eval_fn, "direction", None), mode)
    return train_fn, eval_fn


def _check_direction(own: object, mode: str) -> None:
    if not isinstance(own, Direction) or own.mode == mode:  # an object's attribute may be anything
        return
    better = "lower" if own.mode == "min" else "higher"
    raise UsageError(
        f"eval_fn: a {better} {own.metric!r} is taken to be better: "
        f"LotteryTicketFinder(mode={own.mode!r}); if it is not, {own.remedy}{meant_by(own.metric)}"
    )


def start_step(train_fn: Callable[..., object], step: int) -> dict[str, int]:
    """What `train_fn` is told of where its training starts.

    Raises:
        UsageError: it is not at step 0, and `train_fn` takes no `start_step`.
    """
    try:
        parameters = inspect.signature(train_fn).parameters
    except (TypeError, ValueError):
        parameters = {}
    if "start_step" in parameters:
        return {"start_step": step}
    if step == 0:
        return {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return {"start_step": step}
    raise UsageError(
        "this pipeline starts its trainings elsewhere than at step 0 of the learning-rate "
        "schedule; let train_fn take it: train_fn(model, mask, start_step=0)"
    )


def the_attachment(
    train_fn: Callable[..., object], attached: Attachment | None
) -> dict[str, Attachment | None]:
    """The mask at work, for a `train_fn` with a parameter `attached` that nobody else could mean.

    That is one without a default, or one that is annotated as an `Attachment`.
    """
    try:
        parameter = inspect.signature(train_fn).parameters.get("attached")
    except (TypeError, ValueError):
        return {}
    if parameter is None:
        return {}
    kind = parameter.annotation
    is_ours = Attachment in (kind, *get_args(kind)) or (
        isinstance(kind, str) and "Attachment" in re.split(r"\W+", kind)
    )
    return {"attached": attached} if is_ours or parameter.default is parameter.empty else {}


def check_name(name: object) -> None:
    """Raises `UsageError` unless a search can be called so, in a line; None is no name."""
    if name is None:
        return
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise UsageError(f"name: got {name!r:.100}, wanted a text in one line")
    if len(name) > _LONGEST_NAME:
        raise UsageError(f"name: got {len(name)} characters, wanted at most {_LONGEST_NAME}")


def check_optional_call(name: str, wanted: str, function: object, num_arguments: int) -> None:
    """`check_call`, unless it is None."""
    if function is not None:
        check_call(name, wanted, function, *[None] * num_arguments)


def whole_number(name: str, value: object, *, least: int | None = None) -> int:
    """A whole number, as an int of Python's.

    Raises:
        UsageError: it is something else, or less than `least`.

    >>> whole_number("seed", 3)
    3
    """
    limit = "" if least is None else f" of at least {least}"
    try:
        number = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        raise UsageError(f"{name}: got {value!r}, wanted a whole number{limit}")
    return number


def within(name: str, value: object, most: float = math.inf) -> float:
    """A finite number between 0 and `most`.

    Raises:
        UsageError: it is something else.

    >>> within("max_drop", 0.05)
    0.05
    """
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number) or not 0 <= number <= most:
        upper = f"from 0 to {most:g}" if math.isfinite(most) else "of 0 or more"
        raise UsageError(f"{name}: got {value!r}, wanted a number {upper}")
    return number


def as_pipeline(pipeline: object) -> Pipeline:
    """The pipeline that a name stands for.

    Raises:
        UsageError: an unknown name, or no pipeline.
    """
    if isinstance(pipeline, str):
        return PIPELINES[pipeline]
    if not isinstance(pipeline, Pipeline):
        names = ", ".join(repr(name) for name in PIPELINES)
        raise UsageError(f"pipeline: got {pipeline!r}, wanted one of {names}, or a Pipeline")
    return pipeline


def as_batches(batches: object) -> list[Any] | None:
    """The batches as a list, which criteria may go through several times.

    Raises:
        UsageError: they are no batches, or there is none.
    """
    if batches is None:
        return None
    if not isinstance(batches, Iterable) or isinstance(batches, str | bytes):
        raise UsageError(
            f"batches: got {type(batches).__name__}, wanted a list [(x, y), …] or a loader"
        )
    listed = list(batches)
    if not listed:
        raise UsageError("batches: there is none in it")
    return listed


def as_folder(name: str, folder: object) -> Path:
    """A folder of the user's, there or not.

    Raises:
        UsageError: it is no path.
        DataError: something that is no folder is there, or it cannot be looked at.
    """
    if not isinstance(folder, str | os.PathLike) or not (text := os.fspath(folder)):
        raise UsageError(f"{name}: got {folder!r}, wanted a folder")
    if not isinstance(text, str) or "\0" in text:
        raise UsageError(f"{name}: got {folder!r}, which is no name of a folder")
    path = Path(text)
    try:
        is_other = not path.is_dir() and (path.exists() or path.is_symlink())
    except OSError as error:
        raise DataError(f"{name}: {text[:200]}: {error.strerror}; choose another folder") from None
    if is_other:
        raise DataError(f"{name}: {path} is there and is no folder; choose another")
    return path
