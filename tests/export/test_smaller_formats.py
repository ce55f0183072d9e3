"""`compact`, `sparse` and `2:4` as files: what is said of them, and when they are refused."""

import json
import re
from dataclasses import asdict, replace

import pytest
import torch
from shipped_nets import small
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.export import FORMATS, Measured, PrunedModel, export, load_sparse, measure
from lottery_ticket.export._card import card_of, readme_of
from lottery_ticket.export._program import program_of
from lottery_ticket.models import build

QUICK = {"compiled": False, "memory": False, "seconds": 0.01}


def two_four(ignored=()):
    """LeNet-300-100 of 64 inputs with two of four weights in every layer but the ignored ones."""
    torch.manual_seed(0)
    model = build("LeNet300", 0, input_size=64, hidden=[32, 16])
    for name, layer in model.named_children():
        if name not in ignored:
            layer.weight.data[:, 2::4] = layer.weight.data[:, 3::4] = 0
    x = torch.rand(9, 64)
    dense = build("LeNet300", 0, input_size=64, hidden=[32, 16])
    return PrunedModel.of(model, x, calibration=x, dense=dense)


def test_what_was_removed_stands_in_the_card(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    model[0].weight.data[1] = model[0].weight.data[:, 2] = 0
    out = export(PrunedModel.of(model, torch.rand(5, 4)), format="compact", out=tmp_path / "out")
    facts = json.loads((out.path / "card.json").read_text())["files"][0]["facts"]
    assert facts["removed"] == {
        "0": {"inputs": [4, 3], "outputs": [3, 2]}, "2": {"inputs": [3, 2], "outputs": [2, 2]},
    }  # fmt: skip
    assert facts["left_alone"] == {}
    note = "0: inputs 4 → 3, outputs 3 → 2; 2: inputs 3 → 2, outputs 2 → 2"
    assert facts["note"] == out.files[0].facts["note"] == note
    assert note in (out.path / "README.md").read_text()


def test_the_card_says_each_thing_once(tmp_path):
    """What `compact` and `compact-onnx` have in common, that is, and what differs for each."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    model[0].weight.data[1] = model[0].weight.data[:, 2] = 0
    pruned = PrunedModel.of(model, torch.rand(5, 4))
    smaller, sparse = export(pruned, format=["compact", "sparse"], out=tmp_path / "out").files
    row = FORMATS["compact-onnx"]
    facts = row.facts(row.prepare(pruned), tmp_path)
    onnx = replace(smaller, format="compact-onnx", file=row.file_name, facts=facts)
    text = readme_of(card_of(pruned, [asdict(file) for file in (smaller, onnx, sparse)]))
    both, first, second, *_ = text.split("```")[-1].strip().split("\n\n")
    assert first == "`model.compact.pt2`, `model.compact.onnx`: 2: inputs 3 → 2, outputs 2 → 2."
    assert both == "`model.compact.pt2`: 0: inputs 4 → 3, outputs 3 → 2."
    assert second == "`model.compact.onnx`: 0: inputs 4 → 4, outputs 3 → 2."


def test_a_net_in_which_nothing_is_dead_is_said(tmp_path):
    pruned = PrunedModel.of(nn.Sequential(nn.Linear(3, 2)), torch.rand(4, 3))
    (file,) = export(pruned, format="compact", out=tmp_path / "out").files
    assert file.facts["note"] == (
        "no unit, channel or input of it does nothing: it is as large as before"
    )


@pytest.mark.parametrize("batch_size", [None, 3])
def test_how_a_sparse_file_was_decided(batch_size, tmp_path):
    out = export(small(), format="sparse", out=tmp_path / "out", batch_size=batch_size)
    (file,) = out.files
    found = load_sparse(out.path / "model.sparse.safetensors")
    assert found.batch_size == file.facts["batch_size"] == (batch_size or 256)
    assert file.facts["layers"] == dict(found.layers)
    assert set(file.facts["seconds"]) == {"dense", "sparse", "chosen"}
    is_any = "sparse" in found.layers.values()
    assert file.facts["note"].startswith(f"measured here at batch {batch_size or 256}: ")
    assert ("on kept weights alone" in file.facts["note"]) == is_any


@pytest.mark.parametrize("batch_size", [0, -1, True])
def test_batch_sizes_that_are_none(batch_size, tmp_path):
    with pytest.raises(UsageError, match="batch_size: wanted 1 or more, got"):
        export(small(), format="sparse", out=tmp_path / "out", batch_size=batch_size)
    assert list(tmp_path.iterdir()) == []


def test_options_of_other_formats(tmp_path):
    with pytest.raises(UsageError, match="batch_size: it has no effect on packed"):
        export(small(), format="packed", out=tmp_path / "out", batch_size=8)


def test_a_two_four_file(tmp_path):
    (file,) = export(two_four(["fc3"]), format="2:4", out=tmp_path / "out").files
    assert file.file == "model.2-4.safetensors"
    assert file.facts["layers"] == ["fc1.weight", "fc2.weight"]
    assert file.facts["dense_layers"] == ["fc3.weight"]
    assert set(file.facts["on_gpu"]) | set(file.facts["not_on_gpu"]) <= {
        "fc1", "fc2", "fc1.weight", "fc2.weight",
    }  # fmt: skip


def test_convolutions_are_no_matter_for_a_gpu(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(32, 32))
    model[0].weight.data[:, :2] = 0
    model[2].weight.data[:, ::2] = 0
    (file,) = export(
        PrunedModel.of(model, torch.rand(2, 4, 6, 6)), format="2:4", out=tmp_path / "out"
    ).files
    assert file.facts["layers"] == ["0.weight", "2.weight"]
    assert file.facts["not_on_gpu"]["0.weight"].startswith("PyTorch compresses the weights of lin")


def three_of_four(pruned):
    pruned.model.fc2.weight.data[3, 6] = 1.0
    return PrunedModel.of(pruned.model, pruned.inputs)


def all_dense(pruned):
    return PrunedModel.of(build("LeNet300", 0, input_size=64), pruned.inputs)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (three_of_four, "not 2:4: fc2.weight (16, 32): 1 of 128 groups keep more than 2"),
        (all_dense, "format 2:4: no weight of the layers that the mask speaks of is zero"),
    ],
)
def test_models_that_are_not_two_four(made, message, tmp_path):
    with pytest.raises(UsageError) as raised:
        export(made(two_four()), format="2:4", out=tmp_path / "out")
    assert message in str(raised.value)
    assert list(tmp_path.iterdir()) == []


class Dynamic(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        y = self.layer(x)
        return y if y.sum() > 0 else -y


@pytest.mark.parametrize("format", ["compact", "compact-onnx", "sparse"])
def test_control_flow_that_depends_on_values(format, tmp_path):
    pruned = PrunedModel.of(Dynamic(), torch.rand(3, 4))
    with pytest.raises(UsageError, match="Dynamic: its forward cannot be followed") as raised:
        export(pruned, format=format, out=tmp_path / "out")
    check_names_the_line(str(raised.value))
    assert list(tmp_path.iterdir()) == []


def check_names_the_line(message):
    """In the user's code, not in torch's or ours."""
    line = r"test_smaller_formats\.py, line \d+: return y if y\.sum\(\) > 0 else -y"
    assert re.search(line, message)


def test_a_program_of_it_names_the_line_too():
    with pytest.raises(UsageError, match=r"torch\.export cannot follow it") as raised:
        program_of(PrunedModel.of(Dynamic(), torch.rand(3, 4)))
    check_names_the_line(str(raised.value))


@pytest.mark.parametrize("message", ["it cannot be followed", "_trace.py, line 5: forward(x)"])
def test_a_message_without_the_line_is_caught(message):
    with pytest.raises(AssertionError):
        check_names_the_line(message)


def test_forms_that_a_model_cannot_have_are_skipped_and_said():
    found = measure(PrunedModel.of(Dynamic(), torch.rand(3, 4)), **QUICK)
    assert [row["form"] for row in found.rows] == ["dense eager", "state_dict", "packed"]
    assert {"pt2", "onnx", "compact", "sparse", "dense onnx"} <= set(found.skipped)
    assert any(note.startswith("compact was not measured: UsageError: Dyn") for note in found.notes)
    with pytest.raises(UsageError, match="cannot be followed"):
        measure(PrunedModel.of(Dynamic(), torch.rand(3, 4)), forms=["compact"], **QUICK)


@pytest.fixture(scope="module")
def two_four_measured():
    return measure(two_four(), forms=["onnx", "int8", "2:4", "compact"], **QUICK)


def test_a_compacted_net_is_counted_as_it_is(two_four_measured):
    """Half of its hidden units are read by nobody."""
    rows = {row["form"]: row for row in two_four_measured.rows}
    for column in ("num_parameters", "flops"):
        assert rows["compact"][column] < rows["onnx"][column]


def test_the_stack_of_a_two_four_model(two_four_measured):
    found = two_four_measured
    assert [step["step"] for step in found.stack] == ["dense", "2:4", "2:4 and int8"]
    rows = {row["form"]: row for row in found.rows}
    for step, form in zip(found.stack, ("dense onnx", "onnx", "int8"), strict=True):
        assert step["file_bytes"] == rows[form]["file_bytes"]
        assert step["latency_p50_ms"] == rows[form]["latency_p50_ms"]
    said = [note for note in found.notes if note.startswith("step by step: ")]
    assert said[0].startswith("step by step: dense: ")
    assert len(said) == 3
    assert Measured.from_dict(json.loads(json.dumps(found.to_dict()))).stack == found.stack


def test_what_is_no_step_is_left_out(two_four_measured):
    def steps(*forms, **about):
        rows = [row for row in two_four_measured.rows if row["form"] in forms]
        found = replace(two_four_measured, rows=rows, about={**two_four_measured.about, **about})
        return [step["step"] for step in found.stack]

    dense, forms = ["dense eager", "dense onnx"], ["onnx", "int8", "2:4"]
    unknown = {"dense_is": "the masked net"}  # as `measure` says of one that it does not know
    assert (
        steps(*dense, *forms, **unknown) == steps("dense eager", *forms) == ["2:4", "2:4 and int8"]
    )
    assert steps(*dense, "2:4", **unknown) == []
    assert steps(*dense, "onnx", "int8") == []  # it is not 2:4


@pytest.mark.slow
def test_two_four_is_measured_only_where_it_is_one():
    assert "2:4" in [row["form"] for row in measure(two_four(), **QUICK).rows]
    assert "2:4" not in [row["form"] for row in measure(small(), **QUICK).rows]
