"""Read the arrays out of a pickle without running anything that is in it.

A pickle names the functions that rebuild its objects. Here every name stands for one of the inert
classes below, which only record what they are called with; any other name is refused.
"""

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from lottery_ticket.data._files import damaged, reading

__all__ = ["read_pickle", "uint8_array"]


class Recorded:
    """Keeps the arguments and the state that the real object would have been given.

    Classes, not functions, and each with `__setstate__`: a pickle can then not alter them either.
    """

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


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


class InertUnpickler(pickle.Unpickler):
    """An unpickler that knows `STAND_INS` and nothing else."""

    path: Path

    def find_class(self, module: str, name: str, /) -> Any:
        """The stand-in for a global; raises `DataError` for any other."""
        try:
            return STAND_INS[module, name]
        except KeyError:
            raise damaged(
                self.path,
                f"refused, as it wants to run {module}.{name}, which no CIFAR batch needs",
                "Do not trust this file; download the data set from its original address.",
            ) from None


def read_pickle(path: Path) -> Any:
    """What a pickle holds, with every numpy array as a record for `uint8_array`.

    Args:
        path: the file; strings of Python 2 come as bytes.

    Raises:
        DataError: it cannot be read, or names anything but the makings of an array.
    """
    with reading(path), path.open("rb") as file:
        unpickler = InertUnpickler(file, encoding="bytes")
        unpickler.path = path
        return unpickler.load()


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
        if not isinstance(content, bytes) or len(content) != math.prod(shape):
            raise ValueError(f"wanted the bytes of an array of shape {shape}")
        flat = np.frombuffer(content, dtype=np.uint8)
        return flat.reshape(shape, order="F" if is_fortran else "C")
