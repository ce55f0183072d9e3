import os
import pickle
import re

import numpy as np
import pytest
import torch

from lottery_ticket.data import load_dataset
from lottery_ticket.errors import DataError

BINARY, PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"


def test_real_set(cifar_dir, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)  # decoded here, and not written to the disk
    data = load_dataset("cifar10", data_dir=cifar_dir, validation=5000)
    assert data.train.x.shape == (45_000, 3, 32, 32)
    assert data.test.x.shape == (10_000, 3, 32, 32)
    both = torch.cat([data.train.y, data.validation.y])
    assert both.bincount().tolist() == [5000] * 10
    assert data.test.y[:5].tolist() == [3, 8, 8, 0, 6]
    some = data.train.x[::9]
    torch.testing.assert_close(some.mean((0, 2, 3)), torch.zeros(3), atol=5e-3, rtol=0)
    torch.testing.assert_close(some.std((0, 2, 3)), torch.ones(3), atol=5e-3, rtol=0)


@pytest.mark.parametrize(
    ("folder", "is_python"),
    [
        (BINARY, False),
        (f"cifar10/{BINARY}", False),
        ("cifar10", False),
        (".", False),
        (PYTHON, True),
        (f"cifar10/{PYTHON}", True),
        ("cifar10", True),
        (".", True),
    ],
)
def test_every_layout_is_the_same_set(folder, is_python, tmp_path, write_cifar):
    write_cifar(tmp_path / folder, is_python=is_python)
    data = load_dataset("cifar10", data_dir=tmp_path)
    assert data.digest == "97c1b005b727547ca99156b9626c6a52fc57b1f02945f6cfda792ef309ceb3f5"
    assert data.train.x.shape == (10, 3, 32, 32)
    assert (data.input_shape, data.output_size) == ((3, 32, 32), 10)


def test_pixels_are_normalised_per_channel(tmp_path, write_cifar):
    write_cifar(tmp_path)
    raw = np.frombuffer((tmp_path / "test_batch.bin").read_bytes(), np.uint8).reshape(2, 3073)
    x = torch.tensor(raw[:, 1:].reshape(2, 3, 32, 32)) / 255
    mean = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
    std = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)
    test = load_dataset("cifar10", data_dir=tmp_path).test
    torch.testing.assert_close(test.x, (x - mean) / std)
    assert test.y.tolist() == raw[:, 0].tolist()


RECORD = bytes(3073)
BINARY_DAMAGES = {
    "empty": (b"", "got 0 bytes"),
    "cut within an image": (RECORD[:-1], "got 3072 bytes, wanted a multiple of 3073"),
    "cut between images": (RECORD, "got 1 images, where the other batches have 2"),
    "label 10": (b"\x0a" + RECORD[1:], "got 10 to 10, wanted 0 to 9"),
}


@pytest.mark.parametrize("damage", BINARY_DAMAGES)
def test_damaged_binary(damage, tmp_path, write_cifar):
    content, problem = BINARY_DAMAGES[damage]
    path = write_cifar(tmp_path / BINARY) / "data_batch_3.bin"
    path.write_bytes(content)
    check_error(tmp_path, path, problem)


PIXELS = np.zeros((2, 3072), np.uint8)
PYTHON_DAMAGES = {
    "not a batch": ([1, 2], "wanted a dict with b'data' and b'labels'"),
    "no labels": ({b"data": PIXELS}, "wanted a dict with b'data' and b'labels'"),
    "no array": ({b"data": [0], b"labels": [0]}, "wanted an array, got list"),
    "floats": ({b"data": PIXELS.astype(float), b"labels": [0, 1]}, "wanted an array of uint8"),
    "other size": ({b"data": PIXELS[:, :9], b"labels": [0, 1]}, "shape (2, 9), wanted (N, 3072)"),
    "counts differ": ({b"data": PIXELS, b"labels": [0]}, "got 1 labels for 2 images"),
    "label 10": ({b"data": PIXELS, b"labels": [0, 10]}, "got 0 to 10, wanted 0 to 9"),
    "odd labels": ({b"data": PIXELS, b"labels": ["a", "b"]}, "not a list of integers"),
}


