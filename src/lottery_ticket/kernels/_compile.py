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
    options: dict[str, Any] = {"fastmath": _REORDERED, "nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that it may write into: compiled anew in each process
        return numba.njit(**options)(function)
