"""bfloat16 as the uint16 of its bits, which numba has no type for."""

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

__all__ = ["rounded", "widened"]


def widened(value):
    """A float32 as it is, a bfloat16's bits as the float32 they mean."""
    return value if type(value) is np.float32 else _from_bits(value)


@overload(widened)
def _widened(value):
    if value == types.float32:
        return lambda value: value
    return lambda value: _from_bits(value)


@register_jitable
def _from_bits(value):
    return np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)


@register_jitable
def rounded(value):
    """The bits of the nearest bfloat16, of two equally near ones the even one; NaN stays NaN."""
    bits = np.float32(value).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    nearest = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    return np.uint16(nearest) if value == value else np.uint16(0x7FC0)
