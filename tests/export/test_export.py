"""What an export writes, and that it is all there or not there at all."""

import json
import os
from io import StringIO

import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file
from shipped_nets import small
from torch import nn

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.export import FORMATS, PrunedModel, count_flops, export
from lottery_ticket.masks import PruningMask
from lottery_ticket.models import build
from lottery_ticket.tickets import ModelOrigin, Ticket


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder(tmp_path):
    written = export(small(), format=["state_dict", "packed"], out=tmp_path / "out")
    assert names(tmp_path) == ["out"]
    assert names(written.path) == [
        "README.md", "card.json", "model.packed.safetensors", "model.safetensors",
    ]  # fmt: skip
    card = json.loads((written.path / "card.json").read_text())
    assert card == written.card
    assert card["format"] == "lottery_ticket.card/1"
    assert [file["file"] for file in card["files"]] == [
        "model.safetensors", "model.packed.safetensors",
    ]  # fmt: skip
    for file in card["files"]:
        assert file["num_bytes"] == (written.path / file["file"]).stat().st_size
        assert file["max_difference"] == file["tolerance"] == 0.0
    pruning = card["pruning"]
    assert pruning["num_kept"] == sum(layer["num_kept"] for layer in pruning["layers"])
    assert pruning["density"] == small().mask.density
    state = load_file(written.path / "model.safetensors")
    assert set(state) == set(small().model.state_dict())
    assert all((state[name][~kept] == 0).all() for name, kept in small().mask.items())


def test_a_model_card(tmp_path):
    written = export(small(), format="packed", out=tmp_path / "out")
    text = (written.path / "README.md").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    front = YAML(typ="safe").load(StringIO(front))
    assert front["library_name"] == "lottery_ticket"
    assert "pruning" in front["tags"]
    assert body.startswith("\n# Sequential\n")
    assert "`model.packed.safetensors`" in body
    kept = small().mask
    assert f"{kept.num_kept:,} of {kept.num_prunable:,} prunable weights kept" in body


def test_a_single_file(tmp_path):
    written = export(small(), format="packed", out=tmp_path / "mine.safetensors")
    assert names(tmp_path) == ["mine.safetensors", "mine.safetensors.card.json"]
    assert written.path.is_file()
    card = json.loads((tmp_path / "mine.safetensors.card.json").read_text())
    assert card["files"][0]["file"] == "mine.safetensors"


def test_others_may_read_what_is_written(tmp_path):
    mask = os.umask(0o022)
    try:
        written = export(small(), format=["state_dict", "packed"], out=tmp_path / "out")
    finally:
        os.umask(mask)
    assert written.path.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in written.path.iterdir()} == {0o644}


def test_equal_models_are_equal_bytes(tmp_path):
    files = []
    for name in ("a", "b"):
        path = export(small(), format=["state_dict", "packed"], out=tmp_path / name).path
        files.append({file.name: file.read_bytes() for file in path.iterdir()})
    assert files[0] == files[1]


@pytest.mark.parametrize("out", ["there", "there.safetensors"])
def test_nothing_is_overwritten(out, tmp_path):
    path = tmp_path / out
    path.write_text("mine")
    with pytest.raises(UsageError, match=r"is there already; remove it, or choose another"):
        export(small(), out=path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("format", "options", "message"),
    [
        ("onyx", {}, "unknown format 'onyx'; did you mean 'onnx'?"),
        ("packd", {}, "unknown format 'packd'; did you mean 'packed'?"),
        ([], {}, "format: got none, wanted at least one"),
        ("packed", {"opset": 18}, "opset: it has no effect on packed; leave it out"),
        ("onnx", {"opset": 11}, "opset: 11 is too old; torch"),
        ("int8", {"opset": 99}, "opset: 99 is too new; torch"),
        ("ticket", {}, "format ticket: where the initial weights come from is not known"),
    ],
)
def test_what_cannot_be(format, options, message, tmp_path):
    with pytest.raises(UsageError) as raised:
        export(small(), format=format, out=tmp_path / "out", **options)
    assert message in str(raised.value)
    assert names(tmp_path) == []


def test_nothing_is_made_before_it_is_known_to_be_possible(tmp_path):
    def make():
        raise AssertionError("made too early")

    with pytest.raises(UsageError, match="opset: 5 is too old"):
        export(make, format="onnx", out=tmp_path / "out", opset=5)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LotteryError, match="cannot be written"):
        export(small(), out=tmp_path / "file" / "out")
    assert names(tmp_path) == ["file"]


def test_an_error_half_way_leaves_nothing(tmp_path):
    """The second format fails when the first is written already."""
    pruned = PrunedModel.of(small().model, small().inputs)
    with pytest.raises(UsageError, match="wants training examples"):
        export(pruned, format=["state_dict", "int8"], out=tmp_path / "out")
    assert names(tmp_path) == []


class Stubborn(nn.Module):
    """Does what exporters cannot follow."""

    def __init__(self, what):
        super().__init__()
        self.what = what
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        y = self.layer(x)
        if self.what == "values" and y.sum() > 0:
            return -y
        if self.what == "size" and len(x) == 64:
            return y.flip(0)
        if self.what == "operator":
            return torch.special.bessel_j0(y)
        return y


@pytest.mark.parametrize("format", ["pt2", "onnx"])
@pytest.mark.parametrize("what", ["values", "size"])
def test_control_flow_that_depends_on_the_input(format, what, tmp_path):
    pruned = PrunedModel.of(Stubborn(what), torch.rand(3, 4))
    with pytest.raises(LotteryError) as raised:
        export(pruned, format=format, out=tmp_path / "out")
    if what == "values":
        assert "model: torch.export cannot follow it" in str(raised.value)
    assert names(tmp_path) == []


