"""The grid of a sweep: how it is written, which keys may vary, and the points it has."""

import numpy as np
import pytest

from lottery_ticket import UsageError
from lottery_ticket.spec import (
    canonical,
    checked_grid,
    fingerprint,
    grid_points,
    load_spec,
    parse_grid,
    spec_from_mapping,
)


def test_values_are_those_of_yaml():
    found = parse_grid(["train.lr=0.01,1e-1", "rewind=0it,500it", "train.betas=[0.9,0.99],null"])
    assert found == {
        "train.lr": (0.01, 0.1),
        "rewind": ("0it", "500it"),
        "train.betas": ([0.9, 0.99], None),
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("train.lr", "--grid train.lr: write key=value,value"),
        ("=1,2", "--grid =1,2: write key=value,value"),
        ("train.lr=", "--grid train.lr=: a value is missing"),
        ("train.lr=0.1,,0.2", "a value is missing; write train.lr=value,value"),
        ("train.lr=0.1,0.10", "--grid train.lr: 0.1 is listed twice"),
        ("train.lr=[0.1", "--grid train.lr: not valid YAML"),
        ("lr=0.1", "is no key that a sweep can vary; did you mean 'train.lr'?"),
        ("train.batchsize=1", "did you mean 'train.batch_size'?"),
        ("rewnd=0it", "did you mean 'rewind'?"),
        ("model.hidden=[1]", "cannot vary in a sweep: all points are of one architecture"),
        ("data.validation=1", "all points are judged on the same data"),
        ("prune.rate=0.1,0.2", "all points have the same levels"),
        ("replicates=1,2", "all points have the same replicates"),
        ("train.metric=a,b", "all points are judged by the same metric"),
        ("rewind=2020-01-01", "wanted numbers, texts, true, false"),
        ("train.lr=.nan", "--grid train.lr: got nan (float), wanted numbers"),
        ("prune.once=true,false", "list it beside the ticket"),
    ],
)
def test_what_no_grid_is(given, said):
    with pytest.raises(UsageError) as caught:
        parse_grid([given])
    assert said in str(caught.value)


def test_an_array_is_a_list():
    found = checked_grid({"train.lr": np.array([0.01, 0.1]), "train.batch_size": np.arange(8, 10)})
    assert found == {"train.lr": (0.01, 0.1), "train.batch_size": (8, 9)}
    assert type(found["train.batch_size"][0]) is int


def test_a_key_is_given_once():
    with pytest.raises(UsageError, match=r"--grid train\.lr: given twice"):
        parse_grid(["train.lr=0.1", "train.lr=0.2"])
    with pytest.raises(UsageError, match=r"train\.lr: given twice"):
        checked_grid({"train.lr": [1], "train": {"lr": [2]}})
    with pytest.raises(UsageError, match="wanted a list of texts"):
        parse_grid("train.lr=0.1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ({}, "wanted keys with lists of values"),
        ({"train.lr": 0.1}, "train.lr: got 0.1, wanted a list of values"),
        ({"train.lr": []}, "train.lr: has no value"),
        ([1], "wanted keys with lists of values"),
        ({1: [2]}, "is no key that a sweep can vary"),
        ({"lr": [0.1]}, "did you mean 'train.lr'?"),
    ],
)
def test_a_spec_with_a_sweep_that_is_none(sweep, said):
    values = canonical(load_spec("quickstart")) | {"sweep": sweep}
    with pytest.raises(UsageError) as caught:
        spec_from_mapping(values, "mine")
    assert "mine: sweep: " in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("sweep", [{"train.lr": [0.01, 0.1]}, {"train": {"lr": [0.01, 0.1]}}])
def test_a_sweep_renames_nothing(sweep):
    """It says which runs are made beside one another; each has its own name."""
    plain = load_spec("quickstart")
    spec = spec_from_mapping(canonical(plain) | {"sweep": sweep})
    assert spec.sweep == {"train.lr": (0.01, 0.1)}
    assert fingerprint(spec) == fingerprint(plain)
    assert "sweep" not in canonical(spec)


def test_points_are_specs():
    spec = load_spec("quickstart", ["margin=2", "claim={level: 3}"])
    points = grid_points(spec, parse_grid(["train.lr=0.05,0.1", "rewind=0it,5it"]))
    assert [point.label for point in points] == [
        "lr=0.05, rewind=0it", "lr=0.05, rewind=5it", "lr=0.1, rewind=0it", "lr=0.1, rewind=5it",
    ]  # fmt: skip
    for point in points:
        sets = [f"{key}={value}" for key, value in point.values.items()]
        assert point.spec == load_spec("quickstart", ["margin=2", "claim={level: 3}", *sets])


def test_null_takes_a_key_away():
    (point,) = grid_points(load_spec("quickstart"), parse_grid(["train.momentum=null"]))
    assert point.spec.train.momentum == 0


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ("train.lr=0.1,-1", "quickstart at lr=-1: train.lr: got -1, wanted more than 0"),
        ("train.optimizer=adam", "momentum was there before: --set train.momentum=null"),
        ("train.lr.x=1", "--grid train.lr.x: 'lr' has no keys of its own"),
        ("train.lr=" + ",".join(map(str, range(1, 1002))), "1,001 points, wanted at most 1,000"),
    ],
)
def test_a_point_that_is_no_spec_is_named(grid, said):
    with pytest.raises(UsageError) as caught:
        grid_points(load_spec("quickstart"), parse_grid([grid]))
    assert said in str(caught.value)
