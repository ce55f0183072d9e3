"""SVHN, written small as MATLAB files."""

import numpy as np
import pytest
import torch
from scipy.io import savemat

from lottery_ticket.data import found_datasets, load_dataset
from lottery_ticket.errors import DataError

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (32, 32, 3, 10), dtype=np.uint8)
Y = np.arange(1, 11, dtype=np.uint8)[:, None]


@pytest.fixture
def write(tmp_path):
    def write_(name="train_32x32.mat", **content):
        path = tmp_path / "svhn" / name
        path.parent.mkdir(exist_ok=True)
        savemat(path, {"X": X, "y": Y} | content, do_compression=True)
        return path

    write_("test_32x32.mat", X=X[..., :4], y=Y[:4])
    write_()
    return write_


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_images_and_digits(write, tmp_path, kind):
    write(y=Y.astype(kind))
    data = load_dataset("svhn", data_dir=tmp_path, validation=3)
    assert (data.num_classes, data.input_shape) == (10, (3, 32, 32))
    assert (len(data.train), len(data.validation), len(data.test)) == (7, 3, 4)
    assert data.test.y.tolist() == [1, 2, 3, 4]
    whole = load_dataset("svhn", data_dir=tmp_path)
    assert whole.train.y.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]  # label 10 is the digit 0
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in (data.normalisation.mean, data.normalisation.std)
    )
    pixel = (whole.train.x * std + mean)[6, 2, 30, 5] * 255  # image, channel, row, column
    assert pixel.item() == pytest.approx(int(X[30, 5, 2, 6]), abs=1e-3)
    assert found_datasets(tmp_path)["svhn"] == tmp_path / "svhn"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"y": Y[:9]}, "got 9 labels for 10 images"),
        ({"y": Y - 1}, "got 0 to 9, wanted 1 to 10"),
        ({"y": Y + 0.5}, "y holds fractions"),
        ({"y": "digits"}, "y is char"),
        ({"X": X.astype(float)}, "X is double (32, 32, 3, 10), wanted uint8"),
        ({"X": X[:28]}, "X is uint8 (28, 32, 3, 10)"),
        ({"X": X[..., 0]}, "X is uint8 (32, 32, 3)"),
        ({"X": np.zeros((32, 32, 3, 5000), np.uint8)}, "X has 5,000 images, wanted 1 to "),
    ],
)
def test_what_is_not_svhn(write, tmp_path, content, problem):
    path = write(**content)
    with pytest.raises(DataError) as caught:
        load_dataset("svhn", data_dir=tmp_path)
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("size", [0, 20, 128, 400, 5000, -1])
def test_cut_short(write, tmp_path, size):
    path = write()
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError) as caught:
        load_dataset("svhn", data_dir=tmp_path)
    assert str(path) in str(caught.value)


def test_other_variables(write, tmp_path):
    path = write()
    savemat(path, {"images": X, "y": Y})
    with pytest.raises(DataError, match="has no variable 'X'; got images, y"):
        load_dataset("svhn", data_dir=tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"svhn: cannot find train_32x32\.mat"):
        load_dataset("svhn", data_dir=tmp_path)
