"""What a user's own loader returned: a data set that can be trained on, or what is wrong."""

from dataclasses import replace
from typing import Any

import torch

from lottery_ticket.data._dataset import PARTS, DataSet, Split
from lottery_ticket.data._features import tensors_of
from lottery_ticket.data._from_torch import is_torch
from lottery_ticket.errors import UsageError

__all__ = ["returned"]


def returned(name: str, value: Any) -> DataSet:
    """The data set of a value that a loader returned.

    Args:
        name: what the loader is registered as.
        value: a DataSet; a torch Dataset, of which a fifth becomes the test split; or two, train
            and test.

    Raises:
        UsageError: it is something else, or has values that cannot be trained on.
    """
    if is_torch(value):
        value = DataSet.from_torch(*_train_and_test(value), name=name)
    if not isinstance(value, DataSet):
        raise UsageError(
            f"its loader must return a DataSet; got {type(value).__name__} (a torch Dataset, or "
            "train and test of them, will do too)"
        )
    for part in PARTS:
        split = getattr(value, part)
        if split is not None:
            value = replace(value, **{part: _checked(part, split, value.num_classes)})
    return value


def _train_and_test(value: Any) -> tuple[Any, ...]:
    several = value if isinstance(value, tuple) else (value,)
    if len(several) > 2:
        raise UsageError(
            f"its loader returned {len(several)} torch Datasets, wanted train and test; "
            "DataSet.from_torch takes a validation split too"
        )
    return several


def _checked(part: str, split: Split, num_classes: int | None) -> Split:
    axes = [("x", x) for x in tensors_of(split.x)] + [("y", split.y)]
    for axis, tensor in axes:
        if tensor.is_meta:
            raise UsageError(f"{part} {axis} is on the device meta, which holds no values")
        if not _is_finite(tensor):
            bad = int((~torch.isfinite(tensor)).flatten(1).any(1).nonzero()[0])
            raise UsageError(
                f"{part} {axis} holds NaN or infinity, first in example {bad}; remove those "
                "examples or fill them in"
            )
    if num_classes is not None:
        low, high = int(split.y.min()), int(split.y.max())
        if low < 0 or high >= num_classes:
            raise UsageError(
                f"{part} labels go from 0 to num_classes − 1 = {num_classes - 1}; "
                f"got {low} to {high}"
            )
    return split.to("cpu")


def _is_finite(tensor: torch.Tensor) -> bool:
    """Without a second array as large: NaN is the least and the largest of whatever holds it."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    low, high = torch.aminmax(tensor)
    return bool(low.isfinite() & high.isfinite())
