"""Functions that move channels, as `Moving` operations; None where they do something else."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from lottery_ticket.graphs.vocabulary import (
    BETWEEN,
    BY_VALUE,
    CAT,
    DROPOUTS,
    OVER_POSITIONS,
    POOLS,
    RESHAPES,
)

__all__ = ["Moving", "each_to_itself", "flattened", "moving"]

Values = Mapping[fx.Node, Any]
Sources = Sequence[fx.Node]


@dataclass(frozen=True)
class Moving:
    """Each channel from at most one channel of each source; without sources, a constant.

    Args:
        origins: source → `(outputs,)` int64, the channel that is taken; −1 for none.
        is_cut: `(outputs,)` bool, whether it is multiplied by zero on the way; None for nowhere.
    """

    origins: Mapping[fx.Node, torch.Tensor]
    is_cut: torch.Tensor | None = None


def moving(node: fx.Node, sources: Sources, values: Values) -> Moving | None:
    """What a function or method does.

    Args:
        node: the call.
        sources: the values with channels that it reads.
        values: what each node gave.
    """
    target, source, value = node.target, sources[0], values[node]
    if target in CAT:
        return _joined(node, sources, values)
    if target in BETWEEN:
        return _between(sources, values, value)
    if len(sources) > 1:
        return None
    ndim = values[source].ndim
    is_still = target in DROPOUTS and node.kwargs.get("training") is False
    if (
        (target in BY_VALUE or is_still)
        or POOLS.get(target) == ndim - 2
        or (target in OVER_POSITIONS and _is_over_positions(node, ndim))
    ):
        return each_to_itself(source, values, value)
    if target in RESHAPES:
        return flattened(source, values, value) or _reshaped(source, values, value)
    return _padded(node, source, values) if target is F.pad else None


def each_to_itself(
    source: fx.Node, values: Values, value: torch.Tensor, cut: torch.Tensor | None = None
) -> Moving | None:
    """Channel c from channel c."""
    width = values[source].shape[1]
    return Moving({source: torch.arange(width)}, cut) if value.shape[1] == width else None


def flattened(source: fx.Node, values: Values, value: torch.Tensor) -> Moving | None:
    """Several channels from each: its positions."""
    read = values[source]
    if value.shape != (1, math.prod(read.shape[1:])) or value.dtype != read.dtype:
        return None
    each = value.shape[1] // read.shape[1]
    return Moving({source: torch.arange(read.shape[1]).repeat_interleave(each)})


def _reshaped(source: fx.Node, values: Values, value: torch.Tensor) -> Moving | None:
    """The positions of each channel in another shape."""
    read = values[source]
    is_alike = value.numel() == read.numel() and value.dtype == read.dtype
    return each_to_itself(source, values, value) if is_alike else None


def _between(sources: Sources, values: Values, value: torch.Tensor) -> Moving | None:
    read = [values[source] for source in sources]
    if any(r.ndim != value.ndim or r.shape[1] != value.shape[1] for r in read):
        return None
    return Moving({source: torch.arange(value.shape[1]) for source in sources})


def _joined(node: fx.Node, sources: Sources, values: Values) -> Moving | None:
    parts: Any = node.args[0] if node.args else node.kwargs["tensors"]
    dim: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    value = values[node]
    # else a tuple of values is joined, or what has no channels of its own
    is_plain = isinstance(parts, Sequence) and all(part in sources for part in parts)
    if dim % value.ndim != 1 or not is_plain:
        return None
    origins, start = {source: torch.full((value.shape[1],), -1) for source in sources}, 0
    for source in parts:
        width = values[source].shape[1]
        origins[source][start : start + width] = torch.arange(width)
        start += width
    return Moving(origins)


def _padded(node: fx.Node, source: fx.Node, values: Values) -> Moving | None:
    pads: Any = node.args[1] if len(node.args) > 1 else node.kwargs["pad"]
    num_dims, value = len(pads) // 2, values[node]
    if num_dims <= value.ndim - 2:
        return each_to_itself(source, values, value)
    if num_dims > value.ndim - 1 or min(pads[-2:]) < 0:
        return None
    width = values[source].shape[1]
    origin = torch.full((value.shape[1],), -1)
    origin[pads[-2] : pads[-2] + width] = torch.arange(width)
    return Moving({source: origin})


def _is_over_positions(node: fx.Node, ndim: int) -> bool:
    """Whether a reduction is over dimensions behind the channels alone."""
    dims: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    dims = [dims] if isinstance(dims, int) else dims
    return bool(dims) and all(isinstance(d, int) and d % ndim >= 2 for d in dims)
