"""A step of a chain of linear layers without autograd: its derivatives are written out.

Most of a small net's step is not arithmetic but calls, fresh buffers and passes over memory. Here
buffers are made once, gradients land where the optimiser reads them, all parameters are one
vector, and a layer with few kept weights is executed on those alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket import kernels
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import MaskedParameters
from lottery_ticket.train._batches import Batch, Batches
from lottery_ticket.train._losses import Loss
from lottery_ticket.train.direct.chain import ChainLayer
from lottery_ticket.train.direct.flat import FlatParameters
from lottery_ticket.train.direct.layers import Array, HalfLayer, Layer, layer_of
from lottery_ticket.train.direct.layout import Layout, layouts_of
from lottery_ticket.train.direct.updates import update_of

__all__ = ["DirectStep"]

_EVALUATED = 256  # examples that go through the net at once, forward only


class DirectStep:
    """Trains a chain on the CPU, in float32; see `Step`.

    Args:
        chain: the model's layers, as `chain_of` finds them.
        model, optimizer: what `write_` brings up to date; their state is taken over.
        mask: what is kept, by parameter name; a layer that is not named is dense.
        batches: the data.
        loss: (output, target) → mean loss.
        clip_norm: the largest norm of all gradients together, or None.
        precision: of large dense layers, `"fp32"` or `"bf16"`; those in CSR are in float32.
        lay_out: what each layer keeps → how the layers lie in memory.
    """

    def __init__(
        self,
        chain: Sequence[ChainLayer],
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        mask: Mapping[str, torch.Tensor],
        batches: Batches,
        *,
        loss: Loss,
        clip_norm: float | None = None,
        precision: str = "fp32",
        lay_out: Callable[[Sequence[torch.Tensor]], Sequence[Layout]] = layouts_of,
    ) -> None:
        self._chain, self._model, self._optimizer = chain, model, optimizer
        self._batches, self._loss, self._clip_norm = batches, loss, clip_norm
        self._precision, self._lay_out = precision, lay_out
        self.gradients: Mapping[str, torch.Tensor] | None = None
        self.take_mask_(mask)

    def take_mask_(self, mask: Mapping[str, torch.Tensor]) -> None:
        """Lay out the layers anew, from the model and its optimiser as they are."""
        chain, optimizer, batches = self._chain, self._optimizer, self._batches
        parameters = dict(self._model.named_parameters())
        kept = [
            mask[layer.weight].cpu()
            if layer.weight in mask
            else torch.ones_like(parameters[layer.weight], dtype=torch.bool)
            for layer in chain
        ]
        self._mask = mask
        layouts = self._lay_out(kept)
        self._flat = FlatParameters(chain, layouts, parameters)
        self._update = update_of(optimizer, len(self._flat.values))
        self._flat.take_state_(self._update.state, optimizer)
        before = [None, *(layer.activation for layer in chain)]
        self._layers = [
            layer_of(layer, layout, self._flat, activation, self._precision)
            for layer, layout, activation in zip(chain, layouts, before, strict=False)
        ]
        self._halves = [layer for layer in self._layers if isinstance(layer, HalfLayer)]
        # what is clipped must be in one precision
        in_half = [layer.half for layer in self._halves] if self._clip_norm is None else []
        self._parts = self._flat.parts(in_half)
        self._x, self._y = batches.split.tensor.flatten(1), batches.split.y
        if self._x.shape[1] != kept[0].shape[1]:
            raise UsageError(
                f"the model reads {kept[0].shape[1]} values per example, the data has "
                f"{self._x.shape[1]}"
            )
        # compiled code checks nothing: a class that does not exist is left to torch to refuse
        num_classes = self._layers[-1].num_outputs
        self._has_own_loss = (
            self._loss is F.cross_entropy
            and self._y.dtype == torch.int64
            and 0 <= int(self._y.min()) <= int(self._y.max()) < num_classes
        )
        self._buffers: dict[int, _Buffers] = {}
        self.description: Mapping[str, Any] = {
            "step": "direct",
            "layers": {
                layer.weight: made.description
                for layer, made in zip(chain, self._layers, strict=True)
            },
        }

    def __call__(
        self, batch: Batch, lr: float, *, keep_gradients: bool = False
    ) -> torch.Tensor | float:
        """One update; returns the loss before it."""
        self.gradients = self._dense_gradients(batch) if keep_gradients else None
        buffers = self._buffers_of(len(batch.rows))
        output = self._forward(self._x, batch.rows, buffers)
        value = self._loss_and_gradient(output, self._y[batch.rows], buffers.gradients[-1])
        for depth in reversed(range(len(self._layers))):
            x, g = buffers.values[depth], buffers.gradients
            self._layers[depth].backward(x, g[depth], g[depth - 1] if depth else None)
        if self._clip_norm is not None:
            self._clip(self._clip_norm)
        self._update(self._parts, lr)
        if self._clip_norm is not None:
            for layer in self._halves:
                layer.round_weight()
        return value

    @torch.no_grad()
    def outputs(self, x: torch.Tensor | None = None, **named: torch.Tensor) -> torch.Tensor:
        """What the net as it is now says of examples (B, …)."""
        assert x is not None
        parts = []
        for examples in x.flatten(1).split(_EVALUATED):
            buffers = self._buffers_of(len(examples))
            rows = torch.arange(len(examples))
            parts.append(self._forward(examples, rows, buffers).t().clone())
        return torch.cat(parts)

    def write_(self) -> None:
        """Bring the model and its optimiser up to date."""
        self._flat.write_()
        self._flat.write_state_(self._update.state, self._optimizer)

    def _dense_gradients(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Of a step's masked parameters, before it: those of what is not executed exist nowhere
        else."""
        self._flat.write_()
        parameters = MaskedParameters(self._model, self._mask).parameters
        x, y = self._batches.take(batch)
        half = torch.autocast("cpu", torch.bfloat16, enabled=self._precision == "bf16")
        with torch.enable_grad(), half:
            value = self._loss(self._model(x), y)
        found = torch.autograd.grad(value, list(parameters.values()))
        return dict(zip(parameters, found, strict=True))

    def _clip(self, largest: float) -> None:
        """As torch.nn.utils.clip_grad_norm_ does, of what is kept."""
        for layer in self._halves:
            layer.widen_gradient()
        gradients = self._flat.gradients.masked_fill_(~self._flat.keep, 0.0)
        norm = torch.linalg.vector_norm(gradients)
        gradients.mul_((largest / (norm + 1e-6)).clamp_(max=1.0))

    def _buffers_of(self, batch_size: int) -> "_Buffers":
        if batch_size not in self._buffers:
            # what evaluation makes, training writes to later
            with torch.inference_mode(False):
                self._buffers[batch_size] = _Buffers(self._layers, batch_size)
        return self._buffers[batch_size]

    def _forward(
        self, examples: torch.Tensor, rows: torch.Tensor, buffers: "_Buffers"
    ) -> torch.Tensor:
        self._layers[0].read(examples, rows, buffers.values[0])
        for layer, x, out in zip(self._layers, buffers.values, buffers.values[1:], strict=False):
            layer.forward(x, out)
        return buffers.values[-1].tensor

    def _loss_and_gradient(
        self, output: torch.Tensor, target: torch.Tensor, gradient: Array
    ) -> float:
        if self._has_own_loss:
            return kernels.cross_entropy(output.numpy(), target.numpy(), gradient.array)
        leaf = output.t().clone().requires_grad_()  # any other loss: autograd knows it
        with torch.enable_grad():
            value = self._loss(leaf, target)
            (found,) = torch.autograd.grad(value, leaf)
        gradient.tensor.copy_(found.t())
        return value.item()


class _Buffers:
    """Activations and gradients of a batch: `values[d]` is what layer d reads."""

    def __init__(self, layers: Sequence[Layer], batch_size: int) -> None:
        inputs = layers[0].new_inputs(batch_size)
        self.values = [inputs, *(Array(layer.num_outputs, batch_size) for layer in layers)]
        self.gradients = [Array(layer.num_outputs, batch_size) for layer in layers]
