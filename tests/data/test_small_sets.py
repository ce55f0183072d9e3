import hashlib
import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from lottery_ticket.data import load_dataset
from lottery_ticket.data._small import split_indices
from lottery_ticket.errors import UsageError


def test_digits():
    data = load_dataset("digits")
    assert (len(data.train), len(data.validation), len(data.test)) == (1197, 300, 300)
    assert (data.input_shape, data.output_size, data.task) == ((64,), 10, "classification")
    assert data.train.x.mean().item() == pytest.approx(0, abs=1e-5)
    assert data.train.x.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert data.test.y.bincount().tolist() == [30] * 10
    assert data.validation.y.bincount().tolist() == [30] * 10
    assert data.digest == "f9f9c9dfbafa6edfa6a994ac2bcec327e93eb0ef83ac6f8d8588eab4ddcae87a"


def test_digits_split_is_fixed():
    parts = split_indices(load_digits(return_X_y=True)[1])
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(1797))
    content = b"".join(indices.astype("<i8").tobytes() for indices in parts.values())
    assert (
        hashlib.sha256(content).hexdigest()
        == "40a0c0539c48a2b190fdd0dc8f9142a00bd4b77a9046411c441f05d5c06d941d"
    )


def test_sin():
    data = load_dataset("sin")
    assert (len(data.train), data.validation, len(data.test)) == (70, None, 30)
    assert (data.input_shape, data.output_size, data.task) == ((1,), 1, "regression")
    assert data.train.x.abs().max() <= math.pi
    assert data.digest == "617dbac1378b1b4cd4c9babf288baa8d9785f18da9687c62a4711a9fb75e2cbb"


def test_sin_options():
    clean = load_dataset("sin", num_points=2000, noise=0)
    torch.testing.assert_close(clean.train.y, clean.train.x.sin())
    noisy = load_dataset("sin", num_points=2000, noise=0.5)
    assert torch.equal(noisy.train.x, clean.train.x)
    assert (noisy.train.y - clean.train.y).std().item() == pytest.approx(0.5, rel=0.1)
    assert noisy.train.x.std().item() == pytest.approx(math.pi / math.sqrt(3), rel=0.05)
    other = load_dataset("sin", num_points=2000, noise=0, seed=1)
    assert other.digest != clean.digest
    assert load_dataset("sin", num_points=2000, noise=0).digest == clean.digest


@pytest.mark.parametrize(
    ("option", "value"),
    [("num_points", 1), ("noise", -0.1), ("noise", math.nan), ("noise", math.inf)],
)
def test_sin_refuses(option, value):
    with pytest.raises(UsageError, match=f"'sin': {option} is .*; got {value}"):
        load_dataset("sin", **{option: value})
