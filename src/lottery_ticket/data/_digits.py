"""The small digits that come with scikit-learn: real data without a download."""

import importlib.util
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
    rows = _rows().astype(np.int64)
    pixels, labels = rows[:, :-1].astype(np.uint8), rows[:, -1]
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
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        task="classification",
        num_classes=10,
        digest=content_digest(content),
        normalisation=Normalisation((mean,), (std,), LARGEST),
        licence="CC-BY-4.0",
    )


def _rows() -> np.ndarray:
    """Pixels and label of each digit.

    From scikit-learn's own file where that is found, since importing scikit-learn takes longer than
    all else that a worker imports but torch.
    """
    spec = importlib.util.find_spec("sklearn")
    folders = [] if spec is None else spec.submodule_search_locations or []
    for file in (Path(folder, "datasets", "data", "digits.csv.gz") for folder in folders):
        if file.is_file():
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    return np.column_stack([bunch["data"], bunch["target"]])


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
