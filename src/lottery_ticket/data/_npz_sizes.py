"""What an `.npz` claims, before numpy makes room for it."""

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from lottery_ticket.tensor_files import check_claim, claimed_shape

__all__ = ["check_npz_sizes"]

_FLOAT_BYTES = 4  # of the numbers that all others become
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def check_npz_sizes(path: Path) -> None:
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
