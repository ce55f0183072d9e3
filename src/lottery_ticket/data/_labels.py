"""What y means: numbers to predict, or classes, and then which and how many."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lottery_ticket.errors import LotteryError, UsageError

__all__ = ["ClassLabels", "Fail", "Said", "class_labels", "is_regression", "missing_classes"]

Fail = Callable[[str, str], LotteryError]  # what is wrong, what to do → the error

RELABEL = "relabel=True (of a run: --set data.relabel=true)"
REMEDY = (
    f"Number the classes 0, 1, 2, … in integers of shape (N,), or say {RELABEL}, which numbers "
    "those that are there; for regression save y as floats."
)
_SHOWN = 6


@dataclass(frozen=True)
class Said:
    """What the user says of y, beside y itself.

    Args:
        task: "classification" or "regression"; empty where y says it.
        num_classes: how many classes there are, whichever occur; 0 where y says it.
        relabel: whether the classes are numbered anew, in the order of their values.

    Raises:
        UsageError: there is no such task, fewer than two classes, or one has no effect.
    """

    task: str = ""
    num_classes: int = 0
    relabel: bool = False

    def __post_init__(self) -> None:
        if self.task not in ("", "classification", "regression"):
            raise UsageError(f"task is classification or regression; got {self.task!r}")
        if self.num_classes and self.num_classes < 2:
            raise UsageError(f"num_classes is 2 or more; got {self.num_classes}")
        if self.task == "regression" and (self.num_classes or self.relabel):
            raise UsageError("num_classes and relabel have no effect on a regression")


@dataclass(frozen=True, eq=False)
class ClassLabels:
    """Classes as numbers.

    Args:
        y: split → int64 `(N,)`.
        num_classes: how many there are.
        values: what each class was called, if that was not its number.
    """

    y: Mapping[str, np.ndarray]
    num_classes: int
    values: tuple[Any, ...] | None = None


def is_regression(y: Mapping[str, np.ndarray], said: Said, fail: Fail) -> bool:
    """Whether y are numbers to predict.

    Integers and text are classes and floats are numbers, unless `said` says otherwise; floats that
    could as well be classes want it said.

    Args:
        y: split → array, as stored.
        said: what the user says of it.
        fail: makes the error.
    """
    kinds = sorted({_kind(array) for array in y.values()}, reverse=True)
    if len(kinds) > 1:
        raise fail(
            f"y is {' in one split and '.join(kinds)} in another",
            "Number the classes 0, 1, 2, … in integers, in all; for regression save y as floats.",
        )
    if said.task:
        if said.task == "regression" and kinds == ["text"]:
            raise fail(
                "y is text, which cannot be predicted as a number",
                f"Use the loss cross_entropy, and say {RELABEL}.",
            )
        return said.task == "regression"
    if kinds != ["floats"] or said.relabel or said.num_classes:
        return False
    if _could_be_classes(y):
        shown, task = _listed(_values(y)), "task='classification' (--set data.task=classification)"
        raise fail(
            f"y holds whole numbers as floats ({shown}), which may be classes or a regression",
            f"Say {RELABEL if _width(y) else task} or task='regression', or save classes as "
            "integers.",
        )
    return True


def class_labels(y: Mapping[str, np.ndarray], said: Said, fail: Fail) -> ClassLabels:
    """Number the classes.

    Args:
        y: split → array, as stored, `train` among them.
        said: how many there are, whether to number them anew.
        fail: makes the error.
    """
    one_hot = _width(y) if said.relabel else 0
    flat = {part: _flat(part, array, one_hot, fail) for part, array in y.items()}
    if said.relabel and not one_hot:
        return _relabelled(flat, said, fail)
    numbers = {part: _whole(part, array, fail) for part, array in flat.items()}
    num_classes = said.num_classes or one_hot or _counted(numbers, fail)
    largest = max(int(array.max()) for array in numbers.values())
    if largest >= num_classes:
        raise fail(f"labels go up to {largest}, num_classes is {num_classes}", REMEDY)
    return ClassLabels({p: a.astype(np.int64) for p, a in numbers.items()}, num_classes)


def _counted(numbers: Mapping[str, np.ndarray], fail: Fail) -> int:
    """How many classes the labels themselves speak of: all from 0 to the largest."""
    num_classes = 1 + max(int(array.max()) for array in numbers.values())
    if num_classes < 2:
        raise fail(
            "all labels are 0, wanted at least two classes",
            "Number the classes 0, 1, 2, …, and bring examples of two or more.",
        )
    if num_classes > max(2, len(numbers["train"])):
        raise fail(
            f"labels go up to {num_classes - 1} in {len(numbers['train'])} training examples, "
            "wanted no more classes than examples",
            REMEDY,
        )
    values = _values(numbers)
    if len(values) < num_classes:
        absent = np.setdiff1d(np.arange(num_classes), values)
        raise fail(
            f"labels are {_listed(values)}: of classes 0 to {num_classes - 1} there is no example "
            f"of {_listed(absent)}",
            f"{REMEDY} If these are {num_classes} classes, say num_classes={num_classes}.",
        )
    return num_classes


def missing_classes(y: np.ndarray, train: np.ndarray) -> list[int]:
    """The classes of y that no training example has.

    Example:
        >>> missing_classes(np.array([0, 2, 2]), np.array([0, 1]))
        [2]
    """
    return np.setdiff1d(y, train).tolist()


def _relabelled(flat: Mapping[str, np.ndarray], said: Said, fail: Fail) -> ClassLabels:
    values = _values(flat)
    most = said.num_classes or max(2, len(flat["train"]))
    if not 2 <= len(values) <= most:
        raise fail(
            f"y has {len(values)} classes ({_listed(values)}), wanted 2 to {most}",
            "Bring examples of every class, or say the right num_classes.",
        )
    numbers = {part: np.searchsorted(values, array) for part, array in flat.items()}
    called = tuple(
        v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values.tolist()
    )
    is_same = called == tuple(range(len(called))) and values.dtype.kind in "iu"
    return ClassLabels(numbers, said.num_classes or len(values), None if is_same else called)


def _flat(part: str, array: np.ndarray, one_hot: int, fail: Fail) -> np.ndarray:
    """`(N,)` of `(N,)`, `(N, 1)` or one-hot `(N, K)`."""
    if one_hot:
        return array.argmax(1)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        one_class = "Give each example one class: y (N,), such as y.argmax(1)."
        is_one_hot = _is_one_hot(array)
        raise fail(
            f"{part} labels have shape {array.shape}{', one-hot' * is_one_hot}, wanted (N,)",
            REMEDY if is_one_hot else one_class,
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise fail(f"the {part} split holds NaN or infinity in y", "Remove those examples.")
    if array.dtype.kind == "f" and len(odd := array[array != np.floor(array)]):
        problem = fail(f"{part} y holds {odd[0]}, which is no number of a class", "")
        raise UsageError(
            f"{problem}For a regression use the loss mse (from Python, task='regression')."
        )
    return array


def _whole(part: str, array: np.ndarray, fail: Fail) -> np.ndarray:
    if _kind(array) == "text":
        raise fail(f"{part} labels are text ({_listed(np.unique(array))})", REMEDY)
    if int(array.min()) < 0:
        raise fail(f"{part} labels go down to {int(array.min())}", REMEDY)
    return array


def _could_be_classes(y: Mapping[str, np.ndarray]) -> bool:
    """Whole numbers that come again and again, or one-hot rows."""
    if _width(y):
        return True
    if any(array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1) for array in y.values()):
        return False
    flat = np.concatenate([array.reshape(-1) for array in y.values()])
    if not np.isfinite(flat).all() or (flat != np.floor(flat)).any():
        return False
    return 2 <= len(np.unique(flat)) <= len(flat) / 2


def _width(y: Mapping[str, np.ndarray]) -> int:
    """K where all are one-hot `(N, K)`, else 0."""
    if not all(_is_one_hot(array) for array in y.values()):
        return 0
    widths = {array.shape[1] for array in y.values()}
    return widths.pop() if len(widths) == 1 else 0


def _is_one_hot(array: np.ndarray) -> bool:
    if array.ndim != 2 or array.shape[1] < 2 or _kind(array) == "text":
        return False
    ones, zeros = array == 1, array == 0
    return bool((ones | zeros).all() and (ones.sum(1) == 1).all())


def _kind(array: np.ndarray) -> str:
    return {"f": "floats", "U": "text", "S": "text"}.get(array.dtype.kind, "integers")


def _values(y: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate([array.reshape(-1) for array in y.values()]))


def _listed(values: np.ndarray) -> str:
    shown = [repr(value) for value in values[:_SHOWN].tolist()]
    more = [f"… {values[-1].item()!r}"] if len(values) > _SHOWN else []
    return ", ".join(shown + more)
