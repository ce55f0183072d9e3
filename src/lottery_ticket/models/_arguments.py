"""What a model's arguments have to be, said in one way."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import floor, isfinite
from numbers import Integral, Real

from lottery_ticket.errors import UsageError

__all__ = ["check_choice", "check_counts", "check_flag", "check_widths", "scaled_width"]


def check_counts(model: str, **counts: object) -> None:
    """Each argument is a whole number of at least 1.

    >>> check_counts("LeNet5", num_classes=0)
    Traceback (most recent call last):
    lottery_ticket.errors.UsageError: LeNet5: num_classes is 0; wanted a whole number from 1 on
    """
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise UsageError(f"{model}: {name} is {value!r}; wanted a whole number from 1 on")


def check_widths(model: str, name: str, widths: object) -> None:
    """A list (empty, perhaps) of whole numbers of at least 1."""
    if isinstance(widths, str) or not isinstance(widths, Iterable):
        raise UsageError(f"{model}: {name} is {widths!r}; wanted a list, such as [300, 100]")
    for width in widths:
        check_counts(model, **{f"a width in {name}": width})


def check_choice(model: str, name: str, value: object, valid: Mapping[str, str]) -> None:
    """One of `valid`, which says what each of them is."""
    if not isinstance(value, str) or value not in valid:
        known = ", ".join(f"{choice} ({what})" for choice, what in valid.items())
        raise UsageError(f"{model}: {name} {value!r}; valid: {known}")


def check_flag(model: str, name: str, value: object) -> None:
    """True or false, and not a word or a number that could be meant so."""
    if not isinstance(value, bool):
        raise UsageError(f"{model}: {name} is {value!r}; wanted true or false")


def scaled_width(width: int, factor: Fraction | float | None) -> int:
    """A hidden width times a factor (None: 1), rounded to the nearest from 1 on, a half up.

    >>> scaled_width(64, None), scaled_width(5, 0.5), scaled_width(64, 0.001)
    (64, 3, 1)
    """
    if factor is None:
        return width
    is_number = isinstance(factor, Real) and not isinstance(factor, bool)
    if not is_number or not isfinite(factor) or factor <= 0:
        raise UsageError(f"width is {factor!r}; wanted a factor on all hidden widths, such as 0.5")
    return max(1, floor(width * factor + Fraction(1, 2)))
