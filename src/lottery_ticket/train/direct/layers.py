"""One linear layer of a chain, executed dense or in CSR: forward, and its gradients.

Feature-major throughout: activations are (features, batch), see `lottery_ticket.kernels`.
"""

from typing import Protocol

import torch

from lottery_ticket import kernels
from lottery_ticket.train.direct.chain import ChainLayer
from lottery_ticket.train.direct.flat import FlatParameters, Half
from lottery_ticket.train.direct.layout import Layout, Pattern

__all__ = ["HALF_FROM", "Array", "HalfLayer", "Layer", "layer_of"]

HALF_FROM = 60_000
"""Dense layers with fewer weights are executed in float32 under bf16 too: there, rounding takes
longer than it saves (`benchmarks/bench_bf16.py`)."""

_ACTIVATIONS = {None: kernels.IDENTITY, "relu": kernels.RELU, "tanh": kernels.TANH}


class Array:
    """A float32 array that torch and numpy both see; `tensor` is (features, batch)."""

    def __init__(self, num_features: int, batch_size: int, *, is_batch_major: bool = False) -> None:
        if is_batch_major:
            self.tensor = torch.zeros(batch_size, num_features).t()
        else:
            self.tensor = torch.zeros(num_features, batch_size)
        self.array = self.tensor.numpy()


class Layer(Protocol):
    """A layer in execution.

    Attributes:
        description: how, for the execution record.
    """

    description: str
    num_inputs: int
    num_outputs: int

    def new_inputs(self, batch_size: int) -> Array:
        """An array for what it reads, as a first layer."""
        ...

    def read(self, examples: torch.Tensor, rows: torch.Tensor, out: Array) -> None:
        """As a first layer: gather a batch from examples (N, features)."""
        ...

    def forward(self, x: Array, out: Array) -> None:
        """`out = activation(W x + b)`."""
        ...

    def backward(self, x: Array, g: Array, out: Array | None) -> None:
        """From gradients before its activation to those of its parameters, of pruned ones too in
        a dense layer, and, in `out`, to those before the activation of the layer below."""
        ...


def layer_of(
    layer: ChainLayer,
    layout: Layout,
    flat: FlatParameters,
    activation_before: str | None,
    precision: str,
) -> Layer:
    """The layer as its layout says."""
    if layout.pattern is not None:
        return SparseLayer(layer, layout, flat, activation_before)
    is_half = precision == "bf16" and layout.num_executed >= HALF_FROM
    made = HalfLayer if is_half else DenseLayer
    return made(layer, layout, flat, activation_before)


class _Layer:
    def __init__(
        self, layer: ChainLayer, layout: Layout, flat: FlatParameters, activation_before: str | None
    ) -> None:
        self.num_outputs, self.num_inputs = len(layout.outputs), len(layout.inputs)
        self._inputs = layout.inputs.numpy()
        self._weight, self._weight_grad = flat.executed(layer.weight, layout.num_executed)
        if layer.bias is None:
            self._bias, self._bias_grad = torch.zeros(2, self.num_outputs)
        else:
            self._bias, self._bias_grad = flat.executed(layer.bias, self.num_outputs)
        self._activation = _ACTIVATIONS[layer.activation]
        self._activation_before = _ACTIVATIONS[activation_before]


class DenseLayer(_Layer):
    """All weights between executed units, the pruned ones as zeros."""

    description = "dense fp32"

    def __init__(
        self, layer: ChainLayer, layout: Layout, flat: FlatParameters, activation_before: str | None
    ) -> None:
        super().__init__(layer, layout, flat, activation_before)
        shape = (self.num_outputs, self.num_inputs)
        self._weight, self._weight_grad = self._weight.view(shape), self._weight_grad.view(shape)

    def new_inputs(self, batch_size: int) -> Array:
        return Array(self.num_inputs, batch_size, is_batch_major=True)

    def read(self, examples: torch.Tensor, rows: torch.Tensor, out: Array) -> None:
        torch.index_select(examples, 0, rows, out=out.tensor.t())

    def forward(self, x: Array, out: Array) -> None:
        self._multiply(x.tensor, out.tensor)
        if self._activation == kernels.RELU:
            out.tensor.relu_()
        elif self._activation == kernels.TANH:
            out.tensor.tanh_()

    def backward(self, x: Array, g: Array, out: Array | None) -> None:
        self._weight_gradient(x.tensor, g.tensor)
        torch.sum(g.tensor, 1, out=self._bias_grad)
        if out is not None:
            self._input_gradient(g.tensor, out.tensor)
            kernels.activation_backward(x.array, out.array, self._activation_before)

    def _multiply(self, x: torch.Tensor, out: torch.Tensor) -> None:
        torch.addmm(self._bias.unsqueeze(1), self._weight, x, out=out)

    def _weight_gradient(self, x: torch.Tensor, g: torch.Tensor) -> None:
        torch.mm(g, x.t(), out=self._weight_grad)

    def _input_gradient(self, g: torch.Tensor, out: torch.Tensor) -> None:
        torch.mm(self._weight.t(), g, out=out)


