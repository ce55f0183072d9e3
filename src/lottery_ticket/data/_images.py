"""Raw images → a data set: hold out, scale, normalise."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lottery_ticket.data._dataset import DataSet, Split
from lottery_ticket.data._digest import content_digest
from lottery_ticket.data._files import damaged
from lottery_ticket.data._hold_out import check_validation, hold_out

__all__ = ["NUM_CLASSES", "Normalisation", "RawImages", "check_labels", "image_set"]

NUM_CLASSES = 10


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation per channel, of pixels scaled to [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class RawImages:
    """Images as stored.

    Args:
        x: uint8 `(N, C, H, W)`.
        y: int64 `(N,)`.
    """

    x: np.ndarray
    y: np.ndarray


def check_labels(path: Path, labels: Sequence[int] | np.ndarray) -> None:
    """Raise `DataError` naming `path` if a label is not a class."""
    low, high = int(np.min(labels)), int(np.max(labels))
    if low < 0 or high >= NUM_CLASSES:
        raise damaged(
            path, f"labels out of range: got {low} to {high}, wanted 0 to {NUM_CLASSES - 1}"
        )


def image_set(
    name: str, train: RawImages, test: RawImages, validation: int, norm: Normalisation
) -> DataSet:
    """Build a data set of ten classes; `validation` training images are held out."""
    check_validation(name, validation, len(train.y))
    content = {"train.x": train.x, "train.y": train.y, "test.x": test.x, "test.y": test.y}
    held_split = None
    # before the pixels become floats: a copy of a quarter of the size
    rest = train
    if validation:
        kept, held = (part.numpy() for part in hold_out(len(train.y), validation, "validation"))
        rest = RawImages(train.x[kept], train.y[kept])
        held_split = _normalised(RawImages(train.x[held], train.y[held]), norm)
    return DataSet(
        name=name,
        train=_normalised(rest, norm),
        validation=held_split,
        test=_normalised(test, norm),
        task="classification",
        num_classes=NUM_CLASSES,
        digest=content_digest(content),
    )


def _normalised(raw: RawImages, norm: Normalisation) -> Split:
    mean = torch.tensor(norm.mean).view(-1, 1, 1)
    std = torch.tensor(norm.std).view(-1, 1, 1)
    x = torch.from_numpy(raw.x.astype(np.float32)).div_(255).sub_(mean).div_(std)
    return Split(x, torch.from_numpy(raw.y.astype(np.int64)))
