"""Read the user's own folder of `.npy` files, mapped into memory."""

from pathlib import Path

import numpy as np

from lottery_ticket.data._array_names import usual_names
from lottery_ticket.data._files import damaged, reading
from lottery_ticket.data._npz import usable

__all__ = ["read_npy_folder"]

REMEDY = "Write each with numpy.save: x_train.npy, y_train.npy, x_test.npy, y_test.npy, …"


def read_npy_folder(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of a folder under the names `train.x`, `train.y`, `test.x`, ….

    They are mapped copy-on-write, so float32 x takes no memory of its own before a device does.

    Args:
        folder: with `x.npy` and `y.npy`, or `x_train.npy`, …; other files are left alone.

    Raises:
        DataError: a file is damaged, lacks, or holds something that is not numbers.
    """
    with reading(folder, REMEDY):
        files = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix == ".npy"}
        archives = [file.name for file in folder.iterdir() if file.suffix == ".npz"]
    if archives and not files:
        raise damaged(folder, f"holds {archives[0]} and no .npy", "Name the file, not its folder.")
    usual = usual_names(folder, files, REMEDY)
    return {meant: _mapped(files[name], meant) for name, meant in usual.items()}


def _mapped(file: Path, meant: str) -> np.ndarray:
    with reading(file, REMEDY):
        array = np.load(file, mmap_mode="c", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise TypeError("it is an .npz, not one array")
        return usable(file, file.stem, meant, array)
