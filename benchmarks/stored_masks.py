"""Imported by the workers of `bench_imp`: a run's masks are those of another run.

Each mask is selected as always, so that its cost is counted, and then replaced by the stored one
of the same count: nets trained for one epoch have other dead units than fully trained ones.
"""

import os
from typing import Any

import torch

from lottery_ticket.experiment.cells import mask as _mask_cell
from lottery_ticket.masks import PruningMask
from lottery_ticket.pruning import next_mask

_STORED = {
    mask.num_kept: mask
    for mask in (
        PruningMask.from_tensors(layers)
        for layers in torch.load(os.environ["STORED_MASKS"]).values()
    )
}


def _next_mask(*arguments: Any, **options: Any) -> PruningMask:
    return _STORED[next_mask(*arguments, **options).num_kept]


_mask_cell.next_mask = _next_mask
