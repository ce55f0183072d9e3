import pickle
import re

import numpy as np
import pytest
import torch

from lottery_ticket.data import load_dataset
from lottery_ticket.data._arrays import read_npy_folder
from lottery_ticket.errors import DataError, UsageError

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10) % 3


def save(tmp_path, **content):
    np.savez(tmp_path / "mine.npz", **content)
    return str(tmp_path / "mine.npz")


def test_classification(tmp_path):
    path = save(tmp_path, x=X, y=Y, x_test=X[:4], y_test=Y[:4])
    data = load_dataset("arrays", path=path)
    assert (data.task, data.num_classes, data.validation) == ("classification", 3, None)
    assert (data.input_shape, data.output_size) == ((2,), 3)
    assert torch.equal(data.train.x, torch.tensor(X, dtype=torch.float32))
    assert torch.equal(data.train.y, torch.tensor(Y))
    assert len(data.test) == 4


@pytest.mark.parametrize(("shape", "size"), [((10,), 1), ((10, 1), 1), ((10, 3), 3)])
def test_regression(shape, size, tmp_path):
    y = np.linspace(0, 1, np.prod(shape)).reshape(shape)
    path = save(tmp_path, x=X, y=y, x_test=X, y_test=y)
    data = load_dataset("arrays", path=path)
    assert (data.task, data.num_classes, data.output_size) == ("regression", None, size)
    assert data.train.y.flatten().tolist() == pytest.approx(y.flatten().tolist())


def test_all_three_splits_and_train_keys(tmp_path):
    path = save(
        tmp_path, x_train=X, y_train=Y, x_validation=X[:3], y_validation=Y[:3],
        x_test=X[:2], y_test=Y[:2], class_names=np.array(["a", "b", "c"]),
    )  # fmt: skip
    data = load_dataset("arrays", path=path)
    assert (len(data.train), len(data.validation), len(data.test)) == (10, 3, 2)
    with pytest.raises(UsageError, match="has its own x_validation; leave out validation=2"):
        load_dataset("arrays", path=path, validation=2)


def test_a_fifth_is_held_out_as_test(tmp_path):
    path = save(tmp_path, x=X, y=np.arange(10))
    data = load_dataset("arrays", path=path, validation=3)
    parts = [split.y.tolist() for split in (data.train, data.validation, data.test)]
    assert [len(part) for part in parts] == [5, 3, 2]
    assert sorted(label for part in parts for label in part) == list(range(10))
    assert load_dataset("arrays", path=path).test.y.tolist() == parts[2]
    assert data.digest == load_dataset("arrays", path=path).digest


def test_digest_is_of_the_content(tmp_path):
    digest = load_dataset("arrays", path=save(tmp_path, x=X, y=Y)).digest
    assert load_dataset("arrays", path=save(tmp_path, y_train=Y, x_train=X)).digest == digest
    swapped = save(tmp_path, x=X.astype(">f8"), y=Y)
    assert load_dataset("arrays", path=swapped).digest == digest
    np.savez_compressed(tmp_path / "mine.npz", x=X, y=Y)
    assert load_dataset("arrays", path=str(tmp_path / "mine.npz")).digest == digest
    assert load_dataset("arrays", path=save(tmp_path, x=X, y=2 - Y)).digest != digest


def test_bytes_are_scaled_and_vectors_become_columns(tmp_path):
    x = np.array([0, 51, 255], np.uint8)
    data = load_dataset("arrays", path=save(tmp_path, x=x, y=Y[:3], x_test=x, y_test=Y[:3]))
    assert data.train.x.tolist() == [[0.0], [pytest.approx(0.2)], [1.0]]


def test_splits_of_other_scales_are_refused(tmp_path):
    """uint8 is divided by 255; floats beside it are as they are."""
    images = np.arange(24, dtype=np.uint8).reshape(12, 2)
    y = np.arange(12) % 2
    for x, x_test in ((images, images.astype(float)), (images.astype("int64"), images)):
        np.savez(tmp_path / "a.npz", x=x, y=y, x_test=x_test, y_test=y)
        with pytest.raises(DataError, match=r"in some splits alone \(train .*, test .*\)"):
            load_dataset("arrays", path=str(tmp_path / "a.npz"))


