"""What can be done to any bytes, and to JSON."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["BYTES", "Dice", "Mutant", "Mutation", "NotApplicableError", "odd_value", "of_json"]


class NotApplicableError(Exception):
    """These bytes have nothing that could be changed so."""


@dataclass(frozen=True)
class Mutant:
    """Changed bytes.

    Args:
        what: how they were changed.
        data: the bytes.
        is_forged: their checksum was made anew: they may say something else, but not break.
    """

    what: str
    data: bytes
    is_forged: bool = False


class Dice(random.Random):
    """Chance, and a place outside that must not be touched.

    Args:
        seed: equal for equal cases.
        canary: a folder that names in files may point at.
    """

    canary: str = "/nowhere"

    def __new__(cls, *_: object) -> "Dice":
        return super().__new__(cls)

    def __init__(self, seed: str, canary: str = "/nowhere") -> None:
        super().__init__(seed)
        self.canary = canary


Mutation = Callable[[bytes, Dice], Mutant]


def flipped(data: bytes, dice: Dice) -> Mutant:
    """One to five bits."""
    changed = bytearray(data)
    places = [dice.randrange(len(changed)) for _ in range(dice.choice((1, 1, 1, 2, 5)))]
    for place in places:
        changed[place] ^= 1 << dice.randrange(8)
    return Mutant(f"bits flipped at {places}", bytes(changed))


def cut(data: bytes, dice: Dice) -> Mutant:
    """The end is missing, or the beginning, or all."""
    at = dice.choice((0, 1, 8, len(data) - 1, dice.randrange(len(data) + 1)))
    return (
        Mutant(f"cut at {at}", data[:at])
        if dice.random() < 0.8
        else Mutant("begins later", data[at:])
    )


def overwritten(data: bytes, dice: Dice) -> Mutant:
    """A stretch of zeros, ones or noise."""
    at, length = dice.randrange(len(data)), dice.choice((1, 2, 4, 8, 64, 512))
    filling = dice.choice((bytes(length), b"\xff" * length, dice.randbytes(length)))
    return Mutant(f"{length} bytes overwritten at {at}", data[:at] + filling + data[at + length :])


def spliced(data: bytes, dice: Dice) -> Mutant:
    """A piece stands twice, or where another stood, or is gone."""
    start, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
    at = dice.randrange(len(data) + 1)
    return dice.choice(
        (
            Mutant(f"{start}:{end} again at {at}", data[:at] + data[start:end] + data[at:]),
            Mutant(f"{start}:{end} removed", data[:start] + data[end:]),
            Mutant("twice", data + data),
        )
    )


def counted_wrong(data: bytes, dice: Dice) -> Mutant:
    """Four or eight bytes become a number that is a limit of something."""
    width = dice.choice((4, 8))
    number = dice.choice((0, 1, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1))
    coded = (number % 2 ** (8 * width)).to_bytes(width, dice.choice(("little", "big")))
    at = dice.choice((0, 4, 8, dice.randrange(max(1, len(data) - width))))
    return Mutant(f"{number} at {at}", data[:at] + coded + data[at + width :])


def other(data: bytes, dice: Dice) -> Mutant:
    """Something else altogether."""
    what, bytes_ = dice.choice(
        (
            ("empty", b""),
            ("a zero", b"\0"),
            ("text", "überhaupt nichts".encode()),
            ("noise", dice.randbytes(400)),
            ("an empty object", b"{}"),
            ("a list", b"[1, 2]"),
            ("deep JSON", b"[" * 100_000),
            ("longer", data + dice.randbytes(9)),
        )
    )
    return Mutant(what, bytes_)


def _not_of_nothing(mutation: Mutation) -> Mutation:
    def applied(data: bytes, dice: Dice) -> Mutant:
        return mutation(data, dice) if len(data) > 1 else other(data, dice)

    return applied


BYTES: tuple[Mutation, ...] = tuple(
    _not_of_nothing(mutation)
    for mutation in (flipped, flipped, flipped, cut, overwritten, spliced, counted_wrong, other)
)
"""Changes of any bytes."""


_DEEP, _LONG, _HUGE, _TWICE = "@deep@", "@long@", "@huge@", "@twice@"
# text that stands for what `json.dumps` cannot write
_RAW = {
    f'"{_DEEP}"': "[" * 20_000 + "]" * 20_000,
    f'"{_LONG}"': "9" * 5_000,
    f'"{_HUGE}"': "1e999",
}


def odd_value(dice: Dice) -> Any:
    """A value that nobody expects."""
    return dice.choice(
        (
            *(None, True, False, 0, 1, -1, 2, 7, 0.5, -0.0, 1e308, float("nan"), float("inf")),
            *(2**31, 2**32, 2**40, 2**63, 2**64, 10**12, 10**30, -(2**63), _LONG, _HUGE),
            *("", "0", "\0", "x", "x" * 5000, "ü\u2028\ud800", "__class__", "NaN", "1e999"),
            *("../canary", "../../canary/kept", "../../../canary", dice.canary, "/dev/zero", "."),
            *([], {}, [[]], [None], {"": 0}, [0] * 5000, [2**40, 0], [-1, -2], _DEEP, [1.0]),
        )
    )


def of_json(text: str, dice: Dice) -> tuple[str, str]:
    """What was changed, and the JSON text with one thing changed.

    Raises:
        NotApplicableError: it is none.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise NotApplicableError from None
    holder = [values]  # so that the whole can be replaced, too
    places = list(_places(holder))
    owner, key = dice.choice(places)
    what = _changed(owner, key, dice).replace(_TWICE, " (again)")
    changed = json.dumps(holder[0], ensure_ascii=dice.random() < 0.5) if holder else ""
    for coded, raw in _RAW.items():
        changed = changed.replace(coded, raw)
    return what, changed.replace(_TWICE, "")


