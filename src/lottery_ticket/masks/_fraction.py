"""What a fraction is: `amount` of what remains, `sparsity` or `density` of all. Never percent."""

from numbers import Rational, Real

from lottery_ticket.errors import UsageError
from lottery_ticket.registry import shown

__all__ = ["check_fraction", "why_no_fraction"]


def check_fraction(
    name: str, value: object, *, has_zero: bool = False, has_one: bool = False
) -> float:
    """A fraction between 0 and 1, as a float of Python's; percent is refused with a hint.

    Args:
        name: of the argument.
        value: any real number: NumPy's, too, and exact ones.
        has_zero, has_one: whether 0 and 1 are fractions here.

    Raises:
        UsageError: it is something else.

    >>> check_fraction("sparsity", 0.9)
    0.9
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UsageError(f"{name}: got {value!r} ({type(value).__name__}), wanted a fraction")
    if not isinstance(value, int | float):
        # 0.9 of float32 is 0.9, and not 0.89999998
        value = float(value) if isinstance(value, Rational) else float(str(value))
    if not ((has_zero and value == 0) or (has_one and value == 1)) and (
        reason := why_no_fraction(value)
    ):
        raise UsageError(f"{name}: {reason}")
    return float(value)


def why_no_fraction(value: float) -> str:
    """Why a number is no fraction between 0 and 1; empty if it is one.

    >>> why_no_fraction(20)
    '20 is not a fraction between 0 and 1; for 20 % write 0.2'
    """
    if 0 < value < 1:
        return ""
    hint = f"; for {value:g} % write {value / 100:g}" if 1 < value < 100 else ""
    number = f"{value:g}" if isinstance(value, float) else shown(value)
    return f"{number} is not a fraction between 0 and 1{hint}"
