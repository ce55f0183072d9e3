"""Which hidden units of a net can take one another's places, and where each of them is written.

A unit is a channel that goes through the net unmixed: the output of a layer with its norm, its
activation, its share of a residual stream, and all that reads it. Two units can change places where
they take part in the same values in the same way; then so can all tensors with them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lottery_ticket.errors import UsageError

if TYPE_CHECKING:
    from torch import fx

    from lottery_ticket.graphs.groups import Channels
    from lottery_ticket.graphs.operations import Operation
    from lottery_ticket.graphs.trace import Trace

__all__ = ["Axis", "Group", "Units", "units_of"]

_INPUT, _OUTPUT = "an input of the net keeps its place", "an output of the net keeps its place"


@dataclass(frozen=True)
class Axis:
    """A dimension along which units lie.

    Args:
        units: `(size,)` int64, whose each place is.
        rank: `(size,)` int64, which of that unit's places: a flattened channel has several.
    """

    units: torch.Tensor
    rank: torch.Tensor

    @classmethod
    def of(cls, units: torch.Tensor) -> "Axis":
        """The places of a unit are counted in their order."""
        order, starts = _places(units)
        rank = torch.empty_like(units)
        rank[order] = torch.arange(len(units)) - starts[units[order]]
        return cls(units, rank)

    def index(self, moved: torch.Tensor) -> torch.Tensor:
        """Where each place is read, if unit u takes over what unit `moved[u]` was."""
        order, starts = _places(self.units, len(moved))
        return order[starts[moved[self.units]] + self.rank]

    def rows(self, units: torch.Tensor) -> torch.Tensor | None:
        """`(units, places)` int64, the places of each unit; None where they have none."""
        rows = torch.isin(self.units, units).nonzero().flatten()
        if not len(rows):
            return None
        order = rows[torch.argsort(self.units[rows], stable=True)]
        return order.view(len(units), -1)


def _places(units: torch.Tensor, num_units: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Places in the order of units, and where each unit's begin."""
    counts = torch.bincount(units, minlength=num_units)
    return torch.argsort(units, stable=True), counts.cumsum(0) - counts


@dataclass(frozen=True)
class Group:
    """Units that can take one another's places.

    Args:
        name: the first layer that writes them.
        units: their numbers, in order.
        readers: the values, by the names of their nodes, that layers read them from.
    """

    name: str
    units: torch.Tensor
    readers: tuple[str, ...]


@dataclass(frozen=True)
class Units:
    """The hidden units of a net.

    Args:
        num_units: how many there are, those that keep their places too.
        groups: those that can be permuted, in the order of the graph.
        axes: name of a tensor → dimension → the units along it.
        values: name of a node → the units of its channels.
        fixed: layer or operation → why units that it meets keep their places.
    """

    num_units: int
    groups: tuple[Group, ...]
    axes: Mapping[str, Mapping[int, Axis]]
    values: Mapping[str, Axis]
    fixed: Mapping[str, str]


def units_of(trace: "Trace", names: Iterable[str]) -> Units:
    """The hidden units of a net that was followed.

    Args:
        trace: of the model, in eval mode.
        names: of the tensors that its state holds.

    Raises:
        UsageError: none can be permuted.
    """
    from lottery_ticket.graphs.groups import groups_of
    from lottery_ticket.graphs.operations import OnTheWay, operations_of

    operations = operations_of(trace)
    widths = {
        node: value.shape[1]
        for node, operation in operations.items()
        if isinstance(value := trace.values[node], torch.Tensor) and value.ndim >= 2
        if node.op != "output" and not isinstance(operation, OnTheWay)
    }
    units, num_units = groups_of(operations, widths)
    values = {node: Axis.of(found) for node, found in units.items()}
    pinned = _pinned(operations, units, set(names))
    groups = _groups(operations, values, num_units, pinned)
    fixed = _fixed(operations, units, groups, pinned)
    if not groups:
        reasons = "; ".join(f"{layer}: {why}" for layer, why in fixed.items())
        raise UsageError(
            f"align: {type(trace.module).__name__} has no hidden units that could be permuted"
            f"{f' ({reasons})' if reasons else ''}"
        )
    axes = _axes(trace, operations, values)
    return Units(num_units, groups, axes, {n.name: axis for n, axis in values.items()}, fixed)


