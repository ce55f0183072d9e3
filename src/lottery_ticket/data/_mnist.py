"""MNIST and Fashion-MNIST: four IDX files each, a format of its own."""

import gzip
import io
import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from lottery_ticket.data._dataset import DataSet, Normalisation
from lottery_ticket.data._decoded import decoded
from lottery_ticket.data._download import located
from lottery_ticket.data._files import Layout, damaged, reading
from lottery_ticket.data._hold_out import with_validation
from lottery_ticket.data._images import RawImages, check_labels, image_set
from lottery_ticket.data._table import DATASETS
from lottery_ticket.tensor_files import check_claim

__all__ = ["fashion_mnist", "mnist"]

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
SIZE = (28, 28)

# of IDX
GZIP_MAGIC = b"\x1f\x8b"
UINT8 = 0x08
FLOAT_BYTES = 4


def _spellings(name: str) -> tuple[str, ...]:
    dotted = name.replace("-idx", ".idx")
    return (name, f"{name}.gz", dotted, f"{dotted}.gz")


FILES = tuple(_spellings(name) for name in NAMES)
MNIST = tuple(Layout(folder, FILES) for folder in ("mnist", "MNIST/raw", ""))
FASHION_MNIST = tuple(Layout(folder, FILES) for folder in ("fashion-mnist", "FashionMNIST/raw", ""))


@DATASETS.register("mnist")
def mnist(data_dir: Path | None, validation: int = 0) -> DataSet:
    """MNIST, 60,000 + 10,000 handwritten digits: x `(N, 1, 28, 28)`.

    Args:
        data_dir: a folder with `mnist/`, `MNIST/raw/` or the four IDX files themselves, plain or
            gzipped; None for the cache, which is downloaded into.
        validation: how many training images to hold out.

    Raises:
        UsageError: `validation` is out of range.
        DataError: a file is missing or damaged.

    Example:
        >>> load_dataset("mnist", validation=5000)  # doctest: +SKIP

    Source:
        LeCun et al. 1998, Gradient-based learning applied to document recognition.
    """
    norm = Normalisation((0.1307,), (0.3081,))
    data = _load("mnist", MNIST, data_dir, validation, norm)
    return replace(data, normalisation=norm, licence="CC-BY-SA-3.0")


@DATASETS.register("fashion-mnist")
def fashion_mnist(data_dir: Path | None, validation: int = 0) -> DataSet:
    """Fashion-MNIST, 60,000 + 10,000 articles of clothing: x `(N, 1, 28, 28)`.

    Args:
        data_dir: a folder with `fashion-mnist/`, `FashionMNIST/raw/` or the four IDX files
            themselves, plain or gzipped; None for the cache, which is downloaded into.
        validation: how many training images to hold out.

    Raises:
        UsageError: `validation` is out of range.
        DataError: a file is missing or damaged.

    Example:
        >>> load_dataset("fashion-mnist")  # doctest: +SKIP

    Source:
        Xiao et al. 2017, arXiv:1708.07747.
    """
    norm = Normalisation((0.2860,), (0.3530,))
    data = _load("fashion-mnist", FASHION_MNIST, data_dir, validation, norm)
    return replace(data, normalisation=norm, licence="MIT")


def _load(
    name: str,
    layouts: tuple[Layout, ...],
    data_dir: Path | None,
    validation: int,
    norm: Normalisation,
) -> DataSet:
    _, paths = located(name, data_dir, layouts)

    def decode() -> DataSet:
        train, test = _read(paths[0], paths[1]), _read(paths[2], paths[3])
        return image_set(name, train, test, norm)

    return with_validation(decoded(name, paths, decode), validation)


def _read(image_path: Path, label_path: Path) -> RawImages:
    images, labels = read_idx(image_path, 3), read_idx(label_path, 1)
    if images.shape[1:] != SIZE or len(images) == 0:
        raise damaged(image_path, f"got images {images.shape}, wanted (N, {SIZE[0]}, {SIZE[1]})")
    if len(images) != len(labels):
        raise damaged(
            label_path, f"got {len(labels)} labels for the {len(images)} images of {image_path}"
        )
    check_labels(label_path, labels)
    return RawImages(images[:, None], labels.astype(np.int64))


def read_idx(path: Path, num_dimensions: int) -> np.ndarray:
    """Read an IDX file of bytes, plain or gzipped.

    Args:
        path: the file; its content, not its name, says whether it is gzipped.
        num_dimensions: 1 for labels, 3 for images.

    Returns:
        A uint8 array of `num_dimensions` dimensions.

    Raises:
        DataError: the file cannot be read, is no such IDX file or is cut short.

    Source:
        http://yann.lecun.com/exdb/mnist/, "the IDX file format".
    """
    with reading(path):
        raw = path.read_bytes()
        plain = io.BytesIO(raw)
        file = gzip.GzipFile(fileobj=plain) if raw.startswith(GZIP_MAGIC) else plain
        sizes = _sizes(path, file.read(4 + 4 * num_dimensions), num_dimensions)
        length = math.prod(sizes)
        # nothing beyond what the header says is unpacked, and each byte becomes a float
        remedy = "if that is true, unpack it with gunzip"
        check_claim(path, FLOAT_BYTES * length, len(raw), remedy)
        content = file.read(length + 1)
    if len(content) != length:
        got = f"{len(content)} bytes{' or more' * (len(content) > length)}"
        raise damaged(path, f"wrong length for its header {sizes}: got {got}, not {length}")
    return np.frombuffer(content, dtype=np.uint8).reshape(sizes)


def _sizes(path: Path, header: bytes, num_dimensions: int) -> list[int]:
    length = 4 + 4 * num_dimensions
    if len(header) < length:
        raise damaged(path, f"too short for an IDX header: got {len(header)} bytes, not {length}")
    magic, *sizes = struct.unpack(f">{1 + num_dimensions}I", header)
    wanted = UINT8 << 8 | num_dimensions
    if magic != wanted:
        raise damaged(path, f"not the IDX file wanted: got magic {magic:#010x}, not {wanted:#010x}")
    return sizes
