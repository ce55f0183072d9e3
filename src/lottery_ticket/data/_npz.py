"""Read the user's own `.npz`, and say what is wrong with it."""

from pathlib import Path

import numpy as np

from lottery_ticket.data._array_names import usual_names
from lottery_ticket.data._files import damaged, reading
from lottery_ticket.data._npz_sizes import check_npz_sizes
from lottery_ticket.errors import DataError

__all__ = ["read_npz", "usable"]

REMEDY = (
    "Write it with numpy.savez(path, x=…, y=…, x_test=…, y_test=…), of plain numbers, or text "
    "(y.astype(str)) for names of classes."
)


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
            "`path` an .npz file or a folder of .npy files, absolute or from the current folder."
        )
    # opened here, as numpy forgets to close a file it cannot make sense of
    with reading(path, REMEDY), path.open("rb") as opened:
        check_npz_sizes(path)
        file = np.load(opened, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise TypeError("it holds one array, not an .npz with x and y")
        usual = usual_names(path, file.files, REMEDY)
        return {usual[key]: usable(path, key, usual[key], file[key]) for key in usual}


def usable(path: Path, key: str, meant: str, array: np.ndarray) -> np.ndarray:
    """The array, unless nothing can be made of it: x holds numbers, y numbers or names of classes.

    Raises:
        DataError: it holds something else, or nothing.
    """
    kinds = "biufUS" if meant.endswith(".y") else "biuf"
    if array.dtype.kind not in kinds:
        raise damaged(path, f"{key!r} holds {array.dtype}, wanted numbers", REMEDY)
    if array.ndim == 0 or len(array) == 0:
        raise damaged(path, f"{key!r} has shape {array.shape}, wanted (N, …) with N ≥ 1", REMEDY)
    return array
