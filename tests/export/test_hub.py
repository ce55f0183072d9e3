"""Folders for the Hugging Face Hub, without a network."""

import json

import pytest
import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin
from torch import nn

from lottery_ticket.errors import DataError
from lottery_ticket.export import HubModel
from lottery_ticket.models import LeNet300


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    import socket

    def refused(*arguments, **options):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refused)


def test_an_exported_folder_is_loaded(tiny, tmp_path):
    tiny.export(2, out=tmp_path / "out")
    model = HubModel.from_pretrained(tmp_path / "out")
    assert not model.training
    wanted = tiny.pruned_model(2).model
    assert type(model.module) is type(wanted)
    assert all(
        torch.equal(value, wanted.state_dict()[name])
        for name, value in model.module.state_dict().items()
    )
    x = torch.rand(3, 64)
    assert torch.equal(model(x), wanted(x))


def test_saved_and_loaded_again(tiny, tmp_path):
    tiny.export(2, out=tmp_path / "out")
    model = HubModel.from_pretrained(tmp_path / "out")
    model.save_pretrained(tmp_path / "again")
    first, again = (tmp_path / name / "config.json" for name in ("out", "again"))
    assert json.loads(first.read_text()) == json.loads(again.read_text())
    loaded = HubModel.from_pretrained(tmp_path / "again")
    x = torch.rand(3, 64)
    assert torch.equal(loaded(x), model(x))


def test_a_class_of_ones_own(tiny, tmp_path):
    """Whoever has the architecture needs neither our wrapper nor its config."""

    class Mine(LeNet300, PyTorchModelHubMixin):
        pass

    tiny.export(2, out=tmp_path / "out")
    model = Mine.from_pretrained(
        tmp_path / "out", input_size=64, num_classes=10, hidden=[12, 8], strict=True
    )
    x = torch.rand(3, 64)
    assert torch.equal(model(x), tiny.pruned_model(2).model(x))


def test_weights_that_are_not_in_the_file_are_an_error(tiny, tmp_path):
    from safetensors.torch import load_file, save_file

    tiny.export(2, out=tmp_path / "out")
    path = tmp_path / "out" / "model.safetensors"
    state = load_file(path)
    del state["fc2.weight"]
    save_file(state, path)
    with pytest.raises(DataError, match=r"fc2\.weight.*of shape .* in a LeNet300, not there"):
        HubModel.from_pretrained(tmp_path / "out")


def test_the_card_is_one_of_the_hub(tiny, tmp_path):
    tiny.export(2, out=tmp_path / "out")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.library_name == "lottery_ticket"
    assert card.data.datasets == ["digits"]
    assert card.data.metrics == ["accuracy"]
    assert nn.Module not in type(card).__mro__
