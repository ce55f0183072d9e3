"""Positions of kept weights as bytes: the distance from each to the one before.

A byte of 255 means "255 further, no weight here", any other byte "so much further, and kept"; the
first distance is that from position 0.
"""

import numpy as np

__all__ = ["ESCAPE", "decode_gaps", "encode_gaps"]

ESCAPE = 255


def encode_gaps(positions: np.ndarray) -> np.ndarray:
    """Ascending positions in a flat array → uint8.

    >>> encode_gaps(np.array([0, 3, 260])).tolist()
    [0, 3, 255, 2]
    """
    num_escapes, rest = np.divmod(np.diff(positions, prepend=0), ESCAPE)
    ends = np.cumsum(num_escapes + 1)
    code = np.full(ends[-1] if len(ends) else 0, ESCAPE, dtype=np.uint8)
    code[ends - 1] = rest
    return code


def decode_gaps(code: np.ndarray, size: int, *, piece_bytes: int = 1 << 20) -> np.ndarray:
    """uint8 → a flat bool array of `size`, True where a weight is kept.

    Takes little memory beside the result, whatever the code, since it is read piece by piece.

    Raises:
        ValueError: it is no such code.

    >>> np.flatnonzero(decode_gaps(np.array([0, 3, 255, 2], np.uint8), 261)).tolist()
    [0, 3, 260]
    """
    if code.dtype != np.uint8 or (len(code) > 0 and code[-1] == ESCAPE):
        raise ValueError(f"gaps that lead nowhere, in {size} weights")
    kept = np.zeros(size, dtype=bool)
    end, last = 0, -1
    for start in range(0, len(code), piece_bytes):
        piece = code[start : start + piece_bytes]
        ends = np.cumsum(piece, dtype=np.int64) + end
        positions = ends[piece != ESCAPE]
        if (np.diff(positions, prepend=last) <= 0).any() or (positions[-1:] >= size).any():
            raise ValueError(f"gaps that lead nowhere, in {size} weights")
        kept[positions] = True
        end, last = int(ends[-1]), int(positions[-1]) if len(positions) else last
    return kept
