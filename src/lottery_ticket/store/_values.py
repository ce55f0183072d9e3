"""What the values in a store's JSON may be: names above all, since paths are made of them.

A store may come from anywhere. A checksum says that a file is as it was written, not by whom.
"""

import math
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "CELL_NAME",
    "COUNT",
    "FILE_NAME",
    "MAPPING",
    "NUMBER",
    "RUN_ID",
    "TEXT",
    "Kind",
    "check",
    "check_each",
    "check_known",
    "mapping_of",
    "optional",
]

_DIGEST = re.compile("[0-9a-f]{64}")
_RUN_ID = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,198}")
_FILE = re.compile("[A-Za-z0-9_]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
_RESERVED = re.compile(r"(con|nul|aux|prn|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # by Windows
_OURS = ("record.json", "execution.json")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_MAX_COUNT = 2**63


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    Args:
        wanted: what it is called in an error.
        fits: whether a value is of the kind.
    """

    wanted: str
    fits: Callable[[Any], bool]


def check(where: str, value: object, kind: Kind) -> None:
    """Raise `ValueError` that says where, what was got and what was wanted."""
    if not kind.fits(value):
        raise ValueError(f"{where}: got {reprlib.repr(value)}, wanted {kind.wanted}")


def check_each(where: str, values: Mapping[str, object], kind: Kind) -> None:
    """`check` of all values of a mapping."""
    for name, value in values.items():
        check(f"{where}[{name!r}]", value, kind)


def check_known(where: str, values: Mapping[str, object], kinds: Mapping[str, Kind]) -> None:
    """`check` of those values of a mapping whose kind is known; others may be anything."""
    for name in values.keys() & kinds.keys():
        check(f"{where}.{name}", values[name], kinds[name])


def optional(kind: Kind) -> Kind:
    """The same, or null."""
    return Kind(f"{kind.wanted} or null", lambda value: value is None or kind.fits(value))


def mapping_of(kind: Kind) -> Kind:
    """A mapping whose values are all of a kind."""
    return Kind(
        f"a mapping to {kind.wanted}",
        lambda value: isinstance(value, dict) and all(map(kind.fits, value.values())),
    )


def _is_text(value: Any) -> bool:
    # what is shown moves no cursor, and can be written in UTF-8
    return isinstance(value, str) and (value.isprintable() or not _CONTROL.search(value))


def _is_number(value: Any) -> bool:
    # JSON's 1e999 is infinite
    return (type(value) is float and math.isfinite(value)) or _is_whole(value)


def _is_whole(value: Any) -> bool:
    return type(value) is int and -_MAX_COUNT < value < _MAX_COUNT


def _is_named(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))


def _is_file_name(value: Any) -> bool:
    is_plain = _is_named(_FILE)(value) and not _RESERVED.fullmatch(value)
    return is_plain and value.lower() not in _OURS


CELL_NAME = Kind("64 hex digits", _is_named(_DIGEST))
RUN_ID = Kind("letters, digits, '.', '_' and '-'", _is_named(_RUN_ID))
FILE_NAME = Kind("the plain name of a file", _is_file_name)
TEXT = Kind("a text in one line", _is_text)
NUMBER = Kind("a finite number", _is_number)
COUNT = Kind("a whole number of 0 or more", lambda value: _is_whole(value) and value >= 0)
MAPPING = Kind("a mapping", lambda value: isinstance(value, dict))
