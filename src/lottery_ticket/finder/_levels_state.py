"""Masks, rewind points and rows as a checkpoint has them: tensors and plain values alone.

A checkpoint then loads with `torch.load(…, weights_only=True)`, which runs no code.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.finder._packed import PackedMasks
from lottery_ticket.finder._search import Row, Search
from lottery_ticket.masks import PruningMask, RewindPoint

__all__ = ["saved_search", "search_in"]


def saved_search(search: Search) -> dict[str, Any]:
    """What of a search its next fit needs, and its results."""
    return {
        "settings": json.dumps(search.settings, default=repr),
        "initial": dict(search.initial),
        "masks": [_saved_mask(search.masks.to_bytes(i)) for i in range(len(search.masks))],
        "rewind_point": _saved_rewind_point(search.rewind_point),
        "rows": [{**asdict(row), "problems": list(row.problems)} for row in search.rows],
    }


def search_in(state: Mapping[str, Any]) -> Search:
    """What `saved_search` saved.

    Raises:
        DataError, UsageError: it is damaged, or something else.
    """
    point = state["rewind_point"]
    return Search(
        json.loads(state["settings"]),
        dict(state["initial"]),
        rows=[Row(**{**row, "problems": tuple(row["problems"])}) for row in state["rows"]],
        masks=PackedMasks([_mask_in(saved) for saved in state["masks"]]),
        rewind_point=None if point is None else RewindPoint(**point),
    )


def _saved_mask(data: bytes) -> torch.Tensor:
    """The bytes of a mask's file, as a tensor: a bit per weight."""
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _mask_in(saved: object) -> PruningMask:
    if not isinstance(saved, torch.Tensor) or saved.dtype != torch.uint8:
        raise UsageError(f"checkpoint: got a {type(saved).__name__} in place of a mask's bytes")
    return PruningMask.from_bytes(saved.cpu().numpy().tobytes(), "checkpoint")


def _saved_rewind_point(point: RewindPoint | None) -> dict[str, Any] | None:
    if point is None:
        return None
    state = dict(point.optimizer_state)
    return {"step": point.step, "weights": dict(point.weights), "optimizer_state": state}
