"""A level of a run: its weights, its card, its ticket, and training it again."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, load_file

from lottery_ticket import register_dataset, run
from lottery_ticket.data import load_dataset
from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.experiment import KINDS, WEIGHTS
from lottery_ticket.spec import fingerprint
from lottery_ticket.tickets import Ticket

PLACES = [
    ("ticket", 0, 0, 0),
    ("ticket", 2, 1, 0),
    ("reinit", 1, 0, 1),
    ("signed_constant", 2, 0, 0),
    ("dense_small", 2, 0, 0),
    ("finetune", 2, 1, 0),
]


def record_at(result, *place):
    for row in result.record.rows:
        if (row.arm, row.level, row.replicate, row.draw) == place:
            return row, result.store.get(row.cell)
    raise AssertionError(place)


@pytest.mark.parametrize(("arm", "level", "replicate", "draw"), PLACES)
def test_the_trained_weights_of_a_place(tiny, tmp_path, arm, level, replicate, draw):
    row, record = record_at(tiny, arm, level, replicate, draw)
    written = tiny.export(
        level, out=tmp_path / "out", format=["state_dict", "ticket"],
        arm=arm, replicate=replicate, draw=draw,
    )  # fmt: skip
    state = load_file(written.path / "model.safetensors")
    wanted = load(tiny.store.read(record, WEIGHTS))
    assert set(state) == set(wanted)
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)
    card = written.card
    assert card["pruning"]["num_kept"] == row.num_kept
    place = {"arm": arm, "level": level, "replicate": replicate, "draw": draw}
    assert card["run"].items() >= {"id": tiny.id, "cell": row.cell, **place}.items()
    assert card["metrics"]["accuracy"]["this"] == record.results["test_accuracy"]
    ticket = Ticket.load(written.path / "model.ticket.safetensors")
    assert ticket.mask.num_kept == row.num_kept
    model = ticket.build(trained=True).eval()
    data = tiny.pruned_model(level, arm=arm, replicate=replicate, draw=draw).test
    with torch.no_grad():
        accuracy = (model(data.x).argmax(1) == data.y).double().mean()
    assert float(accuracy) == pytest.approx(record.results["test_accuracy"])


def test_a_tickets_initial_weights_are_those_it_began_with(tiny):
    """θ_k at step 5 for the ticket, constants by sign for the arm of these."""
    ticket = tiny.pruned_model(2).ticket
    assert ticket.origin.step == 5
    _, record = record_at(tiny, "ticket", 2, 0, 0)
    point = tiny.store.get(record.inputs["parents"]["weights"])
    theta = load(tiny.store.read(point, WEIGHTS))["fc1.weight"]
    kept = ticket.mask["fc1.weight"]
    assert torch.equal(ticket.weights()["fc1.weight"], theta * kept)
    constants = tiny.pruned_model(2, arm="signed_constant").ticket.weights()["fc1.weight"]
    assert len(constants.abs().unique()) == 2  # σ and 0
    drawn = tiny.pruned_model(1, arm="reinit").ticket
    assert drawn.origin.seed == record_at(tiny, "reinit", 1, 0, 0)[1].inputs["seeds"]["init"]


def test_the_card(tiny, tmp_path):
    written = tiny.export(2, out=tmp_path / "out")
    card = json.loads((written.path / "card.json").read_text())
    rows = [r for r in tiny.rows if (r["arm"], r["level"]) == ("ticket", 2)]
    values = [row["test_accuracy"] for row in rows]
    found = card["metrics"]["accuracy"]["replicates"]
    assert found["n"] == 2
    assert found["mean"] == pytest.approx(sum(values) / 2)
    assert found["sd"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert card["metrics"]["accuracy"]["dense"]["n"] == 2
    assert card["data"]["name"] == "digits"
    assert card["data"]["licence"] == "CC-BY-4.0"
    assert card["data"]["normalisation"]["scale"] == 16
    assert card["run"]["spec_fingerprint"] == fingerprint(tiny.record.spec)
    assert card["run"]["trained_with"].keys() == {"python", "torch", "numpy"}
    assert card["verdict"] == tiny.verdict().sentence
    text = (written.path / "README.md").read_text(encoding="utf-8")
    assert f"| accuracy | {rows[0]['test_accuracy']:.4f} | {found['mean']:.4f} ±" in text
    assert tiny.verdict().sentence in text
    assert "Licence of the data: CC-BY-4.0." in text
    config = json.loads((written.path / "config.json").read_text())
    assert config["architecture"] == "LeNet300"
    assert config["options"] == {"hidden": [12, 8], "input_size": 64, "num_classes": 10}


def test_draws_count_once(tiny, tmp_path):
    card = tiny.export(1, arm="reinit", out=tmp_path / "out").card
    assert card["metrics"]["accuracy"]["replicates"]["n"] == 2


def test_the_dense_net_beside_it(tiny):
    _, record = record_at(tiny, "ticket", 0, 1, 0)
    dense = tiny.pruned_model(2, replicate=1).dense
    wanted = load(tiny.store.read(record, WEIGHTS))
    assert all(torch.equal(value, wanted[name]) for name, value in dense.state_dict().items())


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ({"level": 3}, "no level 3; it has 0, 1, 2"),
        ({"level": -1}, "no level -1; it has 0, 1, 2"),
        ({"level": 1, "arm": "shuffled"}, "no arm 'shuffled'; it has ticket, reinit,"),
        ({"level": 1, "replicate": 2}, "no replicate 2; it has 0, 1"),
        ({"level": 1, "draw": 1}, "no draw 1; it has 0"),
    ],
)
def test_places_that_are_not_there(tiny, which, message, tmp_path):
    with pytest.raises(UsageError) as raised:
        tiny.export(out=tmp_path / "out", **which)
    assert message in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_were_not_kept(thrifty, tmp_path):
    with pytest.raises(UsageError, match=r"ticket level 2, replicate 0: its trained weights were "
                       r"not kept \(--keep needed\); --rederive"):  # fmt: skip
        thrifty.export(2, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("arm", "level", "replicate", "draw"), PLACES[1:])
def test_trained_again_they_are_the_same(thrifty, tiny, arm, level, replicate, draw):
    """Law 7: equal to what a run that kept all has, to the last bit; the store stays as it was."""
    before = sorted(path for path in thrifty.store.root.rglob("*") if "index" not in path.name)
    place = {"arm": arm, "replicate": replicate, "draw": draw}
    made = thrifty.pruned_model(level, rederive=True, **place).model.state_dict()
    kept = tiny.pruned_model(level, **place).model.state_dict()
    assert all(torch.equal(made[name], kept[name]) for name in kept)
    after = sorted(path for path in thrifty.store.root.rglob("*") if "index" not in path.name)
    assert after == before


def test_other_bytes_are_refused(thrifty, monkeypatch):
    honest = KINDS["train"]

    def a_bit_off(*arguments):
        made = honest.make(*arguments)
        weights = made.files[WEIGHTS]
        wrong = {WEIGHTS: weights[:-1] + bytes([weights[-1] ^ 1])}
        return replace(made, files=made.files | wrong)

    monkeypatch.setitem(KINDS, "train", replace(honest, make=a_bit_off))
    with pytest.raises(LotteryError, match="trained again it ends in other weights than it had"):
        thrifty.pruned_model(2, rederive=True)


def test_other_data_are_refused(forgotten, tmp_path):
    digits = load_dataset("digits")
    register_dataset("mine")(lambda data_dir: digits)
    changes = ["data={name: mine}", "replicates=1", "prune.levels=1", "train.duration=1ep"]
    result = run("quickstart", overrides=changes, store=tmp_path, jobs=1, progress=False)
    assert result.pruned_model(1)
    register_dataset("mine")(lambda data_dir: replace(digits, digest="0" * 64))
    with pytest.raises(LotteryError, match=r"are not those that quickstart-.* was trained on"):
        result.pruned_model(1)
