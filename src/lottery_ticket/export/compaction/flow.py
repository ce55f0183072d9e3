"""Which channels of a graph are constant, which are read, and so which may go."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from lottery_ticket.graphs.groups import Channels, groups_of
from lottery_ticket.graphs.operations import (
    Mixing,
    Moving,
    OnTheWay,
    Opaque,
    Operation,
    Picking,
    operations_of,
)
from lottery_ticket.graphs.trace import Trace, execute

__all__ = ["Flow", "flow_of"]

Operations = Mapping[fx.Node, Operation]


@dataclass(frozen=True)
class Flow:
    """What of each value must stay.

    Args:
        operations: what each node does.
        is_kept: value → `(channels,)` bool.
        is_input: value → `(channels,)` bool, whether the channel goes with one of the net's inputs.
        constants: value → `(1, channels, …)` float64, its value where that does not depend on the
            inputs, 0 elsewhere.
        stuck: value → why channels that are constant or unread stay.
    """

    operations: Operations
    is_kept: Channels
    is_input: Channels
    constants: Channels
    stuck: Mapping[fx.Node, str]


def flow_of(trace: Trace) -> Flow:
    """Follow constants forwards and reading backwards, and take away what is either.

    Channels that are moved to one another, by an addition say, go together or not at all. One pass
    each way is enough: what stays for another's sake is not read, and so reads nothing.
    """
    operations = operations_of(trace)
    is_known, constants = _constants(trace, operations)
    is_read = _read(operations, is_known)
    is_free = {node: known | ~is_read[node] for node, known in is_known.items()}
    widths = {node: len(known) for node, known in is_known.items()}
    group, num_groups = groups_of(operations, widths)
    stays = torch.zeros(num_groups, dtype=torch.bool)
    for node, free in is_free.items():
        stays[group[node][~free]] = True
    pins = _pins(operations, group)
    for groups in pins.values():
        stays[groups] = True
    stuck = {}
    for node, groups in group.items():
        if len(groups) and not stays[groups].any():
            stuck[node] = "nothing of it matters; one stays, since no layer has a width of 0"
            stays[groups[0]] = True
    is_kept = {node: stays[groups] for node, groups in group.items()}
    stuck = _stuck(operations, is_free, is_kept, group, pins) | stuck
    is_input = torch.zeros(num_groups, dtype=torch.bool)
    for node, groups in group.items():
        if node.op == "placeholder":
            is_input[groups] = True
    inputs = {node: is_input[groups] for node, groups in group.items()}
    return Flow(operations, is_kept, inputs, constants, stuck)


def _constants(trace: Trace, operations: Operations) -> tuple[Channels, Channels]:
    """Which channels do not depend on the inputs, and what they are, in float64."""
    module = copy.deepcopy(trace.module).to("cpu", torch.float64)
    values: dict[fx.Node, Any] = {}
    is_known: Channels = {}
    for node, operation in operations.items():
        traced = trace.values[node]
        has_channels = isinstance(traced, torch.Tensor) and traced.ndim >= 2
        if not has_channels or node.op == "output" or isinstance(operation, OnTheWay):
            values[node] = traced
            continue
        known = torch.zeros(traced.shape[1], dtype=torch.bool)
        values[node] = torch.zeros(traced.shape, dtype=torch.float64)
        if not isinstance(operation, Opaque):
            known = _is_known(operation, is_known, len(known))
            with torch.no_grad():
                found = _executed(node, operation, module, values)
            values[node] = torch.where(_along(known, found), found, 0.0)
        is_known[node] = known
    return is_known, {node: values[node] for node in is_known}


def _executed(
    node: fx.Node, operation: Mixing | Moving, module: fx.GraphModule, values: Mapping[fx.Node, Any]
) -> torch.Tensor:
    if isinstance(operation, Picking):
        return operation.picked(values[operation.source])
    # copies: what writes in place leaves its input as others read it
    return execute(node, module, lambda source: _copied(values[source]))


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def _is_known(operation: Mixing | Moving, is_known: Channels, width: int) -> torch.Tensor:
    if isinstance(operation, Mixing):
        return ~operation.reads[:, ~is_known[operation.source]].any(1)
    known = torch.ones(width, dtype=torch.bool)
    for source, origin in operation.origins.items():
        known &= is_known[source][origin.clamp(min=0)] | (origin < 0)
    return known if operation.is_cut is None else known | operation.is_cut


def _read(operations: Operations, is_known: Channels) -> Channels:
    """Which channels have an effect on an output; a constant one needs nobody."""
    is_read = {node: torch.zeros_like(known) for node, known in is_known.items()}
    for node, operation in reversed(list(operations.items())):
        if isinstance(operation, OnTheWay):
            continue
        if isinstance(operation, Opaque):
            for source in node.all_input_nodes:
                if source in is_read:
                    is_read[source][:] = True
        elif isinstance(operation, Mixing):
            wanted = is_read[node] & ~is_known[node]
            is_read[operation.source] |= operation.reads[wanted].any(0)
        elif node in is_read:
            wanted = is_read[node] & ~is_known[node]
            for source, origin in operation.origins.items():
                is_read[source][origin[wanted & (origin >= 0)]] = True
    return is_read


def _pins(operations: Operations, group: Channels) -> dict[fx.Node, torch.Tensor]:
    """Opaque node → the groups that it touches, and so keeps."""
    none = torch.zeros(0, dtype=torch.int64)
    return {
        node: torch.cat(
            [none, *(group[n] for n in (node, *node.all_input_nodes) if n in group)]
        ).unique()
        for node, operation in operations.items()
        if isinstance(operation, Opaque)
    }


def _stuck(
    operations: Operations,
    is_free: Channels,
    is_kept: Channels,
    group: Channels,
    pins: Mapping[fx.Node, torch.Tensor],
) -> dict[fx.Node, str]:
    """Layers that keep outputs which are constant or unread, and why."""
    found = {}
    for node, operation in operations.items():
        if not isinstance(operation, Mixing):
            continue
        idle = group[node][is_free[node] & is_kept[node]]
        holders = [n for n, groups in pins.items() if torch.isin(idle, groups).any()]
        named = [n.name for n in holders if operations[n] != Opaque()]
        if len(idle) == 0 or (holders and not named):
            continue
        why = f"meet {named[0]}, which is not followed" if named else "are joined to others"
        found[node] = f"{len(idle)} of {len(is_free[node])} do nothing, but {why}"
    return found


def _along(channels: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Shaped so that it broadcasts along the dimension of channels."""
    return channels.view(1, -1, *[1] * (value.ndim - 2))
