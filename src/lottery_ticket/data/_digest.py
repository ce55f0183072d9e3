"""One name for the content of a data set, however it was stored."""

import hashlib
from collections.abc import Mapping

import numpy as np
import torch

__all__ = ["content_digest"]


def content_digest(arrays: Mapping[str, np.ndarray | torch.Tensor]) -> str:
    """Hex SHA-256 of named arrays: of each one's name, dtype, shape and little-endian bytes.

    Args:
        arrays: name → array or tensor, of any shape and any plain dtype; their order is ignored.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> content_digest({"x": np.arange(3)}) == content_digest({"x": torch.arange(3)})
        True
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{name}\x1f{array.dtype.str}\x1f{array.shape}\x1f".encode())
        digest.update(array.reshape(-1).data)
    return digest.hexdigest()
