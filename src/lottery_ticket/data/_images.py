"""Raw images → a data set: scaled and normalised, nothing of it held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lottery_ticket.data._dataset import DataSet, Normalisation, Split, content_digest
from lottery_ticket.data._files import damaged

__all__ = ["NUM_CLASSES", "RawImages", "check_labels", "image_set"]

NUM_CLASSES = 10


@dataclass(frozen=True, eq=False)
class RawImages:
    """Images as stored.

    Args:
        x: uint8 `(N, C, H, W)`.
        y: int64 `(N,)`.
    """

    x: np.ndarray
    y: np.ndarray


def check_labels(
    path: Path, labels: Sequence[int] | np.ndarray, num_classes: int = NUM_CLASSES, first: int = 0
) -> None:
    """Raise `DataError` naming `path` if a label is not one of `num_classes` from `first` on."""
    low, high, last = int(np.min(labels)), int(np.max(labels)), first + num_classes - 1
    if low < first or high > last:
        raise damaged(path, f"labels out of range: got {low} to {high}, wanted {first} to {last}")


def image_set(
    name: str,
    train: RawImages,
    test: RawImages,
    norm: Normalisation,
    num_classes: int = NUM_CLASSES,
) -> DataSet:
    """A data set of images, nothing of it held out."""
    content = {"train.x": train.x, "train.y": train.y, "test.x": test.x, "test.y": test.y}
    return DataSet(
        name=name,
        train=_normalised(train, norm),
        validation=None,
        test=_normalised(test, norm),
        task="classification",
        num_classes=num_classes,
        digest=content_digest(content),
    )


def _normalised(raw: RawImages, norm: Normalisation) -> Split:
    mean = torch.tensor(norm.mean).view(-1, 1, 1)
    std = torch.tensor(norm.std).view(-1, 1, 1)
    x = torch.from_numpy(raw.x.astype(np.float32)).div_(norm.scale).sub_(mean).div_(std)
    return Split(x, torch.from_numpy(raw.y.astype(np.int64)))
