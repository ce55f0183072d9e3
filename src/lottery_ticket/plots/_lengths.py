"""Widths and heights of figures, in the units that papers are set in."""

import math
import re
from typing import TypeAlias

from lottery_ticket.errors import UsageError, nearest

__all__ = ["Length", "inches"]

Length: TypeAlias = float | str
"""Inches, or a text with its unit, as in `"84mm"`."""

_INCHES = {
    "in": 1.0,
    "inch": 1.0,
    "inches": 1.0,
    "cm": 1 / 2.54,
    "mm": 1 / 25.4,
    "pt": 1 / 72.27,  # of TeX, which \the\columnwidth is in
    "bp": 1 / 72,  # of PostScript
}
_NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_LEAST, _MOST = {"width": 2.0, "height": 1.0}, 40.0


def inches(length: Length, what: str = "width") -> float:
    r"""A length in inches.

    Args:
        length: inches, or a text with a unit: in, cm, mm, pt (TeX's point, 1/72.27 inch, which
            `\the\columnwidth` prints) or bp (1/72 inch).
        what: `"width"` or `"height"`, for errors.

    Raises:
        UsageError: no length, or none that a figure can have.

    >>> inches(3.3), inches("84mm"), round(inches("242.66885pt"), 3)
    (3.3, 3.3070866141732282, 3.358)
    """
    value, unit = _read(length, what)
    found = value * _INCHES[unit or "in"]
    least = _LEAST[what]
    if least <= found <= _MOST:
        return found
    got = f"{value:g} inches" if not unit else f"{value:g}{unit} ({found:.3g} inches)"
    is_points = not unit and least <= value / 72.27 <= _MOST
    hint = f"; if these are TeX's points, write {length}pt" if is_points else ""
    got = got.replace(f"{value:g}", str(length)) if not unit else got
    raise UsageError(f"{what}: got {got}, wanted {least:g} to {_MOST:g}{hint}")


def _read(length: Length, what: str) -> tuple[float, str]:
    """The number and its unit."""
    if isinstance(length, int | float) and not isinstance(length, bool):
        if math.isfinite(length):
            return float(length), ""
    elif isinstance(length, str) and (
        found := re.fullmatch(rf"\s*{_NUMBER}\s*([A-Za-z]*)\s*", length)
    ):
        unit = found[2].lower()
        if unit and unit not in _INCHES:
            raise UsageError(f"{what}: unknown unit {found[2]!r}{nearest(unit, _INCHES)}")
        return float(found[1]), unit
    raise UsageError(f"{what}: got {length!r}, wanted a length such as 3.3in, 84mm or 242pt")
