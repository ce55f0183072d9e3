"""Small data sets, written on the spot."""

import gzip
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

WriteMnist = Callable[..., Path]


@pytest.fixture
def write_mnist() -> WriteMnist:
    """A function that writes a small MNIST into a folder, in any spelling."""

    def write(
        folder: Path, *, is_gzipped: bool = False, is_dotted: bool = False, num_train: int = 6
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(0)
        for part, num in (("train", num_train), ("t10k", 4)):
            images = random.integers(0, 256, (num, 28, 28), dtype=np.uint8)
            labels = np.arange(num, dtype=np.uint8) % 10
            for name, array in (("images-idx3", images), ("labels-idx1", labels)):
                header = struct.pack(f">{1 + array.ndim}I", 0x0800 | array.ndim, *array.shape)
                content = header + array.tobytes()
                name = name.replace("-", ".") if is_dotted else name
                path = folder / f"{part}-{name}-ubyte{'.gz' * is_gzipped}"
                path.write_bytes(gzip.compress(content) if is_gzipped else content)
        return folder

    return write


@pytest.fixture
def write_cifar() -> Callable[..., Path]:
    """A function that writes a CIFAR-10 of two images a batch, in either layout."""

    def write(folder: Path, *, is_python: bool = False) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(0)
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
            pixels = random.integers(0, 256, (2, 3072), dtype=np.uint8)
            labels = [int(label) for label in random.integers(0, 10, 2)]
            if is_python:
                batch = {b"data": pixels, b"labels": labels}
                (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
            else:
                records = np.column_stack([np.array(labels, np.uint8), pixels])
                (folder / f"{name}.bin").write_bytes(records.tobytes())
        return folder

    return write