class HalfLayer(DenseLayer):
    """The same with its products in bfloat16, as autocast has them.

    Another pass over the weights would take as long as a product: the optimiser reads the gradient
    as it is, in bfloat16, and writes the rounded weights while it has them at hand.
    """

    description = "dense bf16"

    def __init__(
        self, layer: ChainLayer, layout: Layout, flat: FlatParameters, activation_before: str | None
    ) -> None:
        super().__init__(layer, layout, flat, activation_before)
        weight = self._weight.bfloat16()
        self.half = Half(layer.weight, weight, torch.zeros_like(weight))
        self._buffers: dict[int, _HalfBuffers] = {}

    def widen_gradient(self) -> None:
        """Put the weights' gradient where those of other layers are."""
        self._weight_grad.copy_(self.half.gradient)

    def round_weight(self) -> None:
        """Bring the rounded weights up to date."""
        self.half.weight.copy_(self._weight)

    def _multiply(self, x: torch.Tensor, out: torch.Tensor) -> None:
        buffers = self._buffers_of(x, out)
        buffers.x.copy_(x)
        torch.mm(self.half.weight, buffers.x, out=buffers.out)
        torch.add(buffers.out, self._bias.unsqueeze(1), out=out)

    def _weight_gradient(self, x: torch.Tensor, g: torch.Tensor) -> None:
        buffers = self._buffers_of(x, g)
        buffers.g.copy_(g)
        torch.mm(buffers.g, buffers.x.t(), out=self.half.gradient)

    def _input_gradient(self, g: torch.Tensor, out: torch.Tensor) -> None:
        buffers = self._buffers_of(out, g)
        out.copy_(torch.mm(self.half.weight.t(), buffers.g))

    def _buffers_of(self, x: torch.Tensor, out: torch.Tensor) -> "_HalfBuffers":
        batch_size = out.shape[1]
        if batch_size not in self._buffers:
            # what evaluation makes, training writes to later
            with torch.inference_mode(False):
                self._buffers[batch_size] = _HalfBuffers(x, out)
        return self._buffers[batch_size]


class _HalfBuffers:
    """What a layer reads, makes and is told of a batch, rounded: backward reads `x` again."""

    def __init__(self, x: torch.Tensor, out: torch.Tensor) -> None:
        self.x = torch.empty_like(x, dtype=torch.bfloat16)
        self.out = torch.empty_like(out, dtype=torch.bfloat16)
        self.g = torch.empty_like(self.out)


class SparseLayer(_Layer):
    """The kept weights between executed units."""

    description = "csr fp32"

    def __init__(
        self, layer: ChainLayer, layout: Layout, flat: FlatParameters, activation_before: str | None
    ) -> None:
        super().__init__(layer, layout, flat, activation_before)
        pattern = layout.pattern
        assert isinstance(pattern, Pattern)
        self._starts, self._columns = pattern.starts.numpy(), pattern.columns.numpy()
        self._column_starts, self._rows = pattern.column_starts.numpy(), pattern.rows.numpy()
        self._by_column = pattern.by_column
        self._values_by_column = torch.empty(len(self._weight))
        self._values, self._grad = self._weight.numpy(), self._weight_grad.numpy()
        self._biases, self._bias_gradients = self._bias.numpy(), self._bias_grad.numpy()

    def new_inputs(self, batch_size: int) -> Array:
        return Array(self.num_inputs, batch_size)

    def read(self, examples: torch.Tensor, rows: torch.Tensor, out: Array) -> None:
        kernels.gather_batch(examples.numpy(), rows.numpy(), self._inputs, out.array)

    def forward(self, x: Array, out: Array) -> None:
        kernels.linear(
            self._starts, self._columns, self._values, self._biases, x.array, out.array,
            self._activation,
        )  # fmt: skip

    def backward(self, x: Array, g: Array, out: Array | None) -> None:
        kernels.weight_gradient(
            self._starts, self._columns, x.array, g.array, self._grad, self._bias_gradients
        )
        if out is not None:
            torch.index_select(self._weight, 0, self._by_column, out=self._values_by_column)
            kernels.input_gradient(
                self._column_starts, self._rows, self._values_by_column.numpy(), g.array, x.array,
                out.array, self._activation_before,
            )  # fmt: skip
