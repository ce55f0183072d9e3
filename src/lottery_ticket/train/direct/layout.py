"""How a pruned linear layer lies in memory when only what matters is executed.

What no kept weight reads is cut away: input pixels, and hidden units. A unit that nothing reads
still has weights, which keep their values (or decay) and are ranked again when the next mask is
made: they are *dormant*, in the flat vector of parameters but with a gradient of zero. A unit
that reads nothing but is read stays: its bias trains.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

__all__ = ["SPARSE_BELOW", "SPARSE_UP_TO", "Layout", "Pattern", "layouts_of"]

SPARSE_BELOW = 0.2
"""A layer with a smaller share of kept weights is executed in CSR (`benchmarks/bench_rules.py`)."""

SPARSE_UP_TO = 1500
"""So is one with at most so many kept weights, where calls cost more than arithmetic."""


@dataclass(frozen=True)
class Pattern:
    """The kept entries of a layer, compressed by rows and by columns.

    Args:
        starts: `(outputs + 1,)` int32; entries `starts[o] : starts[o + 1]` belong to output o.
        columns: `(kept,)` int32, the input that each entry reads.
        column_starts: `(inputs + 1,)` int32, the same by inputs.
        rows: `(kept,)` int32, the output of each entry, by inputs.
        by_column: `(kept,)` int64, where the entries by inputs lie among those by outputs.
    """

    starts: torch.Tensor
    columns: torch.Tensor
    column_starts: torch.Tensor
    rows: torch.Tensor
    by_column: torch.Tensor


@dataclass(frozen=True)
class Layout:
    """What of a layer is executed, and how.

    Args:
        outputs, inputs: numbers of the units that are executed, int64, ascending.
        pattern: of the executed part when it is executed in CSR; None when it is dense.
        positions: where the flat vector's weights lie in the flattened layer, int64: the executed
            ones, then the dormant ones.
        kept: which of these are kept, bool: all but the pruned ones of a dense layer.
        num_executed: how many of them are executed.
        dormant_outputs: the units that nothing reads.
    """

    outputs: torch.Tensor
    inputs: torch.Tensor
    pattern: Pattern | None
    positions: torch.Tensor
    kept: torch.Tensor
    num_executed: int
    dormant_outputs: torch.Tensor


def layouts_of(masks: Sequence[torch.Tensor], *, sparse: bool | None = None) -> list[Layout]:
    """The layouts of a chain's layers, from what each keeps: bool `(outputs, inputs)`.

    Args:
        masks: layer by layer, the first one first.
        sparse: True executes every layer in CSR, False none; None follows the rule.
    """
    layouts: list[Layout] = []
    read = torch.ones(masks[-1].shape[0], dtype=torch.bool)  # the loss reads all outputs
    for depth, kept in reversed(list(enumerate(masks))):
        places = torch.from_numpy(np.flatnonzero(kept.numpy()))  # four times as fast as torch's
        is_small = len(places) <= SPARSE_UP_TO or len(places) < SPARSE_BELOW * kept.numel()
        is_sparse = is_small if sparse is None else sparse
        # gathering whole examples is quicker than picking most of their values
        layout = _layout(kept, places, read, is_sparse, reads_all=depth == 0 and not is_sparse)
        layouts.append(layout)
        read = torch.zeros(kept.shape[1], dtype=torch.bool)
        read[layout.inputs] = True
    return layouts[::-1]


def _layout(
    kept: torch.Tensor, places: torch.Tensor, read: torch.Tensor, is_sparse: bool, reads_all: bool
) -> Layout:
    """Of one layer; `places` is where it keeps weights, `read` which of its outputs are read."""
    width = kept.shape[1]
    is_live = read[places // width]
    executed, dormant = places[is_live], places[~is_live]
    row, column = executed // width, executed % width
    is_input = torch.full((width,), reads_all)
    is_input[column] = True
    outputs, inputs = read.nonzero().flatten(), is_input.nonzero().flatten()
    pattern = None
    if is_sparse:
        pattern = _pattern(_numbered(read)[row], _numbered(is_input)[column], outputs, inputs)
    else:
        executed = (outputs[:, None] * width + inputs).flatten()
    positions = torch.cat([executed, dormant])
    return Layout(
        outputs,
        inputs,
        pattern,
        positions,
        kept.flatten()[positions],
        len(executed),
        (~read).nonzero().flatten(),
    )


def _numbered(chosen: torch.Tensor) -> torch.Tensor:
    """The number of each chosen unit among those that are chosen."""
    return chosen.cumsum(0) - 1


def _pattern(
    rows: torch.Tensor, columns: torch.Tensor, outputs: torch.Tensor, inputs: torch.Tensor
) -> Pattern:
    """Of entries in the order of their rows."""
    narrow = columns.numpy().astype(np.min_scalar_type(len(inputs)))  # 16 bits: a radix sort
    by_column = torch.from_numpy(np.argsort(narrow, kind="stable"))
    return Pattern(
        _starts(rows, len(outputs)),
        columns.int(),
        _starts(columns, len(inputs)),
        rows[by_column].int(),
        by_column,
    )


def _starts(units: torch.Tensor, count: int) -> torch.Tensor:
    counts = torch.bincount(units, minlength=count)
    return torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]).int()