def test_path_is_relative_to_the_current_folder(tmp_path, monkeypatch):
    save(tmp_path, x=X, y=Y)
    monkeypatch.chdir(tmp_path)
    assert len(load_dataset("arrays", path="mine.npz").train) == 8


@pytest.mark.parametrize("validation", [-1, 8])
def test_validation_out_of_range(validation, tmp_path):
    with pytest.raises(UsageError, match=f"from 0 to 7; got {validation}"):
        load_dataset("arrays", path=save(tmp_path, x=X, y=Y), validation=validation)


WRONG = {
    "no y": ({"x": X}, "has no array 'y'; got x"),
    "no x": ({"y_test": Y, "x_test": X, "y": Y}, "has no array 'x'"),
    "nothing": ({}, "has no array 'x'; got —"),
    "half a test": ({"x": X, "y": Y, "x_test": X}, "has no array 'y_test'"),
    "misspelt": ({"x": X, "y": Y, "x_tset": X}, "unknown array 'x_tset'; did you mean 'x_test'?"),
    "twice": ({"x": X, "y": Y, "x_train": X}, "x and x_train (y and y_train) are the same"),
    "strings": ({"x": X.astype(str), "y": Y}, "'x' holds <U"),
    "complex": ({"x": X + 1j, "y": Y}, "'x' holds complex128, wanted numbers"),
    "scalar": ({"x": X, "y": np.array(3)}, "'y' has shape ()"),
    "empty": ({"x": X[:0], "y": Y[:0]}, "'x' has shape (0, 2)"),
    "objects": ({"x": np.array([{}, {}]), "y": Y[:2]}, "Object arrays cannot be loaded"),
    "NaN": ({"x": np.where(X > 3, np.nan, X), "y": Y}, "the train split holds NaN"),
    "infinite y": ({"x": X, "y": (Y + 1) * np.inf}, "the train split holds NaN"),
    "beyond float32": ({"x": X * 1e300, "y": Y}, "numbers beyond float32"),
    "negative label": ({"x": X, "y": Y - 1}, "train labels go down to -1"),
    "one-hot": ({"x": X, "y": np.eye(10, dtype=int)}, "train labels have shape (10, 10)"),
    "lengths": ({"x": X, "y": Y[:9]}, "train has 10 x and 9 y"),
    "deep y": ({"x": X, "y": np.zeros((10, 1, 1))}, "train y has shape (10, 1, 1)"),
    "other shapes": (
        {"x": X, "y": Y, "x_test": X[:, :1], "y_test": Y},
        "one test x has shape (1,), one train x (2,)",
    ),
    "mixed targets": (
        {"x": X, "y": Y, "x_test": X, "y_test": Y / 2},
        "integers in one split and floats in another",
    ),
    "one class": ({"x": X, "y": np.zeros_like(Y)}, "at least two classes"),
    "absurd classes": (
        {"x": X, "y": np.full_like(Y, 2_000_000_000)},
        "no more classes than examples",
    ),
    "nothing in an example": ({"x": X.reshape(len(X), -1)[:, :0], "y": Y}, "nothing in it"),
    "one example": (
        {"x": X[:1], "y": Y[:1] / 2},
        "one example cannot make a train and a test split",
    ),
}
REMEDIES = (
    "Write it with numpy.savez",
    "Number the classes",
    "Remove those",
    "Give every",
    "Add x",
)


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_content(wrong, tmp_path):
    content, problem = WRONG[wrong]
    check_error(save(tmp_path, **content), problem)


