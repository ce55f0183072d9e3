"""Masks and weights of a real run, read from its store."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load

import lottery_ticket
from lottery_ticket.analysis import run_tables
from lottery_ticket.analysis.structure import (
    effective_density,
    kept_weights,
    layer_density,
    overlap_table,
    run_effective_density,
    run_kept_weights,
)
from lottery_ticket.errors import UsageError
from lottery_ticket.models import MODELS, build, register_model
from lottery_ticket.store import LocalStore, layer_rows, table_rows

TINY = [
    *("replicates=2", "prune.levels=2", "train.duration=2ep", "model.hidden=[12, 8]"),
    "arms=[ticket, reinit, shuffled]",
]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    store = tmp_path_factory.mktemp("structure") / "store"
    return lottery_ticket.run("quickstart", overrides=TINY, store=store, jobs=1, threads=1)


def test_masks_are_those_of_the_table(result):
    masks = result.masks()
    rows = [row for row in result.rows if row["arm"] == "ticket"]
    keys = ("run", "arm", "level", "replicate", "draw")
    assert [tuple(place) for place in masks] == [tuple(row[key] for key in keys) for row in rows]
    assert [mask.num_kept for mask in masks.values()] == [row["num_kept"] for row in rows]
    dense, *_, sparsest = (mask for place, mask in masks.items() if place.replicate == 0)
    assert dense.density == 1
    assert sparsest.is_nested_in(dense)


def test_arms_that_train_on_the_tickets_masks_have_those(result):
    ticket, reinit = result.masks(), result.masks(arm="reinit", levels=[2])
    assert [place.level for place in reinit] == [2, 2]
    for place, mask in reinit.items():
        assert mask == ticket[place._replace(arm="ticket")]
    shuffled = result.masks(arm="shuffled", levels=[2])
    assert all(mask != ticket[p._replace(arm="ticket")] for p, mask in shuffled.items())


def test_an_arm_that_is_not_there(result):
    with pytest.raises(UsageError, match="no arm 'random'; it has reinit, shuffled, ticket"):
        result.masks(arm="random")


def test_dead_paths_in_the_runs_own_model(result):
    table = run_effective_density(result.store, result.record)
    model = build("LeNet300", 0, input_size=64, num_classes=10, hidden=[12, 8])
    wanted = effective_density(result.masks(), model, (64,))
    assert table.equals(wanted)
    assert (table["num_effective"] <= table["num_kept"]).all()


def test_kept_weights_are_held_against_the_initial_ones(result):
    table = run_kept_weights(result.store, result.record)
    assert set(table["arm"]) == {"ticket", "reinit", "shuffled"}
    assert len(table) == len(result.rows) * (3 + 1)
    row = next(row for row in result.rows if row["arm"] == "reinit" and row["level"] == 2)
    record = result.store.get(row["cell"])
    options = {k: v for k, v in record.inputs["model"].items() if k != "name"}
    initial = build("LeNet300", record.inputs["seeds"]["init"], **options).state_dict()
    trained = load(result.store.read(record, "weights.safetensors"))
    places = result.masks(arm="reinit", levels=[2])
    place = next(p for p in places if p.replicate == row["replicate"])
    wanted = kept_weights(places[place], initial, trained)
    got = table[(table.arm == "reinit") & (table.level == 2) & (table.replicate == place.replicate)]
    assert got[list(wanted.columns)].reset_index(drop=True).equals(wanted)


def test_trained_weights_that_were_not_kept_have_no_rows(tmp_path):
    more = [*TINY, "replicates=1", "arms=[ticket, reinit]"]
    result = lottery_ticket.run("quickstart", overrides=more, store=tmp_path, jobs=1, keep="needed")
    table = run_kept_weights(result.store, result.record)
    assert set(zip(table["arm"], table["level"], strict=True)) == {("ticket", 0), ("ticket", 1)}


def test_every_table_of_a_run(result):
    tables = run_tables(result.store, result.record)
    masks = result.masks()
    assert tables.table.equals(result.table)
    assert len(tables.layers) == len(layer_rows(result.store, result.record))
    overlap = overlap_table(masks)
    keys = ["level", "replicate", "replicate_other"]
    assert tables.overlap.sort_values(keys, kind="stable", ignore_index=True).equals(
        overlap.sort_values(keys, kind="stable", ignore_index=True)
    )
    assert len(tables.inputs) == 64 * len(masks)
    assert len(tables.effective) == 4 * len(masks)
    assert set(tables.kept_weights["arm"]) == {"ticket", "reinit"}
    counts = layer_density(masks).groupby("level")["num_kept"].sum()
    everything = tables.effective[tables.effective["layer"] == "all"]
    assert everything.groupby("level")["num_kept"].sum().tolist() == counts.tolist()


class Growing(LocalStore):
    """A store in which a training is finished just after its cells were first looked through."""

    def __init__(self, root, late):
        super().__init__(root)
        self.late, self.num_looks = late, 0

    def cells(self, wanted=None):
        self.num_looks += 1
        found = super().cells(wanted)
        return {n: c for n, c in found.items() if n != self.late or self.num_looks > 1}


def places_of(table):
    keys = ["arm", "level", "replicate", "draw"]
    return set(pd.DataFrame(table)[keys].itertuples(index=False, name=None))


def test_what_is_finished_while_tables_are_read_is_in_none_of_them(result):
    for late in [row["cell"] for row in result.rows if (row["arm"], row["level"]) == ("ticket", 1)]:
        store = Growing(result.store.root, late)
        tables = run_tables(store, result.record)
        assert store.num_looks == 1
        assert late not in set(tables.table["cell"])
        places = places_of(tables.table)
        assert places < places_of(layer_rows(store, result.record))  # where it is by now
        assert places_of(tables.layers) == places_of(tables.history) == places
        for table in (tables.inputs, tables.effective, tables.kept_weights):
            assert places_of(table) <= places
        assert len(tables.inputs) == 64 * (len(result.masks()) - 1)


def test_rows_that_have_been_read_are_not_read_again(result):
    store = Growing(result.store.root, late="")
    rows = [row for row in table_rows(store, result.record) if row["arm"] == "reinit"]
    tables = run_tables(store, result.record, rows=rows)
    assert store.num_looks == 1
    assert places_of(tables.table) == places_of(tables.layers) == places_of(rows)


def test_a_model_that_is_not_registered_here_leaves_its_tables_out(tmp_path):
    @register_model("for-a-while")
    class Net(torch.nn.Sequential):
        def __init__(self, input_size: int, num_classes: int) -> None:
            super().__init__(torch.nn.Linear(input_size, 5), torch.nn.Linear(5, num_classes))

    more = ["replicates=1", "prune.levels=1", "train.duration=1ep", "model={name: for-a-while}"]
    result = lottery_ticket.run("quickstart", overrides=more, store=tmp_path, jobs=1)
    assert len(run_tables(result.store, result.record).effective) == 2 * 3
    del MODELS._entries["for-a-while"]
    tables = run_tables(result.store, result.record)
    assert tables.effective.empty
    assert tables.kept_weights.empty
    assert len(tables.inputs) == 2 * 64


def test_layers_that_are_left_dense_are_no_inputs_of_the_data(tmp_path):
    """The first layer that is pruned reads units then: 36 of them are no image of 6 by 6."""
    changes = ["model.hidden=[36, 8]", "prune.ignore=[fc1]", "replicates=1"]
    store = tmp_path / "store"
    result = lottery_ticket.run(
        "quickstart", overrides=[*TINY, *changes], store=store, jobs=1, threads=1
    )
    tables = run_tables(result.store, result.record)
    assert tables.inputs.empty
    assert set(tables.effective["layer"]) == {"fc2.weight", "fc3.weight", "all"}
    assert list(layer_density(result.masks())["layer"].unique()) == ["fc2.weight", "fc3.weight"]
