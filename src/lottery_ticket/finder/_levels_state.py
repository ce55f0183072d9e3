"""Masks, rewind points and rows as a checkpoint has them: tensors and plain values alone.

A checkpoint then loads with `torch.load(…, weights_only=True)`, which runs no code.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.finder._search import Row
from lottery_ticket.masks import PruningMask, RewindPoint

__all__ = [
    "mask_of",
    "rewind_point_of",
    "row_of",
    "saved_mask",
    "saved_rewind_point",
    "saved_row",
]


def saved_mask(mask: PruningMask | bytes) -> torch.Tensor:
    """The bytes of a mask's file, as a tensor of uint8: a bit per weight."""
    data = mask if isinstance(mask, bytes) else mask.to_bytes()
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def mask_of(saved: object) -> PruningMask:
    """What `saved_mask` saved.

    Raises:
        DataError: it is damaged.
        UsageError: it is something else.
    """
    if not isinstance(saved, torch.Tensor) or saved.dtype != torch.uint8:
        raise UsageError(f"checkpoint: got a {type(saved).__name__} in place of a mask's bytes")
    return PruningMask.from_bytes(saved.cpu().numpy().tobytes(), "checkpoint")


def saved_rewind_point(point: RewindPoint | None) -> dict[str, Any] | None:
    """θ_k, as it was reached; None if it was not yet."""
    if point is None:
        return None
    state = dict(point.optimizer_state)
    return {"step": point.step, "weights": dict(point.weights), "optimizer_state": state}


def rewind_point_of(saved: Mapping[str, Any] | None) -> RewindPoint | None:
    """What `saved_rewind_point` saved."""
    return None if saved is None else RewindPoint(**saved)


def saved_row(row: Row) -> dict[str, Any]:
    """A finished training."""
    return {**asdict(row), "problems": list(row.problems)}


def row_of(saved: Mapping[str, Any]) -> Row:
    """What `saved_row` saved."""
    return Row(**{**saved, "problems": tuple(saved["problems"])})
