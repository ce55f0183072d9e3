"""CIFAR-100, written small in its python layout."""

import pickle

import numpy as np
import pytest
import torch

from lottery_ticket.data import found_datasets, load_dataset
from lottery_ticket.errors import DataError

FOLDER = "cifar-100-python"


@pytest.fixture
def written(tmp_path):
    """Files as the archive has them, of 6 and 4 images."""
    random = np.random.default_rng(0)
    (tmp_path / FOLDER).mkdir()
    for name, num in (("train", 6), ("test", 4)):
        batch = {
            b"filenames": [b"a.png"] * num,
            b"batch_label": b"training batch 1 of 1",
            b"fine_labels": [int(n) for n in random.integers(0, 100, num)],
            b"coarse_labels": [int(n) for n in random.integers(0, 20, num)],
            b"data": random.integers(0, 256, (num, 3072), dtype=np.uint8),
        }
        (tmp_path / FOLDER / name).write_bytes(pickle.dumps(batch, protocol=2))
    return tmp_path


def raw(root, name):
    return pickle.loads((root / FOLDER / name).read_bytes())


@pytest.mark.parametrize(
    ("coarse", "key", "num_classes"), [(False, b"fine_labels", 100), (True, b"coarse_labels", 20)]
)
def test_labels_of_both_kinds(written, coarse, key, num_classes):
    data = load_dataset("cifar100", data_dir=written, coarse=coarse)
    assert (data.name, data.num_classes, data.input_shape) == ("cifar100", num_classes, (3, 32, 32))
    assert data.train.y.tolist() == raw(written, "train")[key]
    assert data.test.y.tolist() == raw(written, "test")[key]
    pixels = torch.tensor(raw(written, "test")[b"data"]).view(4, 3, 32, 32) / 255
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in (data.normalisation.mean, data.normalisation.std)
    )
    torch.testing.assert_close(data.test.x * std + mean, pixels)


def test_the_two_are_other_data(written):
    fine, coarse = (load_dataset("cifar100", data_dir=written, coarse=c) for c in (False, True))
    assert fine.digest != coarse.digest
    assert len(load_dataset("cifar100", data_dir=written, validation=2).validation) == 2
    assert found_datasets(written)["cifar100"] == written / FOLDER


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({b"fine_labels": [0] * 5}, "got 5 labels for 6 images"),
        ({b"fine_labels": [0] * 5 + [100]}, "got 0 to 100, wanted 0 to 99"),
        ({b"fine_labels": "no list"}, "its b'fine_labels' are not a list of integers"),
        ({b"data": np.zeros((6, 9), np.uint8)}, r"shape \(6, 9\)"),
    ],
)
def test_damaged(written, change, problem):
    path = written / FOLDER / "train"
    path.write_bytes(pickle.dumps(raw(written, "train") | change, protocol=2))
    with pytest.raises(DataError, match=problem) as caught:
        load_dataset("cifar100", data_dir=written)
    assert str(path) in str(caught.value)


def test_a_batch_of_cifar10_is_none(written):
    path = written / FOLDER / "test"
    path.write_bytes(pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}, 2))
    with pytest.raises(DataError, match="wanted a dict with b'data' and b'fine_labels'"):
        load_dataset("cifar100", data_dir=written)


def test_an_archive_that_was_not_unpacked_is_named(tmp_path):
    (tmp_path / "cifar-100-python.tar.gz").touch()
    with pytest.raises(
        DataError, match=r"unpack what is there: tar -xzf .*cifar-100-python\.tar\.gz"
    ):
        load_dataset("cifar100", data_dir=tmp_path)
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10", data_dir=tmp_path)
    assert "tar -xzf" not in str(caught.value)
