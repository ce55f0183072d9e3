"""Readers of data sets."""

import functools
import gzip
import io
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import platformdirs

from fuzz import bombs
from fuzz.formats import (
    OPCODES,
    in_gzip,
    in_pickle,
    in_safetensors,
    in_zip,
    of_npy,
    with_other_tensors,
)
from fuzz.mutations import BYTES
from fuzz.reader import Reader, Write
from lottery_ticket.data import DataSet, load_dataset
from lottery_ticket.data._decoded import decoded
from lottery_ticket.data._download import unpack

__all__ = ["READERS"]


def images(number: int) -> np.ndarray:
    """Some noise."""
    return np.random.default_rng(0).integers(0, 256, (number, 28, 28), dtype=np.uint8)


def write_mnist(folder: Path, suffix: str = "") -> None:
    """Four IDX files."""
    (folder / "mnist").mkdir()
    for part, num in (("train", 6), ("t10k", 4)):
        for name, array in (
            ("images-idx3", images(num)),
            ("labels-idx1", np.arange(num, dtype=np.uint8)),
        ):
            content = (
                struct.pack(f">{1 + array.ndim}I", 0x0800 | array.ndim, *array.shape)
                + array.tobytes()
            )
            data = gzip.compress(content, mtime=0) if suffix else content
            (folder / "mnist" / f"{part}-{name}-ubyte{suffix}").write_bytes(data)


def write_cifar(folder: Path, *, is_python: bool, protocol: int = 2) -> None:
    """Six batches of two images."""
    random = np.random.default_rng(0)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        pixels = random.integers(0, 256, (2, 3072), dtype=np.uint8)
        labels = [int(label) for label in random.integers(0, 10, 2)]
        if is_python:
            batch = {b"data": pixels, b"labels": labels, b"batch_label": name.encode()}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
        else:
            records = np.column_stack([np.array(labels, np.uint8), pixels])
            (folder / f"{name}.bin").write_bytes(records.tobytes())


def plain_set(data: DataSet) -> Any:
    """All that a data set says."""
    splits = {part: getattr(data, part) for part in ("train", "validation", "test")}
    tensors = {
        part: None if split is None else [split.x, split.y] for part, split in splits.items()
    }
    return {**tensors, "digest": data.digest, "classes": data.num_classes}


def is_set(value: Any) -> bool:
    """Whether splits fit each other, and labels the classes."""
    splits = [value[part] for part in ("train", "validation", "test") if value[part] is not None]
    fits = all(len(x) == len(y) > 0 and bool(x.isfinite().all()) for x, y in splits)
    classes = value["classes"]
    return fits and (
        classes is None or all(int(y.min()) >= 0 and int(y.max()) < classes for _, y in splits)
    )


def set_reader(name: str) -> Callable[[Path], Any]:
    """Reads a data set from its folder."""
    return lambda folder: plain_set(load_dataset(name, data_dir=folder))


def saving_arrays(**arrays: Any) -> Write:
    """Writes an `.npz`."""
    return lambda folder: np.savez(folder / "mine.npz", **arrays)


X = np.linspace(0, 1, 24, dtype=np.float32).reshape(8, 3)
Y = np.arange(8) % 2


def write_decoded(folder: Path) -> None:
    """MNIST, and its decoded images in a cache."""
    write_mnist(folder)
    read_decoded(folder)


def read_decoded(folder: Path) -> Any:
    """MNIST through the cache of decoded images."""
    paths = sorted((folder / "mnist").iterdir())
    read = functools.partial(load_dataset, "mnist", data_dir=folder)
    with mock.patch.object(platformdirs, "user_cache_path", return_value=folder / "user"):
        return plain_set(decoded("mnist", paths, read, worth_bytes=0))


def write_archive(folder: Path) -> None:
    """A data set's archive."""
    with tarfile.open(folder / "set.tar.gz", "w:gz") as archive:
        for name in ("cifar-10-batches-bin/test_batch.bin", "readme.txt"):
            info = tarfile.TarInfo(name)
            info.size = 5000
            archive.addfile(info, io.BytesIO(bytes(5000)))


