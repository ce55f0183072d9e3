"""What small files may claim, and how large honest ones are read."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import nn

from lottery_ticket import tensor_files
from lottery_ticket.errors import DataError, StoreError, UsageError
from lottery_ticket.export import PrunedModel, export, load_sparse, read_packed, sparse
from lottery_ticket.masks import PruningMask
from lottery_ticket.tensor_files import check_claim, claimed_shape, made_sense_of, read_tensors
from lottery_ticket.tickets import ModelOrigin, Ticket, WeightsOrigin


@given(st.integers(0, 2**40), st.integers(0, 2**50))
def test_what_a_file_may_claim(num_bytes, claimed):
    may = claimed <= 2**28 or claimed <= 256 * num_bytes
    if may:
        check_claim("f", claimed, num_bytes, "say so")
    else:
        with pytest.raises(DataError, match=r"^f: [\d,]+ bytes that claim [\d,]+; say so$"):
            check_claim("f", claimed, num_bytes, "say so")


@given(st.lists(st.integers(0, 2**20), max_size=3))
def test_shapes_of_tensors(shape):
    assert claimed_shape(shape) == claimed_shape(tuple(shape)) == tuple(shape)


NO_SHAPES = (
    *(None, 3, "33", {"3": 3}, {3}, [[3]], ["3"], [3.0], [True], [-1], [2**63], [2**32] * 2),
    *([0, 2**63], [0, 2**40, 2**40], [1] * 65, [10**18] * 10**5),
)


@pytest.mark.parametrize("shape", NO_SHAPES, ids=lambda shape: repr(shape)[:20])
def test_shapes_of_nothing(shape):
    with pytest.raises(ValueError, match="a shape"):
        claimed_shape(shape)


def test_tensors_and_what_stands_beside_them():
    tensors = {"w": torch.ones(2, 0), "n": torch.tensor(3)}
    found, beside = read_tensors(save(tensors, {"a": "[1]"}), "a")
    assert (found.keys(), beside) == (tensors.keys(), [1])
    assert read_tensors(save(tensors), "a")[1] is None


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (OSError(2, "No such file"), "f: cannot be read (No such file)"),
        (KeyError("w"), "f: not a readable thing ('w'); go"),
        (MemoryError(), "f: not a readable thing (MemoryError); go"),
        (RecursionError("deep\nand deeper"), "f: not a readable thing (deep); go"),
        (UsageError("seed: no"), "f: not a readable thing (seed: no); go"),
        (DataError("f: mine"), "f: mine"),
    ],
)
def test_whatever_goes_wrong_is_said_of_the_file(raised, message):
    with pytest.raises(DataError) as caught, made_sense_of("f", "thing", "; go"):
        raise raised
    assert str(caught.value) == message


def test_other_errors_of_ours_stay_what_they_are():
    with pytest.raises(StoreError), made_sense_of("f", "thing"):
        raise StoreError("elsewhere")


# a layer that is pruned altogether is large, and takes next to nothing in a file


@pytest.fixture
def strict(monkeypatch):
    """Files may claim but four times what they are."""
    monkeypatch.setattr(tensor_files, "_SMALL", 0)
    monkeypatch.setattr(tensor_files, "_RATIO", 4)


def empty_net():
    net = nn.Sequential(nn.Linear(300, 400), nn.ReLU(), nn.Linear(400, 2))
    nn.init.zeros_(net[0].weight)
    return net


def ticket_of(net):
    mask = PruningMask.from_tensors({"0.weight": torch.zeros(400, 300, dtype=torch.bool)})
    return Ticket(mask, WeightsOrigin(net.state_dict()), trained=net.state_dict())


def test_large_tickets_are_read_when_that_is_said(strict, tmp_path):
    ticket = ticket_of(empty_net())
    ticket.save(tmp_path / "t.safetensors")
    with pytest.raises(DataError, match=r"claims 120,000 weights .* with max_weights=120000"):
        Ticket.load(tmp_path / "t.safetensors")
    assert Ticket.load(tmp_path / "t.safetensors", max_weights=120_000) == ticket
    with pytest.raises(DataError, match="claims 120,000 weights"):
        Ticket.load(tmp_path / "t.safetensors", max_weights=119_999)


def test_large_packed_files_are_read_when_that_is_said(strict, tmp_path):
    path = tmp_path / "p.safetensors"
    none = {"w.gaps": torch.zeros(0, dtype=torch.uint8), "w.kept": torch.zeros(0)}
    save_file(none, path, {"packed": json.dumps({"w": [400, 300]})})
    with pytest.raises(DataError, match=r"read it with max_weights=120000"):
        read_packed(path)
    assert read_packed(path, max_weights=120_000)["w"].shape == (400, 300)
    with pytest.raises(DataError, match="claims 120,000 weights, more than 119,999"):
        read_packed(path, max_weights=119_999)


def test_large_sparse_files_are_read_when_that_is_said(tmp_path, monkeypatch):
    path = tmp_path / "s.safetensors"
    sparse(empty_net(), torch.ones(2, 300), layers="none").save(path)
    assert load_sparse(path).layers == {"0": "dense", "2": "dense"}
    monkeypatch.setattr(tensor_files, "_SMALL", 100_000)
    monkeypatch.setattr(tensor_files, "_RATIO", 4)
    with pytest.raises(DataError, match=r"load it with max_weights=120000"):
        load_sparse(path)
    assert load_sparse(path, max_weights=120_000).layers == {"0": "dense", "2": "dense"}
    with pytest.raises(DataError, match="claims 120,000 weights, more than 119,999"):
        load_sparse(path, max_weights=119_999)


def test_what_was_exported_is_read_again_however_small_it_became(strict, tmp_path):
    net = empty_net()
    ticket = ticket_of(net)
    pruned = PrunedModel.of(net, torch.rand(70, 300), mask=ticket.mask, ticket=ticket)
    written = export(pruned, format=["ticket", "packed"], out=tmp_path / "out")
    assert [file.max_difference for file in written.files] == [0.0, 0.0]


def test_a_few_letters_draw_no_large_net():
    origin = ModelOrigin("LeNet300", 0, "0" * 64, {"hidden": [10**6, 10**6]})
    mask = PruningMask.from_tensors({"fc1.weight": torch.ones(300, 784, dtype=torch.bool)})
    with pytest.raises(UsageError, match=r"fc1\.weight.*has shape \(1000000, 784\)"):
        Ticket(mask, origin).weights()
    mask = PruningMask.from_tensors({"fc3.weight": torch.ones(10, 10, dtype=torch.bool)})
    wide = ModelOrigin("LeNet300", 0, "0" * 64, {"hidden": [10**6, 10]})
    with pytest.raises(DataError, match="the ticket's mask is of a far smaller one"):
        Ticket(mask, wide).build()
