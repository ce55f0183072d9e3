"""IDX, the format of MNIST: a magic number, the sizes, then the bytes."""

import gzip
import math
import struct
from pathlib import Path

import numpy as np

from lottery_ticket.data._files import damaged, reading

__all__ = ["read_idx"]

GZIP_MAGIC = b"\x1f\x8b"
UINT8 = 0x08


def read_idx(path: Path, num_dimensions: int) -> np.ndarray:
    """Read an IDX file of bytes, plain or gzipped.

    Args:
        path: the file; its content, not its name, says whether it is gzipped.
        num_dimensions: 1 for labels, 3 for images.

    Returns:
        A uint8 array of `num_dimensions` dimensions.

    Raises:
        DataError: the file cannot be read, is no such IDX file or is cut short.

    Source:
        http://yann.lecun.com/exdb/mnist/, "the IDX file format".
    """
    with reading(path):
        content = path.read_bytes()
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
    start = 4 + 4 * num_dimensions
    if len(content) < start:
        raise damaged(path, f"too short for an IDX header: got {len(content)} bytes, not {start}")
    magic, *sizes = struct.unpack(f">{1 + num_dimensions}I", content[:start])
    wanted = UINT8 << 8 | num_dimensions
    if magic != wanted:
        raise damaged(path, f"not the IDX file wanted: got magic {magic:#010x}, not {wanted:#010x}")
    got, length = len(content) - start, math.prod(sizes)
    if got != length:
        raise damaged(path, f"wrong length for its header {sizes}: got {got} bytes, not {length}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(sizes)
