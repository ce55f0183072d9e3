"""The user's own arrays, without any code: a `.npz`, or a folder of `.npy`."""

import math
import re
import zipfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from lottery_ticket.data._content import data_of
from lottery_ticket.data._dataset import PARTS, DataSet
from lottery_ticket.data._files import damaged, reading
from lottery_ticket.data._labels import Said
from lottery_ticket.data._table import DATASETS
from lottery_ticket.errors import DataError, nearest
from lottery_ticket.tensor_files import check_claim, claimed_shape

__all__ = ["arrays", "read_npy_folder"]

_NPZ_REMEDY = (
    "Write it with numpy.savez(path, x=…, y=…, x_test=…, y_test=…), of plain numbers, or text "
    "(y.astype(str)) for names of classes."
)
_NPY_REMEDY = "Write each with numpy.save: x_train.npy, y_train.npy, x_test.npy, y_test.npy, …"

_USUAL = ["x", "y", *(f"{axis}_{part}" for part in PARTS for axis in "xy")]
_SPELLINGS = {
    "": "train", "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_PART = "|".join(filter(None, _SPELLINGS))
_NAME = re.compile(rf"([xy])[-_ .]?({_PART})?|({_PART})[-_ .]?([xy])", re.IGNORECASE)

_FLOAT_BYTES = 4  # of the numbers that all others become
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@DATASETS.register("arrays")
def arrays(
    data_dir: Path | None,
    path: str,
    validation: int = 0,
    task: str = "",
    num_classes: int = 0,
    relabel: bool = False,
) -> DataSet:
    """Your own arrays x and y, and optionally x_test, y_test, x_validation, …: a `.npz`, or a
    folder of `.npy`.

    Integer y `(N,)` makes it a classification; its classes are 0, 1, 2, … without a gap. Float y
    `(N,)` or `(N, k)` makes it a regression; where such floats could be classes, `task` must say
    what they are (in a spec the loss says it). x of uint8 is divided by 255, any other becomes
    float32 as it is: there is no other normalisation, bring your own. x `(N,)` is taken as
    `(N, 1)`, classes `(N, 1)` as `(N,)`. Without x_test and y_test a fixed fifth of x and y is
    held out as the test split; then `validation` of what is left.

    Args:
        data_dir: not used.
        path: the file or folder, absolute or from the current folder.
        validation: how many training examples to hold out, if there is no x_validation.
        task: "classification" or "regression", where y does not say it.
        num_classes: how many classes there are, where some occur nowhere, or not in training.
        relabel: number the classes anew, in the order of their values: labels 1…K, {0, 255},
            -1 and 1, names, or one-hot `(N, K)`.

    Raises:
        UsageError: `validation` is out of range, or the file brings a validation split; an option
            does not fit y.
        DataError: the file is missing or damaged, or its arrays do not fit.

    Example:
        >>> load_dataset("arrays", path="mine.npz", validation=100)  # doctest: +SKIP
    """
    said = Said(task, num_classes, relabel)
    file = Path(path).expanduser()
    content = read_npy_folder(file) if file.is_dir() else read_npz(file)
    fail = partial(damaged, file)
    return data_of("arrays", content, said, fail, validation=validation, source=str(file))


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
    with reading(path, _NPZ_REMEDY), path.open("rb") as opened:
        _check_npz_sizes(path)
        file = np.load(opened, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise TypeError("it holds one array, not an .npz with x and y")
        usual = _usual_names(path, file.files, _NPZ_REMEDY)
        return {usual[key]: _usable(path, key, usual[key], file[key], _NPZ_REMEDY) for key in usual}


def read_npy_folder(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of a folder under the names `train.x`, `train.y`, `test.x`, ….

    They are mapped copy-on-write, so float32 x takes no memory of its own before a device does.

    Args:
        folder: with `x.npy` and `y.npy`, or `x_train.npy`, …; other files are left alone.

    Raises:
        DataError: a file is damaged, lacks, or holds something that is not numbers.
    """
    with reading(folder, _NPY_REMEDY):
        files = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix == ".npy"}
        archives = [file.name for file in folder.iterdir() if file.suffix == ".npz"]
    if archives and not files:
        raise damaged(folder, f"holds {archives[0]} and no .npy", "Name the file, not its folder.")
    usual = _usual_names(folder, files, _NPY_REMEDY)
    return {meant: _mapped(files[name], meant) for name, meant in usual.items()}


def _mapped(file: Path, meant: str) -> np.ndarray:
    with reading(file, _NPY_REMEDY):
        array = np.load(file, mmap_mode="c", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise TypeError("it is an .npz, not one array")
        return _usable(file, file.stem, meant, array, _NPY_REMEDY)


def _usable(path: Path, key: str, meant: str, array: np.ndarray, remedy: str) -> np.ndarray:
    """The array, unless nothing can be made of it: x holds numbers, y numbers or names of classes.

    Raises:
        DataError: it holds something else, or nothing.
    """
    kinds = "biufUS" if meant.endswith(".y") else "biuf"
    if array.dtype.kind not in kinds:
        raise damaged(path, f"{key!r} holds {array.dtype}, wanted numbers", remedy)
    if array.ndim == 0 or len(array) == 0:
        raise damaged(path, f"{key!r} has shape {array.shape}, wanted (N, …) with N ≥ 1", remedy)
    return array


def _usual_names(path: Path, names: Iterable[str], remedy: str) -> dict[str, str]:
    """Name in the file → `train.x`, `test.y`, …, for those that are x or y of a split.

    `X_train`, `x_val` and `test_y` are understood; other names are left out.

    Raises:
        DataError: a name is nearly one of them, two mean the same, or one that is needed is not
            there.

    >>> _usual_names(Path("a.npz"), ["X_train", "y_train", "class_names"], "")
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


def _check_npz_sizes(path: Path) -> None:
    """Looks at the header of each array in a file; one that is no archive is passed over.

    Raises:
        DataError: the arrays would take far more than so small a file may.
        ValueError: the header of an array is not that of its values.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        claimed = 0
        for entry in archive.infolist():
            with archive.open(entry) as file:
                claimed += _claimed(entry, file)
    check_claim(path, claimed, path.stat().st_size, "if that is true, save it with numpy.savez")


def _claimed(entry: zipfile.ZipInfo, file: IO[bytes]) -> int:
    """Bytes that an array takes, in its own type or as floats."""
    version = np.lib.format.read_magic(file)
    if version not in _READ_HEADER:
        raise ValueError(f"{entry.filename} has a header of version {version}")
    shape, _, dtype = _READ_HEADER[version](file)
    size = math.prod(claimed_shape(shape))
    num_bytes = entry.file_size - file.tell()
    if size * dtype.itemsize != num_bytes and not dtype.hasobject:  # numpy refuses objects
        raise ValueError(f"{entry.filename} has {num_bytes} bytes for {shape} of {dtype}")
    return size * max(dtype.itemsize, _FLOAT_BYTES)
