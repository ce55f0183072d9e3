"""SVHN, street view house numbers: two MATLAB files."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lottery_ticket.data._dataset import DataSet, Normalisation
from lottery_ticket.data._decoded import decoded
from lottery_ticket.data._download import located
from lottery_ticket.data._files import Layout, damaged, reading
from lottery_ticket.data._hold_out import with_validation
from lottery_ticket.data._images import RawImages, check_labels, image_set
from lottery_ticket.data._table import DATASETS

__all__ = ["SVHN", "svhn"]

NUM_CLASSES = 10
# what is beyond these is refused before it is read
MOST_IMAGES = 200_000  # the larger of the files has 73,257
MOST_PACKED = 100  # bytes of images for each byte of file; photographs are packed by a fifth
WHOLE = {
    "double",
    "single",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}
# of the training images, as several public projects give them
NORM = Normalisation((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970))
FILES = (("train_32x32.mat",), ("test_32x32.mat",))
SVHN = tuple(Layout(folder, FILES) for folder in ("svhn", "SVHN", ""))


@DATASETS.register("svhn")
def svhn(data_dir: Path | None, validation: int = 0) -> DataSet:
    """SVHN, 73,257 + 26,032 colour images of house numbers, cropped to one digit each: x
    `(N, 3, 32, 32)`, class 0 being the digit 0. The extra training images are left alone.

    Args:
        data_dir: a folder with `train_32x32.mat` and `test_32x32.mat` (also within `svhn/`); None
            for the cache, which is downloaded into.
        validation: how many training images to hold out.

    Raises:
        UsageError: `validation` is out of range.
        DataError: a file is missing or damaged.

    Example:
        >>> load_dataset("svhn", validation=5000)  # doctest: +SKIP

    Source:
        Netzer et al. 2011, Reading digits in natural images with unsupervised feature learning.
    """
    _, paths = located("svhn", data_dir, SVHN)

    def decode() -> DataSet:
        return image_set("svhn", _read(paths[0]), _read(paths[1]), NORM)

    data = with_validation(decoded("svhn", paths, decode), validation)
    return replace(data, normalisation=NORM)  # for non-commercial use only; SPDX has no name for it


def _read(path: Path) -> RawImages:
    x, y = _variables(path)
    labels = y.reshape(-1).astype(np.int64)
    if not np.array_equal(labels, y.reshape(-1)):
        raise damaged(path, "y holds fractions, wanted whole numbers")
    if len(labels) != x.shape[3]:
        raise damaged(path, f"got {len(labels)} labels for {x.shape[3]} images")
    check_labels(path, labels, NUM_CLASSES, first=1)
    # the digit 0 is stored as label 10
    return RawImages(np.ascontiguousarray(x.transpose(3, 2, 0, 1)), labels % NUM_CLASSES)


def _variables(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """X, uint8 `(32, 32, 3, N)`, and y, whole numbers; their shapes are looked at first."""
    from scipy.io import loadmat, whosmat  # only here: it takes a while to import

    with reading(path):
        found: dict[str, Any] = {name: (shape, kind) for name, shape, kind in whosmat(path)}
    for name in ("X", "y"):
        if name not in found:
            raise damaged(path, f"has no variable {name!r}; got {', '.join(found) or '—'}")
    shape, kind = found["X"]
    if len(shape) != 4 or shape[:3] != (32, 32, 3) or kind != "uint8":
        raise damaged(path, f"X is {kind} {shape}, wanted uint8 (32, 32, 3, N)")
    most = min(MOST_IMAGES, MOST_PACKED * path.stat().st_size // (32 * 32 * 3))
    if not 1 <= shape[3] <= most:
        raise damaged(
            path, f"X has {shape[3]:,} images, wanted 1 to {most:,} in a file of its size"
        )
    shape, kind = found["y"]
    if math.prod(shape) > MOST_IMAGES or kind not in WHOLE:
        raise damaged(path, f"y is {kind} {shape}, wanted whole numbers (N, 1)")
    with reading(path):
        content = loadmat(path, variable_names=["X", "y"])
        return content["X"], content["y"]
