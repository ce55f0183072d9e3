"""IDX, the format of MNIST: a magic number, the sizes, then the bytes."""

import gzip
import io
import math
import struct
from pathlib import Path

import numpy as np

from lottery_ticket.data._files import damaged, reading
from lottery_ticket.tensor_files import check_claim

__all__ = ["read_idx"]

GZIP_MAGIC = b"\x1f\x8b"
UINT8 = 0x08
FLOAT_BYTES = 4


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
        raw = path.read_bytes()
        plain = io.BytesIO(raw)
        file = gzip.GzipFile(fileobj=plain) if raw.startswith(GZIP_MAGIC) else plain
        sizes = _sizes(path, file.read(4 + 4 * num_dimensions), num_dimensions)
        length = math.prod(sizes)
        # nothing beyond what the header says is unpacked, and each byte becomes a float
        remedy = "if that is true, unpack it with gunzip"
        check_claim(path, FLOAT_BYTES * length, len(raw), remedy)
        content = file.read(length + 1)
    if len(content) != length:
        got = f"{len(content)} bytes{' or more' * (len(content) > length)}"
        raise damaged(path, f"wrong length for its header {sizes}: got {got}, not {length}")
    return np.frombuffer(content, dtype=np.uint8).reshape(sizes)


def _sizes(path: Path, header: bytes, num_dimensions: int) -> list[int]:
    length = 4 + 4 * num_dimensions
    if len(header) < length:
        raise damaged(path, f"too short for an IDX header: got {len(header)} bytes, not {length}")
    magic, *sizes = struct.unpack(f">{1 + num_dimensions}I", header)
    wanted = UINT8 << 8 | num_dimensions
    if magic != wanted:
        raise damaged(path, f"not the IDX file wanted: got magic {magic:#010x}, not {wanted:#010x}")
    return sizes
