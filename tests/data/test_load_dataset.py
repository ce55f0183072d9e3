from pathlib import Path

import pytest
import torch

from lottery_ticket.data import (
    DATASETS,
    DataSet,
    Split,
    content_digest,
    dataset_options,
    load_dataset,
    register_dataset,
    resolve_data_dir,
)
from lottery_ticket.errors import UsageError

ARRAYS = {"path": None, "validation": 0, "task": "", "num_classes": 0, "relabel": False}
BUILT_IN = {
    "arrays": ARRAYS,
    "cifar10": {"validation": 0},
    "cifar100": {"validation": 0, "coarse": False},
    "digits": {},
    "fashion-mnist": {"validation": 0},
    "mnist": {"validation": 0},
    "sin": {"num_points": 100, "noise": 0.2, "seed": 0},
    "svhn": {"validation": 0},
}


def xor(labels=(0, 1, 1, 0), **changes):
    split = Split(torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor(labels))
    digest = content_digest({"x": split.x, "y": split.y})
    fields = {"task": "classification", "num_classes": 2, "digest": digest} | changes
    return DataSet(name="xor", train=split, validation=None, test=split, **fields)


@register_dataset("test-xor")
def load_xor(data_dir: Path, copies: int, scale: "float" = 1.0, is_flipped: bool = False):
    assert isinstance(data_dir, Path)
    return xor()


@register_dataset("test-any")
def load_any(data_dir, **options):
    return options["result"]


def test_options_of_the_built_in_sets():
    built_in = set(DATASETS) - set(DATASETS.user_entries())
    options = {name: dataset_options(name) for name in sorted(built_in)}
    found = {
        name: {key: None if o.default is o.empty else o.default for key, o in known.items()}
        for name, known in options.items()
    }
    assert found == {name: {**options, "limit": 0} for name, options in BUILT_IN.items()}
    assert dataset_options("sin")["noise"].annotation is float


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mnst", {}, "unknown data set 'mnst'; did you mean 'mnist'?"),
        (
            "mnist",
            {"validaton": 1},
            "'mnist' has no option 'validaton'; did you mean 'validation'?",
        ),
        ("digits", {"validation": 1}, "'digits' has no option 'validation'; valid: limit"),
        ("sin", {"data_dri": 1}, "has no option 'data_dri'; valid: limit, noise, num_points, seed"),
        ("arrays", {}, "'arrays' needs the option 'path'"),
        ("arrays", {"path": 3}, "option 'path': got 3 (int), wanted"),
        ("mnist", {"validation": "5"}, "option 'validation': got '5' (str), wanted"),
        (
            "mnist",
            {"validation": True},
            "option 'validation': got True (bool), wanted",
        ),
        (
            "sin",
            {"num_points": 10.0},
            "option 'num_points': got 10.0 (float), wanted",
        ),
        ("test-xor", {}, "'test-xor' needs the option 'copies'"),
        ("test-xor", {"copies": 1, "scale": "a"}, "option 'scale': got 'a' (str), wanted"),
        (
            "test-xor",
            {"copies": 1, "is_flipped": 1},
            "option 'is_flipped': got 1 (int), wanted",
        ),
    ],
)
def test_wrong_options(name, options, message):
    with pytest.raises(UsageError) as caught:
        load_dataset(name, **options)
    assert message in str(caught.value)


def test_a_users_own_set():
    data = load_dataset("test-xor", copies=1, scale=2)
    assert (data.input_shape, data.output_size) == ((2,), 2)
    assert DATASETS.entry("test-xor").is_user
    assert not DATASETS.entry("mnist").is_user
    assert DATASETS.entry("test-xor").source_hash() is not None


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (3, "must return a DataSet; got int"),
        (xor(labels=(0, 1, 2, 0)), "labels go from 0 to num_classes − 1 = 1; got 0 to 2"),
        (xor(labels=(0, -1, 1, 0)), "got -1 to 1"),
    ],
)
def test_a_users_set_is_checked(result, message):
    with pytest.raises(UsageError, match=message):
        load_dataset("test-any", result=result)


def test_registering_refuses():
    with pytest.raises(UsageError, match="'mnist' is already registered"):
        register_dataset("mnist")(load_xor)
    with pytest.raises(UsageError, match="takes the data folder first"):
        register_dataset("test-nothing")(lambda: xor())
    assert "test-nothing" not in DATASETS


def test_resolve_data_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("LOTTERY_DATA", str(tmp_path))
    assert resolve_data_dir(None) == tmp_path
    assert resolve_data_dir("other") == Path("other")
    assert resolve_data_dir("~/other") == Path.home() / "other"
    monkeypatch.setenv("LOTTERY_DATA", "")
    assert resolve_data_dir(None).parts[-2:] == ("lottery_ticket", "data")


def test_to_moves_every_split():
    data = load_dataset("digits")
    moved = data.to("meta")
    for split in (moved.train, moved.validation, moved.test):
        assert (split.x.device.type, split.y.device.type) == ("meta", "meta")
    assert (moved.digest, len(moved.train)) == (data.digest, len(data.train))
    assert load_dataset("sin").to("meta").validation is None


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.zeros(2, 1).double(), torch.zeros(2).long(), "x is float32"),
        (torch.zeros(2), torch.zeros(2).long(), "x is float32"),
        (torch.zeros(2, 1), torch.zeros(2), "y is int64"),
        (torch.zeros(2, 1), torch.zeros(2, 1).long(), "y is int64"),
        (torch.zeros(2, 1), torch.zeros(3).long(), "got 2 and 3"),
        (torch.zeros(0, 1), torch.zeros(0).long(), "at least one"),
    ],
)
def test_split_refuses(x, y, message):
    with pytest.raises(UsageError, match=message):
        Split(x, y)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "ranking"}, "got 'ranking'"),
        ({"num_classes": None}, "got classification with None"),
        ({"task": "regression"}, "got regression with 2"),
        ({"task": "regression", "num_classes": None}, "regression wants torch.float32 y"),
    ],
)
def test_data_set_refuses(changes, message):
    with pytest.raises(UsageError, match=message):
        xor(**changes)


def test_data_set_refuses_other_shapes():
    one, two = (Split(torch.zeros(1, size), torch.zeros(1).long()) for size in (1, 2))
    with pytest.raises(UsageError, match=r"differ between splits: x \(2,\) and \(1,\)"):
        DataSet("mine", one, None, two, "classification", 2, "")


def test_a_data_set_prints_as_a_line_of_what_it_has():
    data = load_dataset("digits")
    assert repr(data) == (
        "DataSet('digits': 1,197 train, 300 validation, 300 test; 10 classes; inputs (64,))"
    )
    assert repr(data.test) == "Split(x: float32 (300, 64); y: int64 (300,))"
