"""Read the user's own `.npz`, and say what is wrong with it."""

from pathlib import Path

import numpy as np

from lottery_ticket.data._files import damaged, reading
from lottery_ticket.data._npz_sizes import check_npz_sizes
from lottery_ticket.errors import DataError, nearest

__all__ = ["PARTS", "read_npz"]

PARTS = ("train", "validation", "test")
KEYS = {
    "x": "train.x",
    "y": "train.y",
    **{f"{axis}_{part}": f"{part}.{axis}" for part in PARTS for axis in "xy"},
}
REMEDY = "Write it with numpy.savez(path, x=…, y=…, x_test=…, y_test=…)."


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` under the names `train.x`, `train.y`, `test.x`, ….

    Args:
        path: the file; nothing in it is unpickled.

    Returns:
        x and y of `train`, and of `validation` and `test` where the file has them.

    Raises:
        DataError: the file is missing or damaged, or lacks an array, or has one that is not
            numbers.
    """
    if not path.is_file():
        raise DataError(
            f"arrays: cannot find {path}. Looked in {path.absolute().parent}. Give the option "
            "`path` an .npz file, absolute or from the current folder."
        )
    # opened here, as numpy forgets to close a file it cannot make sense of
    with reading(path, REMEDY), path.open("rb") as opened:
        check_npz_sizes(path)
        file = np.load(opened, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise TypeError("it holds one array, not an .npz with x and y")
        _check_keys(path, file.files)
        return {KEYS[key]: _numbers(path, key, file[key]) for key in file.files if key in KEYS}


def _check_keys(path: Path, keys: list[str]) -> None:
    for key in keys:
        # ignoring a misspelt x_val would quietly train without it
        if key not in KEYS and key[:1].lower() in ("x", "y"):
            raise damaged(path, f"unknown array {key!r}{nearest(key, KEYS)}", REMEDY)
    named = [KEYS[key] for key in keys if key in KEYS]
    for name in named:
        if named.count(name) > 1:
            raise damaged(path, "x and x_train (y and y_train) are the same; keep one", REMEDY)
    wanted = {"train"} | {name.split(".")[0] for name in named}
    for part in PARTS:
        for axis in "xy":
            if part in wanted and f"{part}.{axis}" not in named:
                key = axis if part == "train" else f"{axis}_{part}"
                raise damaged(path, f"has no array {key!r}; got {', '.join(keys) or '—'}", REMEDY)


def _numbers(path: Path, key: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise damaged(path, f"{key!r} holds {array.dtype}, wanted numbers", REMEDY)
    if array.ndim == 0 or len(array) == 0:
        raise damaged(path, f"{key!r} has shape {array.shape}, wanted (N, …) with N ≥ 1", REMEDY)
    return array
