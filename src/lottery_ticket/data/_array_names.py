"""What the arrays of a user's own file may be called."""

import re
from collections.abc import Iterable
from pathlib import Path

from lottery_ticket.data._files import damaged
from lottery_ticket.errors import nearest

__all__ = ["PARTS", "usual_names"]

PARTS = ("train", "validation", "test")
_USUAL = ["x", "y", *(f"{axis}_{part}" for part in PARTS for axis in "xy")]
_SPELLINGS = {
    "": "train", "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_PART = "|".join(filter(None, _SPELLINGS))
_NAME = re.compile(rf"([xy])[-_ .]?({_PART})?|({_PART})[-_ .]?([xy])", re.IGNORECASE)


def usual_names(path: Path, names: Iterable[str], remedy: str) -> dict[str, str]:
    """Name in the file → `train.x`, `test.y`, …, for those that are x or y of a split.

    `X_train`, `x_val` and `test_y` are understood; other names are left out.

    Raises:
        DataError: a name is nearly one of them, two mean the same, or one that is needed is not
            there.

    >>> usual_names(Path("a.npz"), ["X_train", "y_train", "class_names"], "")
    {'X_train': 'train.x', 'y_train': 'train.y'}
    """
    names = list(names)
    usual = {name: meant for name in names if (meant := _meant(name)) is not None}
    for name in names:
        # ignoring a misspelt x_tset would quietly train without it
        if name not in usual and name[:1].lower() in ("x", "y"):
            raise damaged(path, f"unknown array {name!r}{nearest(name.lower(), _USUAL)}", remedy)
    for meant in usual.values():
        same = [name for name, other in usual.items() if other == meant]
        if len(same) > 1:
            raise damaged(
                path,
                f"x and x_train (y and y_train) are the same; keep one of {', '.join(same)}",
                remedy,
            )
    _check_complete(path, names, set(usual.values()), remedy)
    return usual


def _meant(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    axis, part = match[1] or match[4], match[2] or match[3] or ""
    return f"{_SPELLINGS[part.lower()]}.{axis.lower()}"


def _check_complete(path: Path, names: list[str], usual: set[str], remedy: str) -> None:
    wanted = {"train"} | {name.split(".")[0] for name in usual}
    for part in PARTS:
        for axis in "xy":
            if part in wanted and f"{part}.{axis}" not in usual:
                name = axis if part == "train" else f"{axis}_{part}"
                raise damaged(path, f"has no array {name!r}; got {', '.join(names) or '—'}", remedy)
