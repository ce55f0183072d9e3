"""How many weights are to be kept, worked out anew in exact fractions."""

from fractions import Fraction
from math import floor

__all__ = ["DENSITY", "check_counts", "num_to_keep"]

DENSITY = 0.3


def num_to_keep(size, density=DENSITY):
    return size - floor((1 - Fraction(str(density))) * size + Fraction(1, 2))


def erk_shares(mask, total):
    """Layer → its share by Erdős–Rényi-Kernel, by bisection; a fraction of a weight."""
    low, high = 0.0, float(total)
    for _ in range(100):
        scale = (low + high) / 2
        shares = {n: min(m.numel(), scale * sum(m.shape)) for n, m in mask.items()}
        low, high = (scale, high) if sum(shares.values()) < total else (low, scale)
    return shares


def check_counts(mask, scope):
    sizes = {name: kept.numel() for name, kept in mask.items()}
    counts = {name: int(kept.sum()) for name, kept in mask.items()}
    if scope == "layerwise":
        assert counts == {name: num_to_keep(size) for name, size in sizes.items()}
    else:
        assert sum(counts.values()) == num_to_keep(sum(sizes.values()))
    if scope == "erk":
        shares = erk_shares(mask, sum(counts.values()))
        assert all(abs(counts[name] - share) <= 1 for name, share in shares.items())
