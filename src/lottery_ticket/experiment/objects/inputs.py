"""What a plan needs to know of the outside world."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

__all__ = ["Inputs"]


@dataclass(frozen=True)
class Inputs:
    """What a plan needs to know of the outside world.

    Args:
        data_digest: SHA-256 of the decoded data.
        num_train: training examples.
        data_options: the data set's options, except where its files lie.
        model_options: the model's options, those that follow from the data included.
        layers: parameter that is pruned → its shape, in model order.
        sources: (kind, name) → hash of the source, of what is the user's own code.
        input_shape: of one example.
        source: the same for the experiment that tickets are taken over from.
        input_dims: which dimension of a layer counts its inputs, where it is not 1.
        num_ignored: weights of prunable layers that the experiment leaves dense.
        start: digest of the weights that the model starts from, if a file holds them; where it
            lies the spec says.
        notes: what is odd about the data and yet allowed, a sentence each.
    """

    data_digest: str
    num_train: int
    data_options: Mapping[str, Any]
    model_options: Mapping[str, Any]
    layers: Mapping[str, tuple[int, ...]]
    sources: Mapping[tuple[str, str], str] = field(default_factory=dict)
    input_shape: tuple[int, ...] = ()
    source: "Inputs | None" = None
    input_dims: Mapping[str, int] = field(default_factory=dict)
    num_ignored: int = 0
    start: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Weights per prunable parameter."""
        return {name: prod(shape) for name, shape in self.layers.items()}
