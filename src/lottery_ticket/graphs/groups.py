"""Which channels of a graph are one: those that go from value to value without being mixed."""

from collections.abc import Mapping

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import fx

from lottery_ticket.graphs.moves import Moving
from lottery_ticket.graphs.operations import Operation

__all__ = ["Channels", "groups_of"]

Channels = dict[fx.Node, torch.Tensor]
"""Value → something of each of its channels."""


def groups_of(
    operations: Mapping[fx.Node, Operation], widths: Mapping[fx.Node, int]
) -> tuple[Channels, int]:
    """Value → `(channels,)` int64, the number of those that go with each; and how many there are.

    Args:
        operations: what each node does.
        widths: value → how many channels it has.
    """
    places, total = {}, 0
    for node, width in widths.items():
        places[node] = torch.arange(total, total + width)
        total += width
    pairs = [
        torch.stack([places[node][origin >= 0], places[source][origin[origin >= 0]]])
        for node, operation in operations.items()
        if isinstance(operation, Moving) and node in places
        for source, origin in operation.origins.items()
    ]
    rows, columns = torch.cat([torch.zeros(2, 0, dtype=torch.int64), *pairs], 1).numpy()
    ties = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(total, total))
    num_groups, group = connected_components(ties, directed=False)
    numbers = torch.from_numpy(group).long()
    return {node: numbers[place] for node, place in places.items()}, num_groups