def test_a_layer_that_onnx_does_not_know(tmp_path):
    pruned = PrunedModel.of(Stubborn("operator"), torch.rand(3, 4))
    with pytest.raises(UsageError, match=r"ONNX has no operator for .*bessel_j0"):
        export(pruned, format="onnx", out=tmp_path / "out")
    assert names(tmp_path) == []
    assert export(pruned, format="pt2", out=tmp_path / "out").files[0].max_difference < 1e-5


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x), x


def infinite(layer):
    layer.bias.data.fill_(torch.inf)
    return layer


@pytest.mark.parametrize(
    ("model", "example", "message"),
    [
        ("LeNet300", torch.rand(1, 4), "model: got str, wanted a torch.nn.Module"),
        (nn.Linear(4, 2), [1.0], "example: wanted a tensor (N, …) of one or more inputs"),
        (nn.Linear(4, 2), torch.rand(0, 4), "example: wanted a tensor (N, …)"),
        (nn.Linear(4, 2), torch.rand(2, 3), "model: it does not take the example (2, 3): "),
        (Pair(), torch.rand(2, 4), "model: got tuple for 2 inputs, wanted one tensor with a row"),
        (nn.Sequential(nn.Linear(4, 2), nn.Flatten(0)), torch.rand(2, 4), "model: got (4,) for 2"),
        (infinite(nn.Linear(4, 2)), torch.rand(2, 4), "model: its outputs are not finite"),
        (nn.ReLU(), torch.rand(2, 4), "model: nothing to prune: the model has no parameters"),
    ],
)
def test_models_that_cannot_be_exported(model, example, message):
    with pytest.raises(UsageError) as raised:
        PrunedModel.of(model, example)
    assert message in str(raised.value)


def test_a_mask_that_does_not_fit():
    layer = nn.Linear(2, 1, bias=False)
    mask = PruningMask.from_tensors({"weight": torch.tensor([[True, False]])})
    with pytest.raises(UsageError, match=r"weights where it prunes; call mask\.apply"):
        PrunedModel.of(layer, torch.rand(1, 2), mask=mask)
    mask = PruningMask.from_tensors({"other": torch.tensor([[True, False]])})
    with pytest.raises(UsageError, match="no parameter 'other', which the mask names"):
        PrunedModel.of(layer, torch.rand(1, 2), mask=mask)


def test_a_model_stays_as_it_was():
    model = nn.Sequential(nn.Linear(4, 2), nn.Dropout()).train()
    before = model[0].weight.clone()
    pruned = PrunedModel.of(torch.compile(model, backend="eager"), torch.rand(1, 4))
    assert model.training
    assert not pruned.model.training
    assert list(pruned.mask) == ["0.weight"]
    pruned.model[0].weight.data.zero_()
    assert torch.equal(model[0].weight, before)


def test_a_ticket_of_your_own(tmp_path):
    mask = PruningMask.from_tensors({"fc3.weight": torch.eye(10, 100, dtype=torch.bool)})
    trained = build("LeNet300", 9)
    mask.apply(trained)
    origin = ModelOrigin.of("LeNet300", seed=3)
    ticket = Ticket(mask, origin, {"test_accuracy": 0.3}, trained=trained.state_dict())
    pruned = PrunedModel.of_ticket(ticket, torch.rand(2, 784))
    written = export(pruned, format=["ticket", "state_dict"], out=tmp_path / "out")
    assert Ticket.load(written.path / "model.ticket.safetensors") == ticket
    assert written.card["metrics"] == {"ticket": {"test_accuracy": 0.3}}
    config = json.loads((written.path / "config.json").read_text())
    assert config == {"architecture": "LeNet300", "options": {}}
    with pytest.raises(UsageError, match="holds no trained weights"):
        PrunedModel.of_ticket(Ticket(mask, origin), torch.rand(2, 784))


def test_tied_weights(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(4, 4)
            self.other = nn.Linear(4, 4)
            self.other.weight = self.one.weight

        def forward(self, x):
            return self.other(self.one(x))

    model = Tied()
    model.one.weight.data[0] = 0
    pruned = PrunedModel.of(model, torch.rand(2, 4))
    written = export(pruned, format=["state_dict", "packed"], out=tmp_path / "out")
    assert set(load_file(written.path / "model.safetensors")) == set(model.state_dict())


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_in_the_table(name):
    row = FORMATS[name]
    assert row.about
    assert "FILE" in row.usage
    others = [other.file_name for key, other in FORMATS.items() if key != name]
    assert row.file_name not in others


def test_flops_of_tied_layers():
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    net[2].weight = net[0].weight
    net[0].weight.data.flatten()[:4] = 0
    pruned = PrunedModel.of(net, torch.rand(3, 8))
    assert count_flops(net, torch.rand(1, 8), pruned.mask) == (256, 240)


class Counts(nn.Module):
    """How many examples it was given at once, at most."""

    most = 0

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        Counts.most = max(Counts.most, len(x))
        return self.layer(x)


def test_a_whole_test_set_as_the_example_is_not_run_at_once(tmp_path):
    Counts.most = 0
    export(PrunedModel.of(Counts(), torch.rand(5000, 3)), format="packed", out=tmp_path / "out")
    assert 0 < Counts.most <= 256
