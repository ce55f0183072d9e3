"""How kernels are compiled."""

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["compiled"]

# Sums may be reordered (a vector instruction adds several at once) and products fused, but NaN and
# infinity keep their meaning: a diverging training must be seen to diverge.
_REORDERED = {"reassoc", "contract", "nsz", "arcp"}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile at first use, keep the machine code on disk, and let other threads run meanwhile."""
    return numba.njit(fastmath=_REORDERED, nogil=True, cache=True, error_model="numpy")(function)
