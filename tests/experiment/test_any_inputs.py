"""Inputs of any dtype and structure pass from a registered data set through the engine."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load

from lottery_ticket.api import run
from lottery_ticket.data import Split, load_dataset
from lottery_ticket.errors import UsageError
from lottery_ticket.models import build
from lottery_ticket.seeds import derive, generator

FILE = str(Path(__file__).parent / "own_texts.py")
KINDS = {
    "tokens": ("tokens", "bag"),
    "several by name": ("masked-tokens", "masked-bag"),
    "a target at each place": ("next-token", "per-token"),
}
TRAIN = {"lr": 0.2, "momentum": 0.9, "batch_size": 50, "duration": "3ep"}


def spec_of(kind, **changes):
    data, model = KINDS[kind]
    return {
        "name": "texts", "data": {"name": data}, "model": {"name": model}, "train": TRAIN,
        "prune": {"rate": 0.5, "levels": 1}, "arms": ["ticket", "reinit", "gradual"], **changes,
    }  # fmt: skip


def run_spec(kind, store, **how):
    changes = how.pop("changes", {})
    how = {"jobs": 1, "threads": 1, "progress": False, "imports": [FILE]} | how
    return run(spec_of(kind, **changes), store=store, **how)


def plain(kind, order, steps):
    """The dense training, written out."""
    data, model = KINDS[kind]
    split = load_dataset(data).train
    net = build(model, derive(derive(0, "replicate", 0), "init"))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9, fused=True)
    for step in range(steps):
        epoch, batch = divmod(step, 4)
        rows = torch.randperm(200, generator=generator(order, "epoch", epoch)).split(50)[batch]
        optimizer.zero_grad()
        if isinstance(split.x, dict):
            output = net(split.x["ids"][rows], split.x["mask"][rows]).logits
        else:
            output = net(split.x[rows])
        F.cross_entropy(output, split.y[rows]).backward()
        optimizer.step()
    return net.state_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_trains_judges_and_measures(kind, tmp_path):
    result = run_spec(kind, tmp_path / "store")
    assert len(result.rows) == 6
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        wanted = plain(kind, derive(derive(0, "replicate", 0), "order", 0), 12)
    finally:
        torch.set_num_threads(threads)
    record = result.store.get(result.rows[0]["cell"])
    found = load(result.store.read(record, "weights.safetensors"))
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert result.verdict().label
    frame = result.evaluate(progress=False, jobs=1)
    accuracy = frame.loc[frame["metric"] == "accuracy"].set_index(["arm", "level"])["value"]
    for row in result.rows:
        assert accuracy[row["arm"], row["level"]] == pytest.approx(row["test_accuracy"])
    if kind == "a target at each place":
        assert result.rows[0]["test_accuracy"] > 0.9  # of all places, not of all examples
        assert "test_correct.bits" not in record.files


@pytest.mark.parametrize("kind", KINDS)
def test_batched_trainings_agree(kind, tmp_path):
    changes = {"replicates": 3}
    one = run_spec(kind, tmp_path / "one", changes=changes)
    many = run_spec(kind, tmp_path / "many", changes=changes, group=3)
    rows = {r["cell"]: r for r in one.rows}
    kernels = set()
    for row in many.rows:
        assert row["test_loss"] == pytest.approx(rows[row["cell"]]["test_loss"], rel=1e-3)
        kernels.add(many.store.execution(row["cell"])["kernels"]["step"])
    assert kernels == {"batched"}


@pytest.mark.parametrize("kind", list(KINDS)[:2])
def test_criteria_see_examples(kind, tmp_path):
    arms = ["ticket", "snip", "grasp"]
    changes = {"arms": arms, "prune": {"rate": 0.5, "levels": 1, "criterion": "saliency"}}
    assert len(run_spec(kind, tmp_path / "store", changes=changes).rows) == 6


def test_a_state_dict_is_exported_of_tokens(tmp_path):
    result = run_spec("tokens", tmp_path / "store")
    assert result.export(1, format="state_dict", out=tmp_path / "model")


def test_what_takes_one_tensor_says_so(tmp_path):
    result = run_spec("several by name", tmp_path / "store")
    with pytest.raises(UsageError, match=r"several tensors by name \(ids, mask\)"):
        result.export(1, format="onnx", out=tmp_path / "model.onnx")
    changes = {"train": TRAIN | {"augment": "pad_crop_flip"}}
    with pytest.raises(UsageError, match="wants images"):
        run_spec("several by name", tmp_path / "other", changes=changes)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ({}, "got no name"),
        ({"a": torch.zeros(3, 2), "b": torch.zeros(2, 2)}, "got 3, 2 and 3"),
        ({"a": torch.zeros(3)}, "x is float32"),
        ({"a": [1, 2, 3]}, r"x\['a'\] is a tensor"),
    ],
)
def test_splits_that_fit_nothing_are_refused(x, said):
    with pytest.raises(UsageError, match=said):
        Split(x, torch.zeros(3).long())
