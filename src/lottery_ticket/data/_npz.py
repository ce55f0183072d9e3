"""Read the user's own `.npz`, and say what is wrong with it."""

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from lottery_ticket.data._files import damaged, reading
from lottery_ticket.errors import DataError, nearest
from lottery_ticket.tensor_files import check_claim, claimed_shape

__all__ = ["PARTS", "read_npz"]

PARTS = ("train", "validation", "test")
KEYS = {
    "x": "train.x",
    "y": "train.y",
    **{f"{axis}_{part}": f"{part}.{axis}" for part in PARTS for axis in "xy"},
}
_MAGIC = b"\x93NUMPY"
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
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
    with reading(path, REMEDY):
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) == _MAGIC:
                raise TypeError("it holds one array, not an .npz with x and y")
        with zipfile.ZipFile(path) as archive:
            entries = {name.removesuffix(".npy"): name for name in archive.namelist()}
            _check_keys(path, [name.removesuffix(".npy") for name in archive.namelist()])
            wanted = {key: archive.getinfo(entries[key]) for key in entries if key in KEYS}
            _check_sizes(path, archive, wanted)
            return {KEYS[key]: _array(path, archive, key, wanted[key]) for key in wanted}


def _check_sizes(
    path: Path, archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]
) -> None:
    """Before anything is unpacked: a small archive can claim arrays of any size."""
    claimed = 0
    for key, entry in entries.items():
        with archive.open(entry) as file:
            shape, dtype = _header(path, key, file)
            num_bytes = entry.file_size - file.tell()
        if math.prod(shape) * dtype.itemsize != num_bytes:
            raise ValueError(f"{key!r} has {num_bytes} bytes for shape {shape} of {dtype}")
        claimed += math.prod(shape) * max(dtype.itemsize, np.dtype(np.float32).itemsize)
    check_claim(path, claimed, path.stat().st_size, "if that is true, save it with numpy.savez")


def _header(path: Path, key: str, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    if version not in _READ_HEADER:
        raise ValueError(f"{key!r} has a header of version {version}")
    shape, _, dtype = _READ_HEADER[version](file)
    if dtype.kind not in "biuf":
        raise damaged(path, f"{key!r} holds {dtype}, wanted numbers", REMEDY)
    shape = claimed_shape(shape)
    if not shape or shape[0] == 0:
        raise damaged(path, f"{key!r} has shape {shape}, wanted (N, …) with N ≥ 1", REMEDY)
    return shape, dtype


def _array(path: Path, archive: zipfile.ZipFile, key: str, entry: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(entry) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):  # reads to the end, where the archive has the checksum
            raise ValueError(f"{key!r} is longer than its header says")
    return array


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
