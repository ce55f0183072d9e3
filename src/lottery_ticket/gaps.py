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


def decode_gaps(code: np.ndarray, size: int) -> np.ndarray:
    """uint8 → positions in a flat array of `size`; raises `ValueError` for what is no such code.

    >>> decode_gaps(np.array([0, 3, 255, 2], np.uint8), 261).tolist()
    [0, 3, 260]
    """
    positions = np.cumsum(code, dtype=np.int64)[code != ESCAPE]
    ends_open = len(code) > 0 and code[-1] == ESCAPE
    if ends_open or (np.diff(positions) <= 0).any() or (positions >= size).any():
        raise ValueError(f"gaps that lead nowhere, in {size} weights")
    return positions
