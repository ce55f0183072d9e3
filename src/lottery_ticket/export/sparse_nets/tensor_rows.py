"""A tensor with many zeros, by its rows."""

import math
from collections.abc import Mapping, Sequence

import torch

__all__ = ["from_rows", "to_rows"]

_INDICES = (torch.uint8, torch.uint16, torch.int32, torch.int64)


def to_rows(value: torch.Tensor) -> dict[str, torch.Tensor] | None:
    """Its `values`, their `columns` and the `counts` of each row; None where that is no smaller.

    Dimensions behind the first count as one. Indices are as narrow as the shape allows.

    >>> {k: v.tolist() for k, v in to_rows(torch.eye(40)[:2]).items()}
    {'values': [1.0, 1.0], 'columns': [0, 1], 'counts': [1, 1]}
    """
    if value.ndim < 2 or not value.is_floating_point():
        return None
    rows = value.detach().flatten(1)
    index = _narrowest(rows.shape[1])
    is_kept = rows != 0
    found = {
        "values": rows[is_kept],
        "columns": is_kept.nonzero()[:, 1].to(index),
        "counts": is_kept.sum(1).to(index),
    }
    return found if sum(part.nbytes for part in found.values()) < value.nbytes else None


def from_rows(parts: Mapping[str, torch.Tensor], shape: Sequence[int]) -> torch.Tensor:
    """The tensor of such parts; raises `ValueError` if they do not fit one another."""
    values, columns, counts = parts["values"], parts["columns"].long(), parts["counts"].long()
    width = math.prod(shape[1:])
    if values.ndim != 1 or columns.ndim != 1 or counts.ndim != 1:
        raise ValueError("rows that are no vectors")
    fits = len(columns) == len(values) == int(counts.sum()) and len(counts) == shape[0]
    if not fits or (counts < 0).any() or (columns < 0).any() or (columns >= width).any():
        raise ValueError(f"rows that are not of a tensor of shape {tuple(shape)}")
    rows = torch.zeros(shape[0], width, dtype=values.dtype)
    rows[torch.arange(shape[0]).repeat_interleave(counts), columns] = values
    return rows.view(*shape)


def _narrowest(largest: int) -> torch.dtype:
    return next(kind for kind in _INDICES if largest <= torch.iinfo(kind).max)