@pytest.mark.parametrize("damage", PYTHON_DAMAGES)
def test_damaged_python(damage, tmp_path, write_cifar):
    batch, problem = PYTHON_DAMAGES[damage]
    path = write_cifar(tmp_path / PYTHON, is_python=True) / "data_batch_3"
    path.write_bytes(pickle.dumps(batch, protocol=2))
    check_error(tmp_path, path, problem)


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({b"data": PIXELS}, 2)[:-500]])
def test_damaged_pickle(content, tmp_path, write_cifar):
    path = write_cifar(tmp_path / PYTHON, is_python=True) / "test_batch"
    path.write_bytes(content)
    check_error(tmp_path, path, "cannot be read")


def test_pickle_of_python_2(tmp_path, write_cifar):
    """The original batches come from Python 2, whose strings are bytes."""
    path = write_cifar(tmp_path / PYTHON, is_python=True) / "test_batch"
    raw = bytes(range(256)) * 24
    content = (
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        b"K\x00\x85U\x01b\x87R(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x18\x00\x00"
        + raw
        + b"tbU\x06labels](K\x07K\x08eu."
    )
    path.write_bytes(content)
    test = load_dataset("cifar10", data_dir=tmp_path).test
    assert test.y.tolist() == [7, 8]
    pixels = torch.tensor(list(raw)).view(2, 3, 32, 32)
    # undo the normalisation of the blue channel
    torch.testing.assert_close(test.x[:, 2] * 0.2616 + 0.4465, pixels[:, 2] / 255)


def test_fortran_order(tmp_path, write_cifar):
    path = write_cifar(tmp_path / PYTHON, is_python=True) / "test_batch"
    batch = pickle.loads(path.read_bytes())
    plain = load_dataset("cifar10", data_dir=tmp_path)
    batch[b"data"] = np.asfortranarray(batch[b"data"])
    path.write_bytes(pickle.dumps(batch, protocol=2))
    assert load_dataset("cifar10", data_dir=tmp_path).digest == plain.digest


class Malicious:
    """Unpickled, it would run a command."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_malicious_pickle_is_refused(tmp_path, write_cifar):
    path = write_cifar(tmp_path / PYTHON, is_python=True) / "data_batch_1"
    trace = tmp_path / "trace"
    attack = pickle.dumps({b"data": Malicious(f"echo > {trace}"), b"labels": [0]}, protocol=2)
    path.write_bytes(attack)
    error = check_error(tmp_path, path, f"{os.system.__module__}.system", "Do not trust this file")
    assert "wants to run" in error
    assert not trace.exists()
    # the attack is a real one
    pickle.loads(attack)
    assert trace.exists()


def test_a_pickle_cannot_alter_the_stand_ins(tmp_path, write_cifar):
    path = write_cifar(tmp_path / PYTHON, is_python=True) / "data_batch_1"
    # GLOBAL numpy.dtype, then BUILD it with {"x": 1}: sets an attribute of whatever the name means
    path.write_bytes(b"\x80\x02cnumpy\ndtype\n}X\x01\x00\x00\x00xK\x01sb.")
    check_error(tmp_path, path, "cannot be read: TypeError")


def test_missing_batch(tmp_path, write_cifar):
    (write_cifar(tmp_path / PYTHON, is_python=True) / "data_batch_4").unlink()
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10", data_dir=tmp_path)
    assert "cannot find data_batch_4. Looked in" in str(caught.value)
    assert f"  {tmp_path / BINARY}\n" in str(caught.value)
    assert "--data-dir or LOTTERY_DATA" in str(caught.value)


def check_error(root, path, problem, remedy="Replace it with an intact copy"):
    with pytest.raises(DataError, match=re.escape(problem)) as caught:
        load_dataset("cifar10", data_dir=root)
    assert str(path) in str(caught.value)
    assert remedy in str(caught.value)
    return str(caught.value)
