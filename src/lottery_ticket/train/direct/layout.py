"""How a pruned linear layer lies in memory when only what matters is executed.

What no kept weight reads is cut away: input pixels, and hidden units. A unit that nothing reads
still has weights, which keep their values (or decay) and are ranked again when the next mask is
made: they are *dormant*, in the flat vector of parameters but with a gradient of zero. A unit
that reads nothing but is read stays: its bias trains.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
        num_kept = int(kept.sum())
        is_small = num_kept <= SPARSE_UP_TO or num_kept < SPARSE_BELOW * kept.numel()
        is_sparse = is_small if sparse is None else sparse
        live = kept & read[:, None]
        # gathering whole examples is quicker than picking most of their values
        read_before = live.any(0) if depth > 0 or is_sparse else torch.ones_like(live[0])
        layouts.append(_layout(kept, read, read_before, is_sparse))
        read = read_before
    return layouts[::-1]


def _layout(
    kept: torch.Tensor, read: torch.Tensor, read_before: torch.Tensor, is_sparse: bool
) -> Layout:
    outputs, inputs = read.nonzero().flatten(), read_before.nonzero().flatten()
    block = kept[outputs][:, inputs]
    executed = block if is_sparse else torch.ones_like(block)
    row, column = executed.nonzero(as_tuple=True)
    positions = outputs[row] * kept.shape[1] + inputs[column]
    dormant = (kept & ~read[:, None]).flatten().nonzero().flatten()
    return Layout(
        outputs,
        inputs,
        _pattern(block) if is_sparse else None,
        torch.cat([positions, dormant]),
        torch.cat([block[executed], torch.ones_like(dormant, dtype=torch.bool)]),
        len(positions),
        (~read).nonzero().flatten(),
    )


def _pattern(block: torch.Tensor) -> Pattern:
    _, columns = block.nonzero(as_tuple=True)
    column, rows = block.t().nonzero(as_tuple=True)
    places = block.flatten().cumsum(0).view(block.shape) - 1
    return Pattern(
        _starts(block.sum(1)),
        columns.int(),
        _starts(block.sum(0)),
        rows.int(),
        places[rows, column],
    )


def _starts(counts: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]).int()
