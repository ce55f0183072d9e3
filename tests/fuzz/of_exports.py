"""Readers of what was exported."""

import contextlib
import io
import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import nn

from fuzz import bombs
from fuzz.formats import (
    in_json,
    in_safetensors,
    sections,
    with_other_tensors,
)
from fuzz.of_tickets import METRICS, drawn_ticket
from fuzz.reader import Reader, Write
from lottery_ticket.export import HubModel, PrunedModel, export, load_sparse, read_packed, sparse
from lottery_ticket.tickets import Ticket

__all__ = ["READERS"]


def chain_net() -> nn.Module:
    """Linear layers with many zeros."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(12, 40), nn.ReLU(), nn.BatchNorm1d(40), nn.Linear(40, 3))
        for layer in (net[0], net[3]):
            assert isinstance(layer, nn.Linear)
            layer.weight.data.mul_(torch.rand(layer.weight.shape) < 0.1)
    return net.eval()


def conv_net() -> nn.Module:
    """Convolutions and pools."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 3, 3),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(27, 4),
        ).eval()


def write_sparse(net: nn.Module, *shape: int) -> Write:
    """Writes a sparse net."""
    return lambda folder: sparse(net, torch.ones(2, *shape), layers="all").save(
        folder / "s.safetensors"
    )


def read_sparse(folder: Path) -> Any:
    """A sparse net: its parts, and what it gives."""
    found = load_sparse(folder / "s.safetensors")
    notes = [dict(found.layers), found.batch_size, dict(found.seconds), found.max_difference]
    with torch.no_grad():
        return [notes, dict(found.dense.state_dict()), list(found.example)]


def are_notes(value: Any) -> bool:
    """Whether what stands beside a sparse net is what it is said to be."""
    layers, batch_size, seconds, difference = value[0]
    return (
        set(layers.values()) <= {"sparse", "dense"}
        and type(batch_size) is int
        and batch_size > 0
        and all(type(seconds[key]) in (int, float) for key in seconds)
        and type(difference) in (int, float)
    )


def changed_graph(change: Callable[[dict, dict], object]) -> bytes:
    """A sparse file whose description was changed."""
    with tempfile.TemporaryDirectory() as folder:
        write_sparse(chain_net(), 12)(Path(folder))
        data = (Path(folder) / "s.safetensors").read_bytes()
    content = json.loads(json.loads(sections(data)[0])["__metadata__"]["graph"])
    tensors = load(data)
    change(content, tensors)
    return save(tensors, {"graph": json.dumps(content)})


def pruned_model() -> PrunedModel:
    """A pruned net of this library, with its card."""
    ticket = stored_less()
    return PrunedModel.of_ticket(ticket, torch.rand(4, 12))


def stored_less() -> Ticket:
    """A ticket with trained weights, of a registered model."""
    ticket = drawn_ticket()
    return Ticket(ticket.mask, ticket.origin, METRICS, trained=ticket.weights())


def write_export(name: str) -> Write:
    """Writes a folder of a format."""
    return lambda folder: export(pruned_model(), format=name, out=folder / "out")


def write_odd_packed(folder: Path) -> None:
    """Empty, unnamed and foreign tensors."""
    tensors = {
        "w.gaps": torch.tensor([0, 3, 255, 2], dtype=torch.uint8),
        "w.kept": torch.tensor([1.0, 2.0, 3.0]),
        "none.gaps": torch.zeros(0, dtype=torch.uint8),
        "none.kept": torch.zeros(0),
        "über": torch.zeros(2, 0),
        "number": torch.tensor(3),
        "half": torch.ones(2).half(),
    }
    (folder / "out").mkdir()
    packed = {"packed": json.dumps({"w": [29, 9], "none": [4, 5]})}
    (folder / "out" / "model.packed.safetensors").write_bytes(save(tensors, packed))


def read_hub(folder: Path) -> Any:
    """An exported folder as a model of the Hub."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(HubModel.from_pretrained(folder / "out").module.state_dict())


READERS: dict[str, Reader] = {
    "packed": Reader(
        {"export": write_export("packed"), "odd": write_odd_packed},
        lambda folder: read_packed(folder / "out" / "model.packed.safetensors"),
        ("out/*.safetensors",),
        (in_safetensors, with_other_tensors, with_other_tensors),
        bombs.packed_files(),
    ),
    "sparse": Reader(
        {"chain": write_sparse(chain_net(), 12), "images": write_sparse(conv_net(), 1, 8, 8)},
        read_sparse,
        ("s.safetensors",),
        (in_safetensors, with_other_tensors, with_other_tensors),
        bombs.graphs(changed_graph),
        is_right=are_notes,
    ),
    "hub": Reader(
        {"export": write_export("state_dict")},
        read_hub,
        ("out/config.json", "out/config.json", "out/model.safetensors"),
        (in_json, in_json, in_safetensors, with_other_tensors),
        {
            "a wide net": lambda: (
                b'{"architecture": "LeNet300", "options": {"hidden": [100000, 100000]}}'
            ),
            "many classes": lambda: (
                b'{"architecture": "LeNet300", "options": {"num_classes": 10000000}}'
            ),
            "a deep net": lambda: (
                b'{"architecture": "LeNet300", "options": {"hidden": [' + b"1," * 10**5 + b"1]}}"
            ),
        },
    ),
}