def _pinned(
    operations: "Mapping[fx.Node, Operation]", units: "Channels", names: set[str]
) -> dict[int, str]:
    """Unit → why it keeps its place."""
    from lottery_ticket.graphs.operations import Opaque

    found: dict[int, str] = {}
    for node, operation in operations.items():
        touched = []
        reason = ""
        if isinstance(operation, Opaque):
            reason = operation.reason or (_OUTPUT if node.op == "output" else _INPUT)
            touched = [node, *node.all_input_nodes]
        elif node.op == "get_attr" and node.target not in names:
            reason, touched = f"{node.target!r} is not part of the state", [node]
        for each in touched:
            for unit in units.get(each, torch.zeros(0)).tolist():
                found.setdefault(unit, reason)
    return found


def _groups(
    operations: "Mapping[fx.Node, Operation]",
    values: "Mapping[fx.Node, Axis]",
    num_units: int,
    pinned: Mapping[int, str],
) -> tuple[Group, ...]:
    """Units with the same part in the same values, two or more together."""
    from lottery_ticket.graphs.operations import Mixing

    parts = _parts(operations, values, num_units)
    alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for unit, part in enumerate(parts):
        if unit not in pinned:
            alike[tuple(part)].append(unit)
    layers = {n: op for n, op in operations.items() if isinstance(op, Mixing)}
    writer: dict[int, str] = {}
    for node in layers:
        for unit in values[node].units.tolist():
            writer.setdefault(unit, str(node.target))
    groups: list[Group] = []
    used: dict[str, int] = defaultdict(int)
    # nothing is gained by permuting units that no layer writes, such as constants
    for found in (units for units in alike.values() if len(units) > 1 and units[0] in writer):
        numbers, name = torch.tensor(found), writer[found[0]]
        used[name] += 1
        readers = dict.fromkeys(
            op.source.name
            for op in layers.values()
            if torch.isin(values[op.source].units, numbers).any()
        )
        label = name if used[name] == 1 else f"{name} ({used[name]})"
        groups.append(Group(label, numbers, tuple(readers)))
    order = list(dict.fromkeys(writer.values()))
    return tuple(sorted(groups, key=lambda group: order.index(writer[int(group.units[0])])))


def _parts(
    operations: "Mapping[fx.Node, Operation]", values: "Mapping[fx.Node, Axis]", num_units: int
) -> list[list[tuple[int, ...]]]:
    """Unit → for each of its places in each value, which place of it that is taken from."""
    from lottery_ticket.graphs.operations import Moving, Picking

    parts: list[list[tuple[int, ...]]] = [[] for _ in range(num_units)]
    for number, (node, axis) in enumerate(values.items()):
        operation, size = operations[node], len(axis.units)
        columns = [torch.full((size,), number)]
        if isinstance(operation, Moving):
            for source, origin in operation.origins.items():
                rank = values[source].rank[origin.clamp(min=0)]
                columns.append(torch.where(origin < 0, -1, rank))
        if isinstance(operation, Picking) and operation.positions is not None:
            columns.append(operation.index.cpu() % operation.positions)
        told = torch.stack(columns, 1).tolist()
        for place in torch.argsort(axis.units, stable=True).tolist():
            parts[int(axis.units[place])].append(tuple(told[place]))
    return parts


def _axes(
    trace: "Trace",
    operations: "Mapping[fx.Node, Operation]",
    values: "Mapping[fx.Node, Axis]",
) -> dict[str, dict[int, Axis]]:
    """Name of a tensor → dimension → the units along it."""
    from lottery_ticket.graphs.operations import Mixing

    found: dict[str, dict[int, Axis]] = {}
    for node, operation in operations.items():
        if node not in values:
            continue
        if node.op == "get_attr":
            found[str(node.target)] = {1: values[node]}
        elif node.op == "call_module":
            module = trace.module.get_submodule(str(node.target))
            for name, value in _tensors(module):
                if value.ndim and len(value) == len(values[node].units):
                    found[f"{node.target}.{name}"] = {0: values[node]}
            if isinstance(operation, Mixing):
                found[f"{node.target}.weight"][1] = values[operation.source]
    return found


def _tensors(module: nn.Module) -> Iterable[tuple[str, torch.Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


def _fixed(
    operations: "Mapping[fx.Node, Operation]",
    units: "Channels",
    groups: Iterable[Group],
    pinned: Mapping[int, str],
) -> dict[str, str]:
    """Layer → why units of it keep their places; what is not followed is named too."""
    from lottery_ticket.graphs.operations import Mixing, Opaque

    free = {unit for group in groups for unit in group.units.tolist()}
    found: dict[str, str] = {}
    for node, operation in operations.items():
        if isinstance(operation, Mixing):
            stays = [unit for unit in units[node].tolist() if unit not in free]
            if stays:
                found[str(node.target)] = pinned.get(stays[0], "no other unit is like it")
        elif isinstance(operation, Opaque) and operation.reason is not None:
            name = str(node.target) if node.op == "call_module" else node.name
            found[name] = operation.reason
    return found
