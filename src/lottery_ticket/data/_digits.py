"""The small digits that come with scikit-learn: real data without a download."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lottery_ticket.data._dataset import DataSet, Normalisation, Split
from lottery_ticket.data._digest import content_digest
from lottery_ticket.data._table import DATASETS
from lottery_ticket.seeds import generator

__all__ = ["digits", "split_indices"]

SPLIT_SEED = 0
HELD_PER_CLASS = 30
LARGEST = 16


@DATASETS.register("digits")
def digits(data_dir: Path | None) -> DataSet:
    """1,797 handwritten digits of 8×8 pixels: x `(N, 64)`, split 1,197 / 300 / 300.

    Args:
        data_dir: not used, the data come with scikit-learn.

    Example:
        >>> len(digits(None).validation)
        300

    Source:
        Alpaydin & Kaynak 1998, Optical recognition of handwritten digits, UCI repository
        (its test part).
    """
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    pixels = np.asarray(bunch["data"]).astype(np.uint8)
    labels = np.asarray(bunch["target"]).astype(np.int64)
    content: dict[str, np.ndarray] = {}
    for part, indices in split_indices(labels).items():
        content |= {f"{part}.x": pixels[indices], f"{part}.y": labels[indices]}
    mean, std = _mean_and_std(content["train.x"])
    splits = {
        part: Split(
            torch.from_numpy(content[f"{part}.x"].astype(np.float32)).div_(LARGEST).sub_(mean)
            / std,
            torch.from_numpy(content[f"{part}.y"]),
        )
        for part in ("train", "validation", "test")
    }
    return DataSet(
        name="digits",
        **splits,
        task="classification",
        num_classes=10,
        digest=content_digest(content),
        normalisation=Normalisation((mean,), (std,), LARGEST),
        licence="CC-BY-4.0",
    )


def split_indices(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Thirty of each class for validation and for test, the rest for training, ascending."""
    shuffled = torch.randperm(
        len(labels), generator=generator(SPLIT_SEED, "data", "digits")
    ).numpy()
    by_class = [shuffled[labels[shuffled] == label] for label in np.unique(labels)]
    test, validation = HELD_PER_CLASS, 2 * HELD_PER_CLASS
    parts = {
        "train": [indices[validation:] for indices in by_class],
        "validation": [indices[test:validation] for indices in by_class],
        "test": [indices[:test] for indices in by_class],
    }
    return {part: np.sort(np.concatenate(chosen)) for part, chosen in parts.items()}


def _mean_and_std(pixels: np.ndarray) -> tuple[float, float]:
    # from sums of integers, which are the same on every machine
    exact = pixels.astype(np.int64)
    mean = int(exact.sum()) / exact.size
    std = math.sqrt(int((exact**2).sum()) / exact.size - mean**2)
    return mean / LARGEST, std / LARGEST
