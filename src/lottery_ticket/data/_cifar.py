"""CIFAR-10, in its binary and in its python layout, and CIFAR-100, in its python layout."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from lottery_ticket.data._dataset import DataSet, Normalisation
from lottery_ticket.data._decoded import decoded
from lottery_ticket.data._download import located
from lottery_ticket.data._files import Layout, damaged, reading
from lottery_ticket.data._hold_out import with_validation
from lottery_ticket.data._images import RawImages, check_labels, image_set
from lottery_ticket.data._inert_pickle import read_pickle, uint8_array
from lottery_ticket.data._table import DATASETS

__all__ = ["cifar10", "cifar100"]

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
NORM = Normalisation((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))

BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
BINARY_FILES = tuple((f"{batch}.bin",) for batch in BATCHES)
PYTHON_FILES = tuple((batch,) for batch in BATCHES)
BINARY = tuple(
    Layout(folder, BINARY_FILES)
    for folder in ("cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "cifar10", "")
)
PYTHON = tuple(
    Layout(folder, PYTHON_FILES)
    for folder in ("cifar-10-batches-py", "cifar10/cifar-10-batches-py", "cifar10", "")
)

# of the training images, as several public projects give them
NORM_100 = Normalisation((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))
CIFAR100 = tuple(
    Layout(folder, (("train",), ("test",)))
    for folder in ("cifar-100-python", "cifar100/cifar-100-python", "cifar100", "")
)


@DATASETS.register("cifar10")
def cifar10(data_dir: Path | None, validation: int = 0) -> DataSet:
    """CIFAR-10, 50,000 + 10,000 colour images: x `(N, 3, 32, 32)`.

    Args:
        data_dir: a folder with `cifar-10-batches-bin/` or `cifar-10-batches-py/` (also within
            `cifar10/`), or with their files; None for the cache, which is downloaded into.
        validation: how many training images to hold out.

    Raises:
        UsageError: `validation` is out of range.
        DataError: a file is missing or damaged.

    Example:
        >>> load_dataset("cifar10", validation=5000)  # doctest: +SKIP

    Source:
        Krizhevsky 2009, Learning multiple layers of features from tiny images.
    """
    layout, paths = located("cifar10", data_dir, BINARY + PYTHON)
    read = _read_binary if layout.files == BINARY_FILES else _read_python

    def decode() -> DataSet:
        train, test = _read_train(read, paths[:-1]), read(paths[-1])
        return image_set("cifar10", train, test, NORM)

    data = with_validation(decoded("cifar10", paths, decode), validation)
    return replace(data, normalisation=NORM)  # its authors state no licence


@DATASETS.register("cifar100")
def cifar100(data_dir: Path | None, validation: int = 0, coarse: bool = False) -> DataSet:
    """CIFAR-100, 50,000 + 10,000 colour images of 100 classes: x `(N, 3, 32, 32)`.

    Args:
        data_dir: a folder with `cifar-100-python/` (also within `cifar100/`), or with its files;
            None for the cache, which is downloaded into.
        validation: how many training images to hold out.
        coarse: whether the classes are the 20 coarse ones, instead of the 100 fine ones.

    Raises:
        UsageError: `validation` is out of range.
        DataError: a file is missing or damaged.

    Example:
        >>> load_dataset("cifar100", coarse=True)  # doctest: +SKIP

    Source:
        Krizhevsky 2009, Learning multiple layers of features from tiny images.
    """
    _, paths = located("cifar100", data_dir, CIFAR100)
    key, num_classes = (b"coarse_labels", 20) if coarse else (b"fine_labels", 100)
    read = partial(_read_python, key=key, num_classes=num_classes)

    def decode() -> DataSet:
        train, test = map(read, paths)
        return image_set("cifar100", train, test, NORM_100, num_classes)

    # by a name of its own, as the same files hold two sets
    data = decoded("cifar100-coarse" if coarse else "cifar100", paths, decode)
    data = with_validation(replace(data, name="cifar100"), validation)
    return replace(data, normalisation=NORM_100)  # its authors state no licence


def _read_train(read: Callable[[Path], RawImages], paths: list[Path]) -> RawImages:
    batches = [read(path) for path in paths]
    # the format has no header with a count: a batch cut off between two images shows only here
    usual = max(len(batch.y) for batch in batches)
    for path, batch in zip(paths, batches, strict=True):
        if len(batch.y) != usual:
            raise damaged(path, f"got {len(batch.y)} images, where the other batches have {usual}")
    return RawImages(
        np.concatenate([batch.x for batch in batches]),
        np.concatenate([batch.y for batch in batches]),
    )


def _read_binary(path: Path) -> RawImages:
    with reading(path):
        content = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    if len(content) == 0 or len(content) % (1 + PIXELS):
        raise damaged(
            path, f"got {len(content)} bytes, wanted a multiple of {1 + PIXELS} (label and pixels)"
        )
    records = content.reshape(-1, 1 + PIXELS)
    check_labels(path, records[:, 0])
    return RawImages(records[:, 1:].reshape(-1, *SHAPE), records[:, 0].astype(np.int64))


def _read_python(path: Path, key: bytes = b"labels", num_classes: int = 10) -> RawImages:
    batch = read_pickle(path)
    if not isinstance(batch, dict) or not {b"data", key} <= set(batch):
        raise damaged(path, f"not a CIFAR batch: wanted a dict with b'data' and {key!r}")
    pixels, labels = uint8_array(path, batch[b"data"]), batch[key]
    if pixels.ndim != 2 or pixels.shape[1] != PIXELS or len(pixels) == 0:
        raise damaged(path, f"got data of shape {pixels.shape}, wanted (N, {PIXELS})")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise damaged(path, f"its {key!r} are not a list of integers")
    if len(labels) != len(pixels):
        raise damaged(path, f"got {len(labels)} labels for {len(pixels)} images")
    check_labels(path, labels, num_classes)
    return RawImages(pixels.reshape(-1, *SHAPE), np.array(labels, dtype=np.int64))
