"""The updates of optimisers, one pass over a vector of parameters, as torch's compute them.

bfloat16, which numba has no type for, is the uint16 of its bits. What converts it stands in this
file since numba's cache on disk looks at a kernel's own file alone.
"""

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from lottery_ticket.kernels._compile import compiled

__all__ = ["adam_update", "sgd_update"]


def _widened(value):
    """A float32 as it is, a bfloat16's bits as the float32 they mean."""
    return value if type(value) is np.float32 else _from_bits(value)


@overload(_widened)
def _compiled_widened(value):
    if value == types.float32:
        return lambda value: value
    return lambda value: _from_bits(value)


@register_jitable
def _from_bits(value):
    return np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)


@register_jitable
def _rounded(value):
    """The bits of the nearest bfloat16, of two equally near ones the even one; NaN stays NaN."""
    bits = np.float32(value).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    nearest = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    return np.uint16(nearest) if value == value else np.uint16(0x7FC0)


@compiled
def sgd_update(values, gradients, keep, momenta, halves, lr, momentum, weight_decay, nesterov):
    """`d = g + λ w; v ← μ v + d; w ← w − lr (d + μ v if nesterov else v)`, in place.

    Args:
        values: `(n,)` float32.
        gradients: `(n,)` float32, or bfloat16 as the uint16 of its bits.
        keep: `(n,)` bool; where false the gradient counts as zero. Masking here, and not in a pass
            of its own, costs next to nothing.
        momenta: `(n,)`; empty when μ is 0.
        halves: `(n,)` uint16, what the new values are in bfloat16; empty where nobody asks.
        lr, momentum, weight_decay: float32 scalars.
        nesterov: bool.
    """
    zero = np.float32(0)
    if momenta.size == 0:
        for i in range(values.size):
            d = (_widened(gradients[i]) if keep[i] else zero) + weight_decay * values[i]
            values[i] -= lr * d
            if halves.size:
                halves[i] = _rounded(values[i])
    elif nesterov:
        for i in range(values.size):
            d = (_widened(gradients[i]) if keep[i] else zero) + weight_decay * values[i]
            momenta[i] = momentum * momenta[i] + d
            values[i] -= lr * (d + momentum * momenta[i])
            if halves.size:
                halves[i] = _rounded(values[i])
    else:
        for i in range(values.size):
            d = (_widened(gradients[i]) if keep[i] else zero) + weight_decay * values[i]
            momenta[i] = momentum * momenta[i] + d
            values[i] -= lr * momenta[i]
            if halves.size:
                halves[i] = _rounded(values[i])


@compiled
def adam_update(
    values,
    gradients,
    keep,
    means,
    squares,
    halves,
    beta1,
    beta2,
    rest1,
    rest2,
    step_size,
    scale,
    eps,
    weight_decay,
    decay,
):
    """`m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂) g²; w ← w − step_size m / (√v / scale + ε)`.

    Args:
        values, means, squares: `(n,)` float32.
        gradients, keep, halves: as in `sgd_update`.
        beta1, beta2, rest1, rest2: β₁, β₂, 1 − β₁ and 1 − β₂, each rounded to float32 by itself.
        step_size: `lr / (1 − β₁ᵗ)`.
        scale: `√(1 − β₂ᵗ)`.
        eps: ε.
        weight_decay: λ of Adam, added to the gradient as `λ w`.
        decay: `lr λ` of AdamW, which shrinks the weights themselves.
    """
    zero, one = np.float32(0), np.float32(1)
    for i in range(values.size):
        g = (_widened(gradients[i]) if keep[i] else zero) + weight_decay * values[i]
        means[i] = beta1 * means[i] + rest1 * g
        squares[i] = beta2 * squares[i] + rest2 * g * g
        step = step_size * means[i] / (np.sqrt(squares[i]) / scale + eps)
        values[i] = values[i] * (one - decay) - step
        if halves.size:
            halves[i] = _rounded(values[i])
