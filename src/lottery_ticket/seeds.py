"""One root seed → named, independent streams of random numbers.

Streams are drawn on CPU generators whatever the device, so that initial weights, permutations and
masks are the same everywhere.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["derive", "generator"]


def derive(root: int, *path: str | int) -> int:
    """The seed of the stream `path` below `root`: the first 63 bits of a SHA-256.

    >>> derive(0, "init") == derive(0, "init")
    True
    >>> derive(0, "init") == derive(0, "order", 1)
    False
    """
    text = "\x1f".join([str(root), *(f"{type(part).__name__}:{part}" for part in path)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *path: str | int) -> "torch.Generator":
    """A fresh CPU generator on the stream `path` below `seed` (on `seed` itself without a path)."""
    import torch

    made = torch.Generator(device="cpu")
    made.manual_seed(derive(seed, *path) if path else seed)
    return made
