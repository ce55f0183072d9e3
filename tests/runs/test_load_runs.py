"""All runs as one frame."""

import math
import subprocess
import sys
from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores_of_runs import LOSES, add_run, grid, spec_of

from lottery_ticket import load_run, load_runs
from lottery_ticket.errors import UsageError
from lottery_ticket.runs import COLUMNS
from lottery_ticket.store import RunEdit, Store


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    store = grid(tmp_path_factory.mktemp("grid") / "store")
    store.edit_run("grid-00000001", RunEdit("best", ["paper", "a"], notes="the one"))
    store.edit_run("grid-00000002", RunEdit(add_tags=["a"]))
    return store


def test_a_row_per_run_with_the_keys_that_differ(store):
    frame = load_runs(store)
    assert list(frame.columns) == [*COLUMNS, "train.lr", "prune.levels"]
    assert list(frame["id"]) == store.run_ids()
    assert list(frame["train.lr"]) == [0.1, 0.1, 0.01, 0.01]
    assert list(frame["prune.levels"]) == [2, 3, 2, 3]
    assert list(frame["name"]) == ["grid", "best", "grid", "grid"]
    assert list(frame["tags"]) == [(), ("a", "paper"), ("a",), ()]
    assert list(frame["notes"]) == ["", "the one", "", ""]
    assert set(frame["data"]) == {"digits"}
    assert list(frame["finished"]) == [18, 18, 18, 0]
    assert set(frame["cells"]) == {18}
    assert set(frame["arms"]) == {("ticket", "reinit")}
    assert frame["created"].iloc[0] == datetime.fromtimestamp(1_760_000_000, UTC)


def test_results_are_those_of_the_verdict(store):
    for row in load_runs(store).to_dict("records"):
        if not row["finished"]:
            assert pd.isna(row["verdict"])
            assert math.isnan(row["dense"])
            continue
        verdict = load_run(row["id"], store=store).verdict()
        density: dict[int | None, float] = {each.level: each.density for each in verdict.levels}
        assert row["verdict"] == verdict.label
        wanted = density.get(verdict.level, math.nan)
        assert row["winning_density"] == pytest.approx(wanted, nan_ok=True)
        wanted = density.get(verdict.matching_level, math.nan)
        assert row["matching_density"] == pytest.approx(wanted, nan_ok=True)
        assert row["sparsest_density"] == 0.25
        means = verdict.arms.loc[verdict.arms["arm"] == "ticket", "mean"].tolist()
        assert (row["dense"], row["sparsest"]) == pytest.approx((means[0], means[-1]))
    assert "winning" in set(load_runs(store)["verdict"])


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        ({"where": "train.lr=0.1"}, [0, 1]),
        ({"where": "lr = 1e-1"}, [0, 1]),
        ({"where": ["lr<0.1", "prune.levels >= 3"]}, [3]),
        ({"where": "lr!=0.1"}, [2, 3]),
        ({"where": "optimizer=sgd"}, [0, 1, 2, 3]),
        ({"where": "optimizer==adam"}, []),
        ({"where": "momentum=0"}, [0, 1, 2, 3]),
        ({"where": "arms=reinit"}, [0, 1, 2, 3]),
        ({"where": "arms=[reinit, ticket]"}, [0, 1, 2, 3]),
        ({"where": "arms=random"}, []),
        ({"where": "tags=paper"}, [1]),
        ({"where": "verdict=winning"}, [1]),
        ({"where": "dense > 0.975"}, [1]),
        ({"where": "verdict=null"}, [3]),
        ({"where": "name=best"}, [1]),
        ({"where": "finished=18"}, [0, 1, 2]),
        ({"tags": "a"}, [1, 2]),
        ({"tags": ["a", "paper"]}, [1]),
        ({"data": "digits"}, [0, 1, 2, 3]),
        ({"since": "2000-01-01"}, [0, 1, 2, 3]),
        ({"since": "1m"}, []),
        ({"since": "99999999999999w"}, [0, 1, 2, 3]),
        ({"since": datetime.fromtimestamp(1_760_000_002, UTC)}, [2, 3]),
        ({"sort": "-lr"}, [0, 1, 2, 3]),
        ({"sort": "lr"}, [2, 3, 0, 1]),
        ({"sort": "-dense"}, [1, 0, 2, 3]),
        ({"sort": "dense"}, [0, 2, 1, 3]),
        ({"sort": "-created"}, [3, 2, 1, 0]),
    ],
)
def test_runs_are_chosen_and_sorted(chosen, wanted, store):
    found = load_runs(store, **chosen)["id"]
    assert [int(run_id[-1]) for run_id in found] == wanted


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"where": "lrr=1"}, "no run has the key 'lrr'; did you mean 'lr'"),
        ({"where": "lr"}, "wanted key=value, such as train.lr=0.1"),
        ({"where": "=3"}, "wanted key=value"),
        ({"where": "lr<small"}, "< compares numbers, 'small' is none"),
        ({"where": "optimizer<3"}, "< compares numbers, 'sgd' is none"),
        ({"where": "lr={"}, "where lr"),
        ({"tags": "papr"}, "did you mean 'paper'"),
        ({"data": "minst"}, "no run has the data 'minst'; valid: digits"),
        ({"since": "yesterday"}, "wanted a date such as 2026-11-30, or an age"),
        ({"keys": "difering"}, "no run has the key 'difering'"),
        ({"keys": ["train.lrr"]}, "did you mean 'train.lr'"),
        ({"sort": "dens"}, "sort: no run has the key 'dens'; did you mean 'dense'"),
        ({"where": 3}, "where: got 3, wanted a text or a list of texts"),
        ({"tags": [3]}, "tags: got"),
        ({"data": 3}, "data: got 3"),
        ({"since": 3}, "since: got 3"),
        ({"keys": 3}, "keys: got 3"),
        ({"sort": 3}, "sort: got 3"),
        ({"wher": "lr=1"}, "unknown argument 'wher'; did you mean 'where'"),
    ],
)
def test_what_cannot_be_chosen_is_said(chosen, said, store):
    with pytest.raises(UsageError, match=said):
        load_runs(store, **chosen)


