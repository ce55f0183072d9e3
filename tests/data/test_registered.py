"""What a user's own loader may return, and what is said of the rest."""

import re

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from lottery_ticket.data import DataSet, Split, load_dataset, register_dataset
from lottery_ticket.errors import LotteryError

X = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 3


@register_dataset("registered")
def registered(data_dir, make: object):
    return make()


def loaded(make):
    return load_dataset("registered", make=make)


def data_set(x=X, y=Y, task="classification", num_classes=3, **fields):
    split = Split(x, y)
    fields = {"train": split, "validation": None, "test": split, "digest": "00"} | fields
    return DataSet("mine", task=task, num_classes=num_classes, **fields)


TAKEN = {
    "arrays": lambda: data_set(X.numpy(), Y.numpy()),
    "swapped bytes": lambda: data_set(X.numpy().astype(">f4"), Y.numpy()),
    "a reversed view": lambda: data_set(X.numpy()[::-1][::-1], Y.numpy()),
    "gradients asked for": lambda: data_set(X.clone().requires_grad_()),
    "not contiguous": lambda: data_set(X.t().contiguous().t()),
    "a NumPy count": lambda: data_set(num_classes=np.int64(3)),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken_as_it_is(name):
    data = loaded(TAKEN[name])
    assert torch.equal(data.train.x, X)
    assert torch.equal(data.train.y, Y)
    assert (data.train.x.requires_grad, type(data.num_classes)) == (False, int)


def with_nan(row):
    x = X.clone()
    x[row, 1] = float("nan")
    return x


REFUSED = {
    "x is a list": (lambda: data_set(X.tolist()), "x is a tensor; got list; torch.tensor(x)"),
    "y is a list": (lambda: data_set(y=Y.tolist()), "y is a tensor; got list"),
    "float64": (lambda: data_set(X.double()), "x is float32 (N, …); got torch.float64"),
    "float64 array": (lambda: data_set(X.numpy().astype(float)), "x.float() makes it so"),
    "bytes": (lambda: data_set(X.byte()), "x.float() / 255"),
    "text": (lambda: data_set(np.array([["a"]] * 12)), "x is numbers; got an array of <U1"),
    "one number each": (lambda: data_set(X[:, 0]), "x[:, None]"),
    "int32 labels": (lambda: data_set(y=Y.int()), "y.long()"),
    "flat targets": (lambda: data_set(y=X[:, 0], task="regression"), "y[:, None]"),
    "column of labels": (lambda: data_set(y=Y[:, None]), "y.squeeze(1)"),
    "other lengths": (lambda: data_set(y=Y[:-1]), "got 12 and 11"),
    "empty": (lambda: data_set(X[:0], Y[:0]), "at least one"),
    "sparse": (lambda: data_set(X.to_sparse()), ".to_dense()"),
    "meta": (lambda: data_set(X.to("meta"), Y.to("meta")), "holds no values"),
    "NaN": (lambda: data_set(with_nan(7)), "train x holds NaN or infinity, first in example 7"),
    "infinite y": (
        lambda: data_set(y=X[:, :1] * torch.inf, task="regression", num_classes=None),
        "train y holds NaN or infinity",
    ),
    "NaN in test": (lambda: data_set(test=Split(with_nan(2), Y)), "test x holds NaN"),
    "a pair for a split": (lambda: data_set(train=(X, Y)), "train is a Split(x, y); got tuple"),
    "no test": (lambda: data_set(test=None), "test is a Split(x, y); got NoneType"),
    "odd validation": (lambda: data_set(validation=[X, Y]), "validation is a Split(x, y) or None"),
    "no digest": (lambda: data_set(digest=None), "digest is text, from content_digest"),
    "digest of bytes": (lambda: data_set(digest=b"00"), "got bytes"),
    "count of 3.0": (lambda: data_set(num_classes=3.0), "num_classes is a whole number"),
    "count as text": (lambda: data_set(num_classes="3"), "num_classes is a whole number"),
    "labels beyond": (lambda: data_set(num_classes=2), "= 1; got 0 to 2"),
    "tensors": (lambda: (X, Y), "must return a DataSet; got tuple (a torch Dataset, or"),
    "nothing": (lambda: None, "must return a DataSet; got NoneType"),
    "it fails": (lambda: {}["x"], "its loader failed: KeyError: 'x'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_names_the_data_set(name):
    make, message = REFUSED[name]
    with pytest.raises(LotteryError, match=re.escape(message)) as caught:
        loaded(make)
    assert str(caught.value).startswith("data set 'registered': ")


class Items(Dataset):
    """A map-style Dataset of whatever it is given."""

    def __init__(self, items):
        self.items = items

    def __getitem__(self, index):
        return self.items[index]

    def __len__(self):
        return len(self.items)


class Noisy(Items):
    """Another item each time."""

    def __getitem__(self, index):
        x, y = self.items[index]
        return x + torch.rand(()), y


class Endless(Dataset):
    def __getitem__(self, index):
        return X[0], 0


class Stream(IterableDataset):
    def __iter__(self):
        return iter([])


PAIRS = [(x, int(y)) for x, y in zip(X, Y, strict=True)]
TENSORS = TensorDataset(X, Y)
TORCH = {
    "tensors": TENSORS,
    "items": Items(PAIRS),
    "items of NumPy": Items([(x.numpy(), np.int64(y)) for x, y in PAIRS]),
    "items of lists": Items([[x, torch.tensor(y)] for x, y in PAIRS]),
}


@pytest.mark.parametrize("name", TORCH)
def test_torch_datasets(name):
    pair = loaded(lambda: (TORCH[name], TORCH[name]))
    assert torch.equal(pair.train.x, X)
    assert torch.equal(pair.test.y, Y)
    assert (pair.name, pair.task, pair.num_classes) == ("registered", "classification", 3)
    assert pair.digest == DataSet.from_torch(TENSORS, TENSORS).digest
    alone = loaded(lambda: TORCH[name])
    assert (len(alone.train), len(alone.test), alone.validation) == (10, 2, None)


def test_torch_datasets_mean_what_arrays_mean(tmp_path):
    """One digest and one split, whichever way the same numbers come."""
    np.savez(tmp_path / "a.npz", x=X.numpy(), y=Y.numpy())
    data, other = load_dataset("arrays", path=str(tmp_path / "a.npz")), DataSet.from_torch(TENSORS)
    assert data.digest == other.digest
    assert torch.equal(data.test.x, other.test.x)
    both = DataSet.from_torch(TENSORS, TENSORS, validation=Items(PAIRS[:4]))
    assert len(both.validation) == 4
    names = Items([(x, "cat" if y else "dog") for x, y in PAIRS])
    assert DataSet.from_torch(names, relabel=True).classes == ("cat", "dog")
    targets = TensorDataset(X, X[:, :2])
    assert DataSet.from_torch(targets).output_size == 2


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Stream(), "map-style torch Dataset, such as TensorDataset(x, y); got Stream"),
        (Endless(), "has no length"),
        (Items([]), "is empty"),
        (Items([X[0]]), "item 0 is (example, label); got Tensor"),
        (Items([(X[0], 0, 1)]), "item 0 is (example, label)"),
        (Items([("picture", 0)] * 4), "example 0 is a tensor or numbers; got str"),
        (Items([(object(), 0)] * 4), "got object; give the Dataset a transform"),
        (Items([(X[0], 0), (X[0, :2], 1)]), "item 1 has shape (2,), item 0 (3,)"),
        (Noisy(PAIRS), "leave random transforms out"),
        (TensorDataset(X, Y + 1), "relabel=True"),
        (TensorDataset(X, Y.float()), "classes or a regression"),
        (TensorDataset(X.bfloat16(), Y), "NumPy cannot hold it"),
        (TensorDataset(with_nan(3), Y), "holds NaN"),
    ],
)
def test_torch_datasets_that_make_no_data_set(dataset, message):
    with pytest.raises(LotteryError, match=re.escape(message)) as caught:
        loaded(lambda: dataset)
    assert str(caught.value).startswith("data set 'registered': ")


@pytest.mark.parametrize("y", [Y + 1, Y.float(), torch.eye(3)[Y], Y * 2])
def test_what_a_message_says_of_torch_datasets_can_be_done(y):
    """A loader of the user's has no such option in a spec; it can return `from_torch`."""
    with pytest.raises(
        LotteryError, match=re.escape("DataSet.from_torch(train, test, …)")
    ) as error:
        loaded(lambda: TensorDataset(X, y))
    assert "--set" not in str(error.value)
    said = {"relabel": True} if "relabel=True" in str(error.value) else {"task": "classification"}
    assert repr(said).strip("{}").replace("': ", "=").strip("'") in str(error.value)
    assert loaded(lambda: DataSet.from_torch(TensorDataset(X, y), **said)).num_classes == 3


def test_from_torch_takes_datasets_alone():
    with pytest.raises(LotteryError, match="torch: train is a map-style torch Dataset"):
        DataSet.from_torch(X)
    with pytest.raises(LotteryError, match="3 torch Datasets, wanted train and test"):
        loaded(lambda: (TENSORS, TENSORS, TENSORS))
