import gzip
import re
import struct

import numpy as np
import pytest
import torch

from lottery_ticket.data import load_dataset
from lottery_ticket.errors import DataError, UsageError

IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"

REAL = {
    "mnist": (
        [5, 0, 4, 1, 9],
        "08f348aeca3d689b37a8d548ee65a4ef39ba31ec1e775cd5635b6555bc4930ab",
    ),
    "fashion-mnist": (
        [9, 0, 0, 3, 0],
        "55005e12434c60faa7636d9262fb840c22be9d3931f790fdb35086dc560112e9",
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_real_set(name, data_dir, request):
    first_labels, digest = REAL[name]
    mnist = request.getfixturevalue("real_mnist") if name == "mnist" else None
    data = mnist or load_dataset(name, data_dir=data_dir)
    assert data.train.x.shape == (60_000, 1, 28, 28)
    assert data.test.x.shape == (10_000, 1, 28, 28)
    assert data.validation is None
    assert data.train.y[:5].tolist() == first_labels
    assert data.test.y.unique().tolist() == list(range(10))
    assert data.train.x.mean().item() == pytest.approx(0, abs=1e-3)
    assert data.train.x.std().item() == pytest.approx(1, abs=1e-3)
    assert data.digest == digest


def test_validation_of_the_real_set(data_dir, real_mnist):
    data = load_dataset("mnist", data_dir=data_dir, validation=5000)
    assert (len(data.train), len(data.validation), len(data.test)) == (55_000, 5_000, 10_000)
    assert data.digest == real_mnist.digest
    both = torch.cat([data.train.y, data.validation.y])
    assert torch.equal(both.bincount(), real_mnist.train.y.bincount())


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("mnist", "."),
        ("fashion-mnist", "fashion-mnist"),
        ("fashion-mnist", "FashionMNIST/raw"),
        ("fashion-mnist", "."),
    ],
)
@pytest.mark.parametrize("is_gzipped", [False, True])
@pytest.mark.parametrize("is_dotted", [False, True])
def test_every_layout_is_the_same_set(name, folder, is_gzipped, is_dotted, tmp_path, write_mnist):
    write_mnist(tmp_path / folder, is_gzipped=is_gzipped, is_dotted=is_dotted)
    data = load_dataset(name, data_dir=tmp_path)
    assert data.digest == "604cda0f0ef959a703de9a50fbe9cd77b12b863694d3084fb74a8ccaab606b2d"
    assert data.train.y.tolist() == [0, 1, 2, 3, 4, 5]
    assert (data.input_shape, data.output_size) == ((1, 28, 28), 10)


def test_lottery_data_is_the_folder(tmp_path, write_mnist, monkeypatch):
    write_mnist(tmp_path / "mnist")
    monkeypatch.setenv("LOTTERY_DATA", str(tmp_path))
    assert len(load_dataset("mnist").train) == 6


def test_pixels_are_scaled_and_normalised(tmp_path, write_mnist):
    write_mnist(tmp_path)
    raw = np.frombuffer((tmp_path / IMAGES).read_bytes()[16:], np.uint8).reshape(6, 1, 28, 28)
    wanted = (torch.tensor(raw) / 255 - 0.1307) / 0.3081
    torch.testing.assert_close(load_dataset("mnist", data_dir=tmp_path).train.x, wanted)


def test_validation_is_held_out_of_the_training_images(tmp_path, write_mnist):
    write_mnist(tmp_path)
    whole = load_dataset("mnist", data_dir=tmp_path)
    data = load_dataset("mnist", data_dir=tmp_path, validation=2)
    # the labels of the small set number its images
    kept, held = data.train.y, data.validation.y
    assert sorted([*kept.tolist(), *held.tolist()]) == [0, 1, 2, 3, 4, 5]
    assert torch.equal(data.train.x, whole.train.x[kept])
    assert torch.equal(data.validation.x, whole.train.x[held])
    assert torch.equal(held, load_dataset("mnist", data_dir=tmp_path, validation=2).validation.y)


@pytest.mark.parametrize("validation", [-1, 6, 60_000])
def test_validation_out_of_range(validation, tmp_path, write_mnist):
    write_mnist(tmp_path)
    with pytest.raises(UsageError, match=f"from 0 to 5; got {validation}"):
        load_dataset("mnist", data_dir=tmp_path, validation=validation)


def header(*sizes):
    return struct.pack(f">{1 + len(sizes)}I", 0x0800 | len(sizes), *sizes)


DAMAGES = {
    "empty": (IMAGES, b"", "got 0 bytes, not 16"),
    "wrong magic": (IMAGES, header(6) + bytes(20), "got magic 0x00000801, not 0x00000803"),
    "truncated": (IMAGES, header(6, 28, 28) + bytes(100), "got 100 bytes, not 4704"),
    "too long": (LABELS, header(6) + bytes(7), "got 7 bytes or more, not 6"),
    "bad gzip": (IMAGES, b"\x1f\x8b" + bytes(30), "cannot be read: BadGzipFile"),
    "cut gzip": (IMAGES, gzip.compress(header(6, 28, 28))[:-9], "cannot be read: EOFError"),
    "corrupt gzip": (
        LABELS,
        gzip.compress(b"")[:10] + b"\xff" * 20,
        "cannot be read: error: Error -3",
    ),
    "other size": (IMAGES, header(6, 2, 2) + bytes(24), "got images (6, 2, 2), wanted (N, 28, 28)"),
    "no images": (IMAGES, header(0, 28, 28), "got images (0, 28, 28)"),
    "counts differ": (LABELS, header(5) + bytes(5), "got 5 labels for the 6 images"),
    "label 10": (LABELS, header(6) + b"\0\1\2\3\4\x0a", "got 0 to 10, wanted 0 to 9"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file(damage, tmp_path, write_mnist):
    name, content, problem = DAMAGES[damage]
    path = write_mnist(tmp_path) / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(problem)) as caught:
        load_dataset("mnist", data_dir=tmp_path)
    assert str(path) in str(caught.value)
    assert "Replace it with an intact copy" in str(caught.value)


def test_missing_file(tmp_path, write_mnist):
    (write_mnist(tmp_path / "MNIST/raw") / LABELS).unlink()
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", data_dir=tmp_path)
    # only the file that is missing is asked for
    assert f"cannot find {LABELS}. Looked in" in str(caught.value)
    for place in (tmp_path / "mnist", tmp_path / "MNIST/raw", tmp_path):
        assert f"  {place}\n" in str(caught.value)
    assert "Put the missing file there" in str(caught.value)
    assert "--data-dir or LOTTERY_DATA" in str(caught.value)


def test_missing_folder(tmp_path):
    with pytest.raises(DataError, match=f"cannot find {IMAGES}, {LABELS}"):
        load_dataset("mnist", data_dir=tmp_path / "absent")