def test_a_store_that_is_none_is_said():
    with pytest.raises(UsageError, match="store: got 3, wanted a folder"):
        load_runs(3)


def test_a_key_that_two_parts_of_a_recipe_have_is_told_apart(tmp_path):
    store = Store(tmp_path / "store")
    for number, lr in enumerate((0.1, 0.2)):
        spec = spec_of(f"train.lr={lr}", f"source.train.lr={lr / 2}")
        add_run(store, number, spec, LOSES)
    for where in ("lr=0.1", "train.lr=0.1", "source.train.lr=0.05"):  # the run's own comes first
        assert load_runs(store, where=where)["id"].tolist() == ["grid-00000000"]
    assert list(load_runs(store).columns[-2:]) == ["train.lr", "source.train.lr"]
    assert list(load_runs(store, keys="lr").columns[-1:]) == ["train.lr"]


def test_the_name_of_a_part_means_what_it_is_called(store):
    own = list(load_runs(store, keys=["rewind"]).columns)
    for key in ("data", "model", "dense", "verdict", "replicates"):  # which have columns
        assert load_runs(store, keys=[key, "rewind"]).columns.tolist().count(key) == 1
    assert list(load_runs(store, keys=["dense", "rewind"]).columns) == own
    with pytest.raises(UsageError, match=r"'prune' could be any of: prune\.criterion"):
        load_runs(store, keys="prune")


def test_keys_are_those_that_are_asked_for(store):
    assert list(load_runs(store, keys=["rate", "train.lr"]).columns) == [
        *COLUMNS, "prune.rate", "train.lr",
    ]  # fmt: skip
    every = load_runs(store, keys="all")
    assert {"train.lr", "train.momentum", "seed", "rewind", "prune.rate"} <= set(every.columns)
    assert not {"data.name", "model.name"} & set(every.columns)
    assert set(every["train.momentum"]) == {0}


def test_several_stores_are_one_frame(store, tmp_path):
    other = Store(tmp_path / "other")
    add_run(other, 7, spec_of(name="other"), LOSES)
    frame = load_runs([store, tmp_path / "other"])
    assert list(frame["store"]) == [store.location] * 4 + [other.location]
    assert load_runs([store, other], where="name=other")["id"].tolist() == ["other-00000007"]


def test_a_store_without_runs_has_an_empty_frame(tmp_path):
    frame = load_runs(tmp_path / "none")
    assert (len(frame), list(frame.columns)) == (0, list(COLUMNS))
    assert not (tmp_path / "none").exists()
    assert load_runs(tmp_path / "none", sort="train.lr", where="lr=1", tags="a").empty


@settings(max_examples=30)
@given(
    lrs=st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=1, max_size=4),
    wanted=st.sampled_from([0.1, 0.2, 0.3]),
)
def test_a_condition_and_its_opposite_are_all(lrs, wanted, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("halves") / "store")
    for number, lr in enumerate(lrs):
        add_run(store, number, spec_of(f"train.lr={lr}"), {"ticket": [0.9]}, finished=0)
    every = load_runs(store, keys=["lr"])
    for one, opposite in (("=", "!="), ("<", ">="), (">", "<=")):
        parts = [load_runs(store, where=f"lr{sign}{wanted}") for sign in (one, opposite)]
        together = pd.concat([part["id"] for part in parts])
        assert sorted(together) == sorted(every["id"])
        assert not set(parts[0]["id"]) & set(parts[1]["id"])


def test_a_frame_needs_no_torch(store):
    code = (
        f"import sys; from lottery_ticket import load_runs; load_runs({store.location!r}); "
        "print([m for m in ('torch', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == "[]\n"
