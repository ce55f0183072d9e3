"""docs/tickets.md is true: its code runs as it stands, and prints the sizes it shows."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from small_tickets import drawn_ticket, random_mask, stored_ticket

from lottery_ticket.masks import PruningMask
from lottery_ticket.models import build
from lottery_ticket.tickets import ModelOrigin, Ticket, WeightsOrigin

DOCS = (Path(__file__).parents[2] / "docs" / "tickets.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", DOCS, re.S)


def block(part):
    [found] = [code for code in BLOCKS if part in code]
    return found


def masks_by_five_lines(path, monkeypatch):
    code = block("zlib.decompress")
    imports, lines = code.strip().split("\n\n")
    assert len(lines.splitlines()) == 5
    assert "lottery_ticket" not in imports
    monkeypatch.chdir(path.parent)
    names = {}
    exec(code, names)
    return names["masks"]


def odd_mask():
    shapes = {"scalar": (), "none": (0, 3), "one": (1,), "z": (40, 50), "a": (2, 3, 5, 5)}
    stream = torch.Generator().manual_seed(0)
    made = {n: torch.rand(s, generator=stream) < 0.4 for n, s in shapes.items()}
    made["pruned"], made["kept"] = torch.zeros(9, dtype=bool), torch.ones(3, 4, dtype=bool)
    made["sparse"] = torch.zeros(30, 100, dtype=bool)
    made["sparse"].view(-1)[[0, 254, 509, 765, 2999]] = True
    return PruningMask.from_tensors(made)


def odd_ticket():
    mask = odd_mask()
    return Ticket(mask, WeightsOrigin({n: torch.randn(m.shape) for n, m in mask.items()}))


def lenet_ticket():
    mask = random_mask(build("LeNet300", 0), 3069)
    return Ticket(mask, ModelOrigin.of("LeNet300", 0))


@pytest.mark.parametrize("make", [odd_ticket, lenet_ticket, drawn_ticket, stored_ticket])
def test_five_lines_without_the_library_read_the_masks(make, tmp_path, monkeypatch):
    ticket = make()
    path = tmp_path / "lenet.ticket.safetensors"
    ticket.save(path)
    found = masks_by_five_lines(path, monkeypatch)
    assert list(found) == list(ticket.mask)
    for name, kept in Ticket.load(path).mask.items():
        assert found[name].dtype == np.bool_
        assert found[name].shape == kept.shape
        assert np.array_equal(found[name], kept.numpy())


def test_the_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mask, seed = random_mask(build("LeNet300", 5), 3069), 5
    names = {"mask": mask, "seed": seed}
    exec(block("ticket.save("), names)
    wanted = mask.apply(build("LeNet300", 5)).state_dict()
    assert all(torch.equal(v, wanted[n]) for n, v in names["model"].state_dict().items())


def test_sizes_are_those_measured(capsys):
    exec(block("# sizes.py"), {})
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in DOCS.splitlines()
        if re.match(r"\| (LeNet300|Conv4) \|", line)
    ]
    assert len(rows) == len(printed) == 10
    for (name, density, *shown), (wanted_name, wanted_density, *measured) in zip(
        rows, printed, strict=True
    ):
        assert name == wanted_name
        assert float(density.removesuffix("%")) == pytest.approx(100 * float(wanted_density))
        # the versions' names and another zlib make it some bytes more or less
        shown = [int(number.replace(",", "")) for number in shown]
        assert shown == pytest.approx([int(number) for number in measured], rel=0.02)


def test_the_names_in_docs_exist():
    for name in re.findall(r"ticket\.(\w+)\(", DOCS):
        assert hasattr(Ticket, name)
    for name in re.findall(r"PruningMask\.(\w+)\(", DOCS):
        assert hasattr(PruningMask, name)
