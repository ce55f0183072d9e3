"""A layer's mask as bytes: packed bits or the gaps between kept weights, whichever is smaller.

Both are plain zlib data of uint8, so that numpy and zlib alone can read them:

- `bits`: eight weights to the byte, the first in the highest bit (`numpy.packbits`);
- `gaps`: for each kept weight the distance from the one before in flat order, see
  `lottery_ticket.gaps`.
"""

import math
import zlib
from collections.abc import Sequence

import numpy as np

from lottery_ticket.gaps import ESCAPE, decode_gaps, encode_gaps

__all__ = ["decode_mask", "encode_mask"]


def encode_mask(mask: np.ndarray) -> tuple[str, bytes]:
    """The name of the encoding chosen, and the zlib data; bits where both are equally long.

    Args:
        mask: bool array of any shape, True = kept.

    >>> encode_mask(np.array([True, False, True]))[0]
    'bits'
    """
    flat = mask.reshape(-1)
    bits = _deflated(np.packbits(flat).tobytes(), zlib.Z_DEFAULT_STRATEGY)
    # random positions hold no repeats: looking for some takes long, and makes the code longer
    gaps = _deflated(encode_gaps(np.flatnonzero(flat)).tobytes(), zlib.Z_HUFFMAN_ONLY)
    return ("gaps", gaps) if len(gaps) < len(bits) else ("bits", bits)


def decode_mask(encoding: str, data: bytes, shape: Sequence[int], num_kept: int) -> np.ndarray:
    """The bool array that `encode_mask` was given.

    Never inflates beyond what the shape allows, whatever the data.

    Args:
        encoding: `"bits"` or `"gaps"`.
        data: zlib data.
        shape: of the mask.
        num_kept: how many weights it keeps.

    Raises:
        ValueError: the data is damaged, or not of such a mask.

    >>> decode_mask(*encode_mask(np.array([[True], [False]])), (2, 1), 1).tolist()
    [[True], [False]]
    """
    size = math.prod(shape)
    if encoding == "bits":
        flat = _from_bits(_inflated(data, -(-size // 8)), size)
    elif encoding == "gaps":
        raw = _inflated(data, num_kept + size // ESCAPE)
        flat = decode_gaps(np.frombuffer(raw, np.uint8), size)
    else:
        raise ValueError(f"unknown encoding {encoding!r}")
    if int(np.count_nonzero(flat)) != num_kept:
        raise ValueError(f"{np.count_nonzero(flat)} weights kept, wanted {num_kept}")
    return flat.reshape(shape)


def _from_bits(raw: bytes, size: int) -> np.ndarray:
    bits = np.unpackbits(np.frombuffer(raw, np.uint8))
    if len(raw) != -(-size // 8) or bits[size:].any():
        raise ValueError(f"{len(raw)} bytes of packed bits for {size} weights")
    return bits[:size].view(bool)  # zeros and ones


def _deflated(raw: bytes, strategy: int) -> bytes:
    deflate = zlib.compressobj(strategy=strategy)
    return deflate.compress(raw) + deflate.flush()


def _inflated(data: bytes, limit: int) -> bytes:
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(data, limit + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(raw) > limit or not inflate.eof or inflate.unused_data:
        raise ValueError("zlib data of another length than wanted")
    return raw
