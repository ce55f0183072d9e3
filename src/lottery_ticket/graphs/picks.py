"""What operations pick of the channels before them, found by moving numbers instead of values.

An operation that moves values and does nothing else (a slice, a permutation, a split) is run on the
places of the values it reads; what comes out says where each value is from. Several together may
pick where one alone does not, as the view, transposition and view of a shuffle of channels.
"""

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from lottery_ticket.graphs.moves import Moving, each_to_itself
from lottery_ticket.graphs.trace import execute, may_be_along_examples, target_name

__all__ = ["OnTheWay", "Path", "Picking", "followed", "path_of"]

_EXAMPLES = 3  # enough to see that examples stay apart, but for what `_may_mix` looks at
_EXPANDING = ("expand", "broadcast_to")


@dataclass(frozen=True, kw_only=True)
class Picking(Moving):
    """Channels or features of one value, in any order, some of them more than once.

    Args:
        index: `(outputs,)` int64: of the channels of the value, or of its features.
        positions: how many features a channel has, where features are picked; None for channels.
        start: the operation that reads the value: the pick itself, or the first on the way to it.
        is_view: whether it shares the value's memory.
        device: where both are.
    """

    index: torch.Tensor
    positions: int | None = None
    start: fx.Node
    is_view: bool
    device: torch.device

    @property
    def source(self) -> fx.Node:
        (source,) = self.origins
        return source

    def picked(self, value: torch.Tensor) -> torch.Tensor:
        """Of a value of the source, the same channels."""
        whole = value if self.positions is None else value.flatten(1)
        return whole.index_select(1, self.index)


@dataclass(frozen=True)
class OnTheWay:
    """An operation between a value and what is picked of it, that nothing else reads.

    Args:
        start: the operation that reads the value.
    """

    start: fx.Node


@dataclass(frozen=True)
class Path:
    """Operations that move the values of one node and do nothing else.

    Args:
        source: that node.
        start: the first operation.
        numbers: the places in a batch of the source that values come from; a tuple of several.
    """

    source: fx.Node
    start: fx.Node
    numbers: Any


def path_of(
    node: fx.Node,
    source: fx.Node,
    before: Path | None,
    module: torch.nn.Module,
    values: Mapping[fx.Node, Any],
) -> Path | None:
    """The path to a node that moves values; None if it may do something else.

    Args:
        node: the operation.
        source: whose values it moves.
        before: the path to `source`; None where that is a value with channels of its own.
        module: what the graph is of.
        values: what each node gave for one example.
    """
    if _may_mix(node, values[source]):
        return None
    if before is None:
        shape = (_EXAMPLES, *values[source].shape[1:])
        # float64 is exact to 2^53, and taken by whatever takes values
        numbers = torch.arange(math.prod(shape), dtype=torch.float64).view(shape)
        before = Path(source, node, numbers)
    found = _run(node, module, values, {source: before.numbers})
    return None if found is None else Path(before.source, before.start, found)


def followed(
    node: fx.Node, path: Path, module: torch.nn.Module, values: Mapping[fx.Node, Any]
) -> Moving | None:
    """What the last operation of a path does to the channels of its source; None if they are mixed.

    Args:
        node: that operation.
        path: the path to it.
        module: what the graph is of.
        values: what each node gave for one example.
    """
    read, value, numbers = values[path.source], values[node], path.numbers
    if not isinstance(numbers, torch.Tensor) or numbers.ndim < 2 or value.dtype != read.dtype:
        return None
    size, width = read.numel(), read.shape[1]
    first = numbers[0].long()
    starts = size * torch.arange(_EXAMPLES).view(-1, *[1] * first.ndim)
    is_apart = len(numbers) == _EXAMPLES and bool((numbers == first + starts).all())
    if not is_apart or not first.numel():
        return None
    positions = size // width
    origin = first.flatten(1)[:, 0] // positions if first.ndim > 1 else first // positions
    whole = origin.view(-1, 1) * positions + torch.arange(positions)
    are_whole = first.shape[1:] == read.shape[2:] and torch.equal(first.view(whole.shape), whole)
    if are_whole or first.ndim == 1:
        return Picking(
            {path.source: origin},
            index=origin if are_whole else first,
            positions=None if are_whole else positions,
            start=path.start,
            is_view=value.untyped_storage().data_ptr() == read.untyped_storage().data_ptr(),
            device=value.device,
        )
    if path.start is node and _is_any_width(node, path, module, values):
        return each_to_itself(path.source, values, value)
    return None


def _is_any_width(
    node: fx.Node, path: Path, module: torch.nn.Module, values: Mapping[fx.Node, Any]
) -> bool:
    """Whether it does the same to each channel, however many there are."""
    read = values[path.source]
    more = (_EXAMPLES, read.shape[1] + 1, *read.shape[2:])
    numbers = torch.arange(math.prod(more), dtype=torch.float64).view(more)
    ours = torch.arange(_EXAMPLES * read.numel(), dtype=torch.float64)
    numbers[:, :-1] = ours.view(_EXAMPLES, *read.shape[1:])
    numbers[:, -1] = -1
    found = _run(node, module, values, {path.source: numbers})
    return (
        isinstance(found, torch.Tensor)
        and found.ndim == path.numbers.ndim
        and torch.equal(found[:, :-1], path.numbers)
        and bool((found[:, -1] == -1).all())
    )


def _run(
    node: fx.Node,
    module: torch.nn.Module,
    values: Mapping[fx.Node, Any],
    moved: Mapping[fx.Node, Any],
) -> Any:
    """What a node gives for other values of those it reads; None where it does not take them."""

    def value_of(other: fx.Node) -> Any:
        if other in moved:
            return moved[other]
        value = values[other]
        return value.cpu() if isinstance(value, torch.Tensor) else _EXAMPLES

    try:
        with torch.no_grad():
            return execute(node, module, value_of)
    except Exception:  # whatever torch raises at shapes that it does not take
        return None


def _may_mix(node: fx.Node, read: Any) -> bool:
    """Whether it may do to batches of another size what is not seen at `_EXAMPLES`."""
    if target_name(node) in _EXPANDING:
        return any(other.target == "size" for other in node.all_input_nodes)
    if not isinstance(read, torch.Tensor):  # what was split
        return False
    if node.target is operator.getitem:
        return not _takes_all_examples(node.args[1], read.ndim)
    return may_be_along_examples(node, read.ndim)


def _takes_all_examples(index: Any, ndim: int) -> bool:
    index = index if isinstance(index, tuple) else (index,)
    if index and index[0] is Ellipsis:
        return len(index) <= ndim
    return bool(index) and isinstance(index[0], slice) and index[0] == slice(None)
