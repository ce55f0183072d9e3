"""The sets that are here without a download: digits, and a noisy sine."""

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lottery_ticket.data._dataset import PARTS, DataSet, Normalisation, Split, content_digest
from lottery_ticket.data._table import DATASETS
from lottery_ticket.errors import UsageError
from lottery_ticket.seeds import generator

__all__ = ["digits", "sin", "split_indices"]

# of the digits
SPLIT_SEED = 0
HELD_PER_CLASS = 30
LARGEST = 16

# of the sine
TRAIN_SHARE = 0.7


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
        for part in PARTS
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


@DATASETS.register("sin")
def sin(data_dir: Path | None, num_points: int = 100, noise: float = 0.2, seed: int = 0) -> DataSet:
    """`y = sin(x) + noise · N(0, 1)`, x uniform on [−π, π]: x and y `(N, 1)`, 70 % for training.

    Args:
        data_dir: not used, the points are drawn.
        num_points: how many, for training and test together.
        noise: the standard deviation of the noise.
        seed: of the points and the noise.

    Raises:
        UsageError: fewer than two points, or a noise that is negative or not finite.

    Example:
        >>> data = sin(None, num_points=10)
        >>> len(data.train), len(data.test), data.output_size
        (7, 3, 1)
    """
    if num_points < 2:
        raise UsageError(f"data set 'sin': num_points is 2 or more; got {num_points}")
    if not (math.isfinite(noise) and noise >= 0):
        raise UsageError(f"data set 'sin': noise is a finite number ≥ 0; got {noise}")
    stream = generator(seed, "data", "sin")
    # in float64, so that a last bit that differs between machines is rounded away
    shape, wide = (num_points, 1), torch.float64
    x = (torch.rand(shape, generator=stream, dtype=wide) * 2 - 1) * math.pi
    y = x.sin() + noise * torch.randn(shape, generator=stream, dtype=wide)
    x, y = x.float(), y.float()
    num_train = round(TRAIN_SHARE * num_points)
    return DataSet(
        name="sin",
        train=Split(x[:num_train], y[:num_train]),
        validation=None,
        test=Split(x[num_train:], y[num_train:]),
        task="regression",
        num_classes=None,
        digest=content_digest({"x": x, "y": y, "num_train": torch.tensor(num_train)}),
    )
