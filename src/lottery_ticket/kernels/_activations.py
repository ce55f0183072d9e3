"""Activations between layers, by number, since compiled code takes no names."""

import numpy as np

from lottery_ticket.kernels._compile import compiled

__all__ = ["IDENTITY", "RELU", "TANH", "activate", "activation_backward"]

IDENTITY, RELU, TANH = 0, 1, 2


@compiled
def activate(values, activation):
    """Apply an activation to a row, in place."""
    if activation == RELU:
        for b in range(values.size):
            # not max(): a NaN must stay one
            if values[b] < 0:
                values[b] = np.float32(0)
    elif activation == TANH:
        for b in range(values.size):
            values[b] = np.tanh(values[b])


@compiled
def activation_backward(outputs, gradients, activation):
    """Turn gradients by an activation's outputs into those by its inputs, in place.

    Args:
        outputs: `(features, batch)` float32, after the activation.
        gradients: the same shape.
        activation: `IDENTITY`, `RELU` or `TANH`.
    """
    for i in range(outputs.shape[0]):
        row_backward(outputs[i], gradients[i], activation)


@compiled
def row_backward(outputs, gradients, activation):
    """The same for one row."""
    if activation == RELU:
        for b in range(outputs.size):
            if outputs[b] <= 0:
                gradients[b] = np.float32(0)
    elif activation == TANH:
        for b in range(outputs.size):
            gradients[b] *= np.float32(1) - outputs[b] * outputs[b]
