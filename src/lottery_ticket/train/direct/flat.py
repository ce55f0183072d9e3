"""A chain's parameters as one vector, which an optimiser updates in one go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from lottery_ticket.train.direct.chain import ChainLayer
from lottery_ticket.train.direct.layout import Layout

__all__ = ["FlatParameters", "Half", "Part", "Piece"]


@dataclass(frozen=True)
class Piece:
    """One parameter's share of the vector.

    Args:
        name: the parameter's.
        start, stop: its place in the vector.
        positions: where these lie in the flattened parameter, int64; what is not there is zero.
    """

    name: str
    start: int
    stop: int
    positions: torch.Tensor


@dataclass(frozen=True)
class Half:
    """A weight that is also kept in bfloat16, and its gradient in nothing else.

    Args:
        name: the parameter's.
        weight, gradient: bfloat16, of its executed values.
    """

    name: str
    weight: torch.Tensor
    gradient: torch.Tensor


@dataclass(frozen=True)
class Part:
    """A stretch of the vector as an optimiser sees it.

    Args:
        start, stop: its place in the vector.
        values: float32.
        gradients: float32, or bfloat16 as uint16.
        keep: where its gradients count.
        halves: its values in bfloat16, as uint16, which the optimiser writes too; or empty.
    """

    start: int
    stop: int
    values: np.ndarray
    gradients: np.ndarray
    keep: np.ndarray
    halves: np.ndarray


class FlatParameters:
    """The executed and dormant parameters of a chain: values, gradients, and where they belong.

    `keep` is false where a value is pruned, in a layer that is executed dense.

    Args:
        chain, layouts: the layers, and how each is executed.
        parameters: the model's, by name; their values are taken.
    """

    def __init__(
        self,
        chain: Sequence[ChainLayer],
        layouts: Sequence[Layout],
        parameters: Mapping[str, nn.Parameter],
    ) -> None:
        self.pieces: dict[str, Piece] = {}
        stop, keep = 0, []
        for layer, layout in zip(chain, layouts, strict=True):
            positions = {layer.weight: layout.positions}
            keep.append(layout.kept)
            if layer.bias is not None:
                positions[layer.bias] = torch.cat([layout.outputs, layout.dormant_outputs])
                keep.append(torch.ones(len(positions[layer.bias]), dtype=torch.bool))
            for name, where in positions.items():
                start, stop = stop, stop + len(where)
                self.pieces[name] = Piece(name, start, stop, where)
        self._parameters = {name: parameters[name] for name in self.pieces}
        self._size = stop
        self.values = self._flattened(self._parameters)
        self.gradients = torch.zeros(stop)
        self.keep = torch.cat(keep)

    def executed(self, name: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The first `count` values of a parameter's piece, and their gradients, as views."""
        start = self.pieces[name].start
        return self.values[start : start + count], self.gradients[start : start + count]

    def parts(self, halves: Sequence[Half]) -> list[Part]:
        """The whole vector, cut where weights are kept in bfloat16 too."""
        parts, start = [], 0
        for half in halves:
            first = self.pieces[half.name].start
            last = first + half.weight.numel()
            parts += [self._part(start, first), self._part(first, last, half)]
            start = last
        parts.append(self._part(start, self._size))
        return [part for part in parts if part.start < part.stop]

    def _part(self, start: int, stop: int, half: Half | None = None) -> Part:
        here = slice(start, stop)
        gradients, halves = self.gradients[here].numpy(), np.empty(0, np.uint16)
        if half is not None:
            gradients, halves = _bits(half.gradient), _bits(half.weight)
        return Part(
            start, stop, self.values[here].numpy(), gradients, self.keep[here].numpy(), halves
        )

    @torch.no_grad()
    def write_(self) -> None:
        """Put the values into the model's parameters."""
        for name, parameter in self._parameters.items():
            self._scatter(name, self.values, parameter)

    def take_state_(self, state: dict[str, torch.Tensor], dense: torch.optim.Optimizer) -> None:
        """Fill an optimiser's memory over the vector from that of `dense`, over the model."""
        memories = {name: dense.state.get(p) for name, p in self._parameters.items()}
        for key, value in state.items():
            parts = {name: memory[key] for name, memory in memories.items() if memory}
            if parts:
                # a step count is the same for all
                is_count = value.ndim == 0
                value.copy_(next(iter(parts.values())) if is_count else self._flattened(parts))

    def write_state_(self, state: Mapping[str, torch.Tensor], dense: torch.optim.Optimizer) -> None:
        """The other way."""
        for name, parameter in self._parameters.items():
            for key, value in state.items():
                if value.ndim == 0:
                    dense.state[parameter][key] = value.clone()
                    continue
                whole = torch.zeros_like(parameter, requires_grad=False)
                self._scatter(name, value, whole)
                dense.state[parameter][key] = whole

    def _flattened(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        made = torch.empty(self._size)
        for name, piece in self.pieces.items():
            made[piece.start : piece.stop] = tensors[name].detach().flatten()[piece.positions]
        return made

    def _scatter(self, name: str, values: torch.Tensor, out: torch.Tensor) -> None:
        piece = self.pieces[name]
        out.detach().view(-1)[piece.positions] = values[piece.start : piece.stop]


def _bits(values: torch.Tensor) -> np.ndarray:
    return values.view(-1).view(torch.uint16).numpy()