def _places(owner: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    items = owner.items() if isinstance(owner, dict) else enumerate(owner)
    found: list[tuple[Any, Any]] = []
    for key, value in items:
        # what is near the top is what a reader looks at: it counts more often
        found += [(owner, key)] * (4 if depth < 3 else 1)
        if isinstance(value, dict | list):
            found += _places(value, depth + 1)
    return found


def _changed(owner: Any, key: Any, dice: Dice) -> str:
    value = owner[key]
    if isinstance(value, str) and value[:1] in "{[" and dice.random() < 0.8:
        try:
            what, owner[key] = of_json(value, dice)
            return f"in {key!r}: {what}"
        except NotApplicableError:
            pass
    ways: list[Callable[[], str]] = [
        lambda: _replaced(owner, key, odd_value(dice)),
        lambda: _replaced(owner, key, odd_value(dice)),
        lambda: _replaced(owner, key, [value]),
        lambda: _removed(owner, key),
    ]
    if isinstance(value, int | float) and not isinstance(value, bool):
        ways += [
            lambda: _replaced(owner, key, dice.choice((value + 1, -value, value * 2, str(value))))
        ]
    if isinstance(owner, dict):
        ways += [
            lambda: _renamed(owner, key, f"{key}{dice.choice('x2 ')}"),
            lambda: _replaced(owner, f"{key}{_TWICE}", odd_value(dice)),
            lambda: _replaced(owner, dice.choice(("more", "", "__metadata__")), odd_value(dice)),
            lambda: _replaced(owner, key, dice.choice(list(owner.values()))),
        ]
    return dice.choice(ways)()


def _replaced(owner: Any, key: Any, value: Any) -> str:
    owner[key] = value
    return f"{key!r} is {repr(value)[:60]}"


def _removed(owner: Any, key: Any) -> str:
    del owner[key]
    return f"{key!r} is gone"


def _renamed(owner: Any, key: Any, name: str) -> str:
    owner[name] = owner.pop(key)
    return f"{key!r} is called {name!r}"