def read_archive(folder: Path) -> Any:
    """What is unpacked of it, beside it."""
    (folder / "out").mkdir()
    try:
        unpack(folder / "set.tar.gz", folder / "out")
        names = sorted(path.relative_to(folder / "out") for path in (folder / "out").rglob("*"))
        return [str(name) for name in names]
    finally:
        _remove(folder / "out")


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    folder.rmdir()


def pickled(find: str) -> Callable[[], bytes]:
    """A batch of CIFAR-10 with something odd right at its start."""
    (code,) = [code for what, code in OPCODES if what == find]

    def made() -> bytes:
        good = pickle.dumps({b"data": 0, b"labels": [1]}, protocol=2)
        return good[:2] + code + good[2:]

    return made


PICKLES = (
    "a memo of 2^31 places",
    "a memo of 10^11 places",
    "10^12 bytes",
    "3·10^9 bytes",
    "an array of 10^12 bytes",
    "a frame of 2^60 bytes",
    "a bytearray of 2^31",
    "eval",
    "a number of 2^31 bytes",
    "text of 10^12 bytes",
)


READERS: dict[str, Reader] = {
    "npz": Reader(
        {
            "classes": saving_arrays(x=X, y=Y),
            "regression": saving_arrays(
                x=X.astype(np.float16), y=X[:, :2], x_test=X, y_test=X[:, :2]
            ),
            "images": saving_arrays(
                x_train=np.arange(64, dtype=np.uint8).reshape(8, 2, 4),
                y_train=Y,
                x_validation=np.ones((2, 2, 4), np.uint8),
                y_validation=Y[:2],
                x_test=np.ones((2, 2, 4), np.uint8),
                y_test=Y[:2],
            ),
            "packed": lambda folder: np.savez_compressed(folder / "mine.npz", x=X, y=Y),
            "honest zeros": lambda folder: np.savez_compressed(
                folder / "mine.npz", x=np.zeros((2000, 2000), np.uint8), y=np.arange(2000) % 2
            ),
        },
        lambda folder: plain_set(load_dataset("arrays", path=str(folder / "mine.npz"))),
        ("mine.npz",),
        (in_zip(of_npy, ".npy"), in_zip(of_npy, ".npy"), in_zip(BYTES[0])),
        bombs.npz_files(),
        is_right=is_set,
    ),
    "idx": Reader(
        {"plain": write_mnist},
        set_reader("mnist"),
        ("mnist/train-images*", "mnist/*"),
        bombs=bombs.idx_files(),
        is_right=is_set,
    ),
    "idx.gz": Reader(
        {"zipped": lambda folder: write_mnist(folder, ".gz")},
        set_reader("mnist"),
        ("mnist/train-images*", "mnist/*"),
        tuple(in_gzip(mutation) for mutation in BYTES[-5:]),
        bombs.idx_files(),
        is_right=is_set,
    ),
    "cifar.bin": Reader(
        {"binary": lambda folder: write_cifar(folder, is_python=False)},
        set_reader("cifar10"),
        ("data_batch_1.bin", "*"),
        is_right=is_set,
    ),
    "cifar.py": Reader(
        {
            f"protocol {n}": (lambda folder, n=n: write_cifar(folder, is_python=True, protocol=n))
            for n in (0, 2, 4)
        },
        set_reader("cifar10"),
        ("data_batch_1", "*"),
        (in_pickle, in_pickle, in_pickle),
        {what: pickled(what) for what in PICKLES},
        is_right=is_set,
    ),
    "decoded": Reader(
        {"mnist": write_decoded},
        read_decoded,
        ("user/decoded/*",),
        (in_safetensors, with_other_tensors, with_other_tensors),
        bombs.masks(),
        is_sealed=True,
    ),
    "tar": Reader(
        {"set": write_archive},
        read_archive,
        ("set.tar.gz",),
        (in_gzip(BYTES[0]), in_gzip(BYTES[4])),
        bombs.archives(),
    ),
}
