"""Several sparse linear layers in one call."""

import numpy as np

from lottery_ticket.kernels._compile import compiled
from lottery_ticket.kernels._csr import linear

__all__ = ["linear_chain"]

_LINE = 16  # floats in a cache line
_EXAMPLES = 128  # at a time, so that what a layer reads and writes stays in the cache


@compiled
def linear_chain(examples, read, starts, columns, values, bias, widths, activations, out):
    """`out = chain(examples)`, layer after layer as `linear` has it.

    Args:
        examples: `(N, features)` float32.
        read: int64, ascending: the features that the first layer's columns count.
        starts: int32, the `(outputs + 1,)` starts of each layer behind one another.
        columns, values: int32 and float32, of all layers behind one another.
        bias: float32, of all layers behind one another.
        widths: `(layers,)` int64, outputs of each layer.
        activations: `(layers,)` int64, see `activation_backward`.
        out: `(N, outputs)` float32, written.
    """
    widest = max(read.size, widths.max())
    x_space = np.empty(widest * _EXAMPLES, np.float32)
    y_space = np.empty(widest * _EXAMPLES, np.float32)
    for first in range(0, examples.shape[0], _EXAMPLES):
        some = examples[first : first + _EXAMPLES]
        size = some.shape[0]
        x = x_space[: read.size * size].reshape(read.size, size)
        _transpose(some, read, x)
        start = 0
        for layer in range(widths.size):
            end = start + widths[layer]
            y = y_space[: widths[layer] * size].reshape(widths[layer], size)
            own = starts[start + layer : end + layer + 1]
            linear(own, columns, values, bias[start:end], x, y, activations[layer])
            x_space, y_space = y_space, x_space
            x, start = y, end
        for b in range(size):
            for o in range(x.shape[0]):
                out[first + b, o] = x[o, b]


@compiled
def _transpose(examples, read, out):
    """`out[f, b] = examples[b, read[f]]`; a cache line of them at a time, so as to be unrolled."""
    whole = examples.shape[0] // _LINE * _LINE
    for first in range(0, whole, _LINE):
        for f in range(read.size):
            row, feature = out[f], read[f]
            for b in range(_LINE):
                row[first + b] = examples[first + b, feature]
    for b in range(whole, examples.shape[0]):
        for f in range(read.size):
            out[f, b] = examples[b, read[f]]
