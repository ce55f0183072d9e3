"""What a caller of `score` gave, in the form in which criteria ask for it."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.criteria._batch_loss import BatchLoss, Loss, default_batch_loss
from lottery_ticket.criteria._batches import DeviceBatches, example_shape, first
from lottery_ticket.criteria._criterion import INPUTS, Criterion
from lottery_ticket.criteria._prepared import scored_parameters
from lottery_ticket.errors import UsageError

__all__ = ["Given"]

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Given:
    """The arguments of `score`: whether they are enough, and what a criterion is given of them."""

    model: nn.Module | None
    weights: Tensors | None
    initial: Tensors | None
    mask: Tensors
    kept: Tensors
    batches: Iterable[Any] | None
    loss: Loss | None
    batch_loss: BatchLoss | None
    input_shape: Sequence[int] | None
    generator: torch.Generator | None

    @property
    def device(self) -> torch.device | None:
        """Where the model is; None without one."""
        parameter = None if self.model is None else next(self.model.parameters(), None)
        return None if parameter is None else parameter.device

    def check_for(self, criterion: Criterion) -> None:
        """Raises `UsageError` if something that `criterion` needs is missing."""
        is_there = {
            "weights": self.weights is not None or self.model is not None,
            "batch": self.batches is not None,
            "loss": self.batch_loss is None,
            "batch_loss": True,
            "input_shape": self.input_shape is not None or self.batches is not None,
        }
        for name in INPUTS:
            if name in criterion.needs and not is_there.get(
                name, getattr(self, name, None) is not None
            ):
                raise UsageError(
                    f"criterion {criterion.name!r} needs {_listed(criterion.needs)}, and got no "
                    f"{name}: pass {INPUTS[name]}"
                )

    def inputs(self, needs: Iterable[str]) -> dict[str, Any]:
        """What a criterion is given, by name; tensors by name are copies, the model is itself."""
        batches = self._batches(is_repeated="batches" in needs)
        first_batch = functools.cache(lambda: first(batches))
        sources: dict[str, Callable[[], Any]] = {
            "weights": self._masked_weights,
            "initial": lambda: self._copies(self.initial),
            "mask": lambda: self._copies(self.mask),
            "kept": lambda: self._copies(self.kept),
            "batches": lambda: batches,
            "batch": first_batch,
            "loss": lambda: self.loss or F.cross_entropy,
            "batch_loss": lambda: self.batch_loss or default_batch_loss(self.loss),
            "input_shape": lambda: (
                _shape_of(first_batch()) if self.input_shape is None else tuple(self.input_shape)
            ),
        }
        return {name: sources.get(name, lambda name=name: getattr(self, name))() for name in needs}

    def _batches(self, *, is_repeated: bool) -> DeviceBatches:
        source = () if self.batches is None else self.batches
        if is_repeated and isinstance(source, Iterator):
            source = list(source)
        return DeviceBatches(source, self.device)

    def _copies(self, tensors: Tensors | None) -> dict[str, torch.Tensor]:
        assert tensors is not None
        return {name: tensors[name].detach().clone() for name in self.mask}

    def _masked_weights(self) -> dict[str, torch.Tensor]:
        weights = self.weights
        if weights is None:
            assert self.model is not None
            weights = scored_parameters(self.model, self.mask)
        return {
            name: weights[name].detach().masked_fill(~kept.to(weights[name].device), 0.0)
            for name, kept in self.mask.items()
        }


def _shape_of(batch: Any) -> tuple[int, ...]:
    shape = example_shape(batch)
    if shape is None:
        raise UsageError(
            "the shape of an example cannot be told from the first batch, which is no (x, y) "
            "with x a tensor of floating-point numbers; pass input_shape=(3, 32, 32)"
        )
    return shape


def _listed(names: Iterable[str]) -> str:
    *most, last = sorted(names, key=list(INPUTS).index)
    return f"{', '.join(most)} and {last}" if most else last
