"""`limit`: a few examples of any data set."""

import pytest
import torch

from lottery_ticket.data import DataSet, Split, dataset_options, load_dataset, register_dataset
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import inspect_inputs
from lottery_ticket.spec import load_spec


@register_dataset("limit-plain")
def plain(data_dir, size: int = 40):
    split = Split(torch.arange(size).float()[:, None], torch.arange(size) % 2)
    return DataSet("limit-plain", split, None, split, "classification", 2, "00")


@register_dataset("limit-own")
def own(data_dir, limit: int = 7):
    return plain(data_dir, limit)


@register_dataset("limit-any")
def anything(data_dir, **options):
    return plain(data_dir, options["limit"])


@pytest.mark.parametrize(
    ("name", "options", "wanted"),
    [
        ("digits", {}, (50, 50, 50)),
        ("sin", {"num_points": 1000}, (50, None, 50)),
        ("sin", {}, (50, None, 30)),
        ("limit-plain", {"size": 200}, (50, None, 50)),
    ],
)
def test_every_data_set_can_be_cut(name, options, wanted):
    data = load_dataset(name, limit=50, **options)
    sizes = [None if s is None else len(s) for s in (data.train, data.validation, data.test)]
    assert tuple(sizes) == wanted
    assert data.digest == load_dataset(name, **options).digest


def test_a_larger_limit_only_adds():
    whole = load_dataset("limit-plain").train.x.flatten().tolist()
    sets = [
        set(load_dataset("limit-plain", limit=n).train.x.flatten().tolist()) for n in (5, 9, 40)
    ]
    assert [len(found) for found in sets] == [5, 9, 40]
    assert sets[0] < sets[1] < sets[2] == set(whole)
    assert sets[0] != set(whole[:5])  # shuffled: files are often sorted by class
    again = load_dataset("limit-plain", limit=9).train
    assert set(again.x.flatten().tolist()) == sets[1]
    assert torch.equal(again.y, again.x.flatten().long() % 2)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (41, r"from 2 \(one for each class\) to 40 \(all\); got 41"),
        (1, "got 1"),
        (-1, "got -1"),
        (2.5, "option 'limit': got 2.5 .float., wanted"),
        (True, "option 'limit': got True .bool., wanted"),
    ],
)
def test_what_cannot_be_cut(limit, message):
    with pytest.raises(UsageError, match=message):
        load_dataset("limit-plain", limit=limit)


def test_a_loader_with_a_limit_of_its_own_keeps_it():
    assert len(load_dataset("limit-own", limit=3).train) == 3
    assert len(load_dataset("limit-own").train) == 7
    assert len(load_dataset("limit-any", limit=5).train) == 5
    assert dataset_options("limit-own")["limit"].default == 7
    assert "limit" not in dataset_options("limit-any")


def test_in_a_spec():
    spec = load_spec("quickstart", ["data.limit=80", "train.batch_size=80"])
    inputs = inspect_inputs(spec)
    assert (inputs.num_train, inputs.data_options) == (80, {"limit": 80})
    assert inspect_inputs(load_spec("quickstart")).data_options == {}
    with pytest.raises(
        UsageError, match=r"data.limit: got 80, wanted at least train.batch_size, 81"
    ):
        inspect_inputs(load_spec("quickstart", ["data.limit=80", "train.batch_size=81"]))
