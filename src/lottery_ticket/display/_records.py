"""Any other record, field by field; tensors and tables by their size."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from markupsafe import Markup
from torch import nn

from lottery_ticket.data import DataSet, Split, shapes_of
from lottery_ticket.display._blocks import card, cut, facts, table

__all__ = ["dataset_html", "record_html", "value_text"]

_MOST_CHARACTERS = 120  # of a record inside a record


def record_html(record: Any) -> Markup:
    """A record field by field; what is none is left out."""
    if is_dataclass(record) and not isinstance(record, type):
        names = [field.name for field in fields(record)]
    else:
        names = list(getattr(type(record), "model_fields", {}))
    values = {name: getattr(record, name) for name in names}
    known = {name: value_text(value) for name, value in values.items() if value is not None}
    return card(type(record).__name__, facts(known) if known else Markup())


def value_text(value: Any) -> str:
    """A value in a line; large ones by their size.

    >>> value_text(torch.zeros(3, 2)), value_text([1, 2]), value_text(0.1 + 0.2)
    ('float32 (3, 2)', '1, 2', '0.3')
    """
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, pd.DataFrame):
        return f"a table of {value.shape[0]:,} rows and {value.shape[1]} columns"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return cut(value)
    if isinstance(value, Mapping):
        return _of_many(
            [f"{name}: {value_text(item)}" for name, item in _first(value.items())], value
        )
    if isinstance(value, list | tuple | set | frozenset):
        return _of_many([value_text(item) for item in _first(value)], value)
    if isinstance(value, Split):
        return f"{len(value):,} examples"
    if isinstance(value, nn.Module):
        return f"{type(value).__name__}, {sum(p.numel() for p in value.parameters()):,} parameters"
    text = repr(value)
    is_short = len(text) <= _MOST_CHARACTERS or not is_dataclass(value)
    return cut(text) if is_short else f"a {type(value).__name__}"


def _first(values: Any) -> list[Any]:
    return [item for item, _ in zip(values, range(8), strict=False)]


def _of_many(texts: Sequence[str], whole: Any) -> str:
    more = f" … {len(whole):,} in all" if len(whole) > len(texts) else ""
    return ", ".join(cut(text, 120) for text in texts) + more if texts else "none"


def dataset_html(data: DataSet) -> Markup:
    """A row per split, and what the data are."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    rows = [
        [name, f"{len(split):,}", _shape_text(split), value_text(split.y)]
        for name, split in splits.items()
        if split is not None
    ]
    what = data.task if data.num_classes is None else f"{data.task}, {data.num_classes} classes"
    known = {"licence": data.licence, "classes": data.classes and value_text(data.classes)}
    told = facts({name: value for name, value in known.items() if value})
    parts = [table(["split", "examples", "x", "y"], rows, left=(0, 2, 3))]
    return card(f"{data.name}: {what}", *parts, *([told] if any(known.values()) else []))


def _shape_text(split: Split) -> str:
    return cut(shapes_of(split.x)) if isinstance(split.x, Mapping) else value_text(split.x)