def test_wrong_files(tmp_path):
    path = tmp_path / "mine.npz"
    whole = save(tmp_path, x=X, y=Y)
    content = path.read_bytes()
    np.save(tmp_path / "mine.npy", X)
    for bad in (b"", b"text", content[:-40], content[:60], pickle.dumps([1])):
        path.write_bytes(bad)
        check_error(whole, "cannot be read")
    flipped = bytearray(content)
    flipped[200] ^= 0xFF
    path.write_bytes(flipped)
    check_error(whole, "cannot be read")
    check_error(str(tmp_path / "mine.npy"), "holds one array, not an .npz")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"cannot find .*absent\.npz") as caught:
        load_dataset("arrays", path=str(tmp_path / "absent.npz"))
    assert f"Looked in {tmp_path}" in str(caught.value)
    assert "Give the option `path`" in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ("X", "Y", "X_test", "Y_test"),
        ("X_train", "y_train", "x_val", "y_val"),
        ("train_x", "train_y", "valid-x", "valid-y"),
        ("xTrain", "yTrain", "xTest", "yTest"),
        ("x", "y", "x_dev", "y_dev"),
    ],
)
def test_other_spellings_are_the_same_arrays(names, tmp_path):
    content = dict(zip(names, (X, Y, X[:4], Y[:4]), strict=True))
    part = "test" if "est" in names[-1] else "validation"
    usual = {"x": X, "y": Y, f"x_{part}": X[:4], f"y_{part}": Y[:4]}
    digest = load_dataset("arrays", path=save(tmp_path, **usual)).digest
    assert load_dataset("arrays", path=save(tmp_path, **content)).digest == digest


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"x": X, "X": X, "y": Y}, "are the same; keep one of x, X"),
        ({"images": X, "labels": Y}, "has no array 'x'; got images, labels"),
        ({"x": X, "y": Y, "X_tets": X}, "unknown array 'X_tets'; did you mean 'x_test'?"),
        ({"x": X, "y": Y, "X_valid": X}, "has no array 'y_validation'; got x, y, X_valid"),
    ],
)
def test_near_misses_are_named(content, problem, tmp_path):
    check_error(save(tmp_path, **content), problem)


def test_a_folder_of_npy_is_the_same_set(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    x = X.astype(np.float32)
    for name, array in {"X_train": x, "y_train": Y, "x_test": x[:4], "y_test": Y[:4]}.items():
        np.save(folder / name, array)
    (folder / "notes.txt").write_text("others are left alone")
    data = load_dataset("arrays", path=str(folder))
    packed = load_dataset("arrays", path=save(tmp_path, x=x, y=Y, x_test=x[:4], y_test=Y[:4]))
    assert data.digest == packed.digest
    assert torch.equal(data.train.x, packed.train.x)
    # mapped, not read; and never written to
    assert isinstance(read_npy_folder(folder)["train.x"], np.memmap)
    before = (folder / "X_train.npy").read_bytes()
    data.train.x.add_(1)
    assert (folder / "X_train.npy").read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda f: (f / "y.npy").unlink(), "has no array 'y'; got x"),
        (lambda f: np.save(f / "x_tset.npy", X), "unknown array 'x_tset'"),
        (lambda f: (f / "x.npy").write_bytes(b"text"), "x.npy: cannot be read"),
        (lambda f: np.save(f / "y.npy", np.array([{}])), "y.npy: cannot be read"),
        (lambda f: np.save(f / "x.npy", X.astype(complex)), "'x' holds complex128"),
        (lambda f: np.save(f / "x.npy", X[:0]), "x.npy: "),
        (lambda f: (f / "x.npy").write_bytes((f / "x.npy").read_bytes()[:-8]), "x.npy: cannot be"),
        (lambda f: [p.rename(p.with_suffix(".npz")) for p in f.iterdir()], "Name the file"),
    ],
)
def test_damaged_folders(damage, problem, tmp_path):
    for name, array in (("x", X), ("y", Y)):
        np.save(tmp_path / name, array)
    damage(tmp_path)
    with pytest.raises(DataError, match=re.escape(problem)) as caught:
        load_dataset("arrays", path=str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def check_error(path, problem):
    with pytest.raises(DataError, match=re.escape(problem)) as caught:
        load_dataset("arrays", path=path)
    assert path in str(caught.value)
    assert any(remedy in str(caught.value) for remedy in REMEDIES)
