"""A linear layer over its kept entries: forward, and the gradients by weights and by inputs."""

import numpy as np

from lottery_ticket.kernels._activations import activate, row_backward
from lottery_ticket.kernels._compile import compiled

__all__ = ["gather_batch", "input_gradient", "linear", "weight_gradient"]

_TILE = 16  # floats in a cache line


@compiled
def gather_batch(examples, rows, columns, out):
    """`out[c, b] = examples[rows[b], columns[c]]`: a batch, feature-major, of what is read.

    Args:
        examples: `(N, features)` float32.
        rows: `(batch,)` int64.
        columns: int64, ascending.
        out: `(len(columns), batch)` float32, written.
    """
    for first in range(0, columns.size, _TILE):
        last = min(first + _TILE, columns.size)
        for b in range(rows.size):
            example = examples[rows[b]]
            for c in range(first, last):
                out[c, b] = example[columns[c]]


@compiled
def linear(starts, columns, values, bias, x, out, activation):
    """`out = activation(W x + b)` with W in CSR.

    Args:
        starts: `(outputs + 1,)` int32.
        columns, values: `(kept,)` int32 and float32.
        bias: `(outputs,)` float32.
        x: `(inputs, batch)` float32.
        out: `(outputs, batch)` float32, written.
        activation: see `activation_backward`.
    """
    for o in range(starts.size - 1):
        row = out[o]
        row[:] = bias[o]
        _add_rows(columns, values, starts[o], starts[o + 1], x, row)
        activate(row, activation)


@compiled
def weight_gradient(starts, columns, x, g, grad, grad_bias):
    """`(g xᵀ)` on the kept entries only, and the sums of `g` over the batch.

    Args:
        starts, columns: the pattern.
        x: `(inputs, batch)`, what the layer read.
        g: `(outputs, batch)`, gradients by its outputs before the activation.
        grad, grad_bias: `(kept,)` and `(outputs,)`, written.
    """
    for o in range(starts.size - 1):
        row = g[o]
        total = np.float32(0)
        for b in range(row.size):
            total += row[b]
        grad_bias[o] = total
        k, end = starts[o], starts[o + 1]
        while k + 4 <= end:  # four at a time, so that `row` is read once for them
            x0, x1 = x[columns[k]], x[columns[k + 1]]
            x2, x3 = x[columns[k + 2]], x[columns[k + 3]]
            s0 = s1 = s2 = s3 = np.float32(0)
            for b in range(row.size):
                s0 += row[b] * x0[b]
                s1 += row[b] * x1[b]
                s2 += row[b] * x2[b]
                s3 += row[b] * x3[b]
            grad[k], grad[k + 1], grad[k + 2], grad[k + 3] = s0, s1, s2, s3
            k += 4
        while k < end:
            x0 = x[columns[k]]
            s0 = np.float32(0)
            for b in range(row.size):
                s0 += row[b] * x0[b]
            grad[k] = s0
            k += 1


@compiled
def input_gradient(starts, rows, values, g, x, out, activation):
    """`out = (Wᵀ g) · activation'(x)` with W compressed by *columns*.

    Args:
        starts: `(inputs + 1,)` int32.
        rows, values: `(kept,)`, the outputs that read each input, and by which weight.
        g: `(outputs, batch)`, gradients by the outputs before the activation.
        x: `(inputs, batch)`, what the layer read, after `activation`.
        out: `(inputs, batch)`, written.
        activation: of the layer before.
    """
    for i in range(starts.size - 1):
        row = out[i]
        row[:] = np.float32(0)
        _add_rows(rows, values, starts[i], starts[i + 1], g, row)
        row_backward(x[i], row, activation)


@compiled
def _add_rows(indices, values, start, end, matrix, out):
    """`out += Σ values[k] · matrix[indices[k]]`, eight at a time: `out` is read once for them."""
    k = start
    while k + 8 <= end:
        m0, m1, m2, m3 = (
            matrix[indices[k]],
            matrix[indices[k + 1]],
            matrix[indices[k + 2]],
            matrix[indices[k + 3]],
        )
        m4, m5, m6, m7 = (
            matrix[indices[k + 4]],
            matrix[indices[k + 5]],
            matrix[indices[k + 6]],
            matrix[indices[k + 7]],
        )
        v0, v1, v2, v3 = values[k], values[k + 1], values[k + 2], values[k + 3]
        v4, v5, v6, v7 = values[k + 4], values[k + 5], values[k + 6], values[k + 7]
        for b in range(out.size):
            out[b] += (v0 * m0[b] + v1 * m1[b] + v2 * m2[b] + v3 * m3[b]) + (
                v4 * m4[b] + v5 * m5[b] + v6 * m6[b] + v7 * m7[b]
            )
        k += 8
    while k < end:
        m0, v0 = matrix[indices[k]], values[k]
        for b in range(out.size):
            out[b] += v0 * m0[b]
        k += 1
