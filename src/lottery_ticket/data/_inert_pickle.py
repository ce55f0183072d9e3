"""Read the arrays out of a pickle without running anything that is in it."""

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from lottery_ticket import inert_pickle
from lottery_ticket.data._files import damaged, reading
from lottery_ticket.inert_pickle import Recorded, RefusedError
from lottery_ticket.tensor_files import claimed_shape

__all__ = ["read_pickle", "uint8_array"]


class RecordedArray(Recorded):
    """Instead of `numpy.ndarray` and the function that makes an empty one."""


class RecordedType(Recorded):
    """Instead of `numpy.dtype`."""


class Encoded:
    """Instead of `_codecs.encode`, by which Python 3 writes bytes into old pickles."""

    def __new__(cls, text: str, encoding: str = "latin1") -> Any:
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"bytes in encoding {encoding!r}")
        return text.encode("latin1")

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("bytes take no state")


STAND_INS: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): RecordedArray,
    ("numpy._core.multiarray", "_reconstruct"): RecordedArray,
    ("numpy", "ndarray"): RecordedArray,
    ("numpy", "dtype"): RecordedType,
    ("_codecs", "encode"): Encoded,
}


def read_pickle(path: Path) -> Any:
    """What a pickle holds, with every numpy array as a record for `uint8_array`.

    Args:
        path: the file; strings of Python 2 come as bytes.

    Raises:
        DataError: it cannot be read, or names anything but the makings of an array.
    """
    with reading(path):
        try:
            return inert_pickle.read_pickle(io.BytesIO(path.read_bytes()), STAND_INS)
        except RefusedError as error:
            raise damaged(
                path,
                f"refused, as it wants to run {error.name}, which no CIFAR batch needs",
                "Do not trust this file; download the data set from its original address.",
            ) from None


def uint8_array(path: Path, record: Any) -> np.ndarray:
    """Rebuild a uint8 array from its record, as `numpy.ndarray.__setstate__` would.

    Args:
        path: the file it is from, for the error.
        record: what `read_pickle` gave.

    Raises:
        DataError: it is not the record of a uint8 array.
    """
    with reading(path):
        if not isinstance(record, RecordedArray):
            raise TypeError(f"wanted an array, got {type(record).__name__}")
        _version, shape, dtype, is_fortran, content = record.state
        if not isinstance(dtype, RecordedType) or dtype.args[0] not in ("u1", b"u1"):
            raise TypeError("wanted an array of uint8")
        shape = claimed_shape(shape)
        if not isinstance(content, bytes) or len(content) != math.prod(shape):
            raise ValueError(f"wanted the bytes of an array of shape {shape}")
        flat = np.frombuffer(content, dtype=np.uint8)
        return flat.reshape(shape, order="F" if is_fortran else "C")
