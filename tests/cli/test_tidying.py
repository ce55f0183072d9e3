"""`verify`, `rm` and `gc`."""

import json

import pytest
import torch
from terminals import on_a_terminal
from tiny_command import TINY
from torch import nn

from lottery_ticket import LotteryTicketFinder
from lottery_ticket.store import Store


@pytest.fixture
def store(ready, tmp_path) -> Store:
    return Store(tmp_path / "store")


def digests(store: Store) -> dict[str, str]:
    return {name: store.check(name).content for name in sorted(store.cell_names())}


def test_verify_finds_damage_and_run_repairs_it(ready, store):
    said = ready("verify")
    assert said.code == 0
    assert "8 cells, all as written" in said.out
    assert json.loads(ready("verify", "--json").out) == {
        "num_cells": 8, "num_runs": 1, "damaged": [], "unreadable": [],
        "num_notes": 0, "num_of_searches": 0, "num_unsealed": 0, "strangers": [],
    }  # fmt: skip
    before = digests(store)

    weights = next(store.root.glob("cells/*/*/weights.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    said = ready("verify")
    assert said.code == 1
    assert f"error: {weights}: damaged:" in said.err
    assert "8 cells, 1 damaged" in said.out
    assert "`lottery run` makes damaged cells anew" in said.out
    said = ready("verify", "--json")
    assert said.code == 1
    (damaged,) = json.loads(said.out)["damaged"]
    assert damaged.startswith(f"{weights}: damaged")

    said = ready(*TINY)
    assert said.code == 0
    assert "it will be made anew" in said.err
    assert "1 cells made in " in said.out
    assert ready("verify").code == 0
    assert digests(store) == before


def searched(store: Store) -> None:
    """A search with a loop of its own, in the same store."""
    x, y = torch.randn(40, 8), torch.randint(2, (40,))

    def train(model, mask):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    LotteryTicketFinder(model_fn=lambda: nn.Linear(8, 2)).find_winning_ticket(
        train_fn=train, eval_fn=lambda model: 0.5, target_sparsity=0.5, pruning_rounds=1,
        verbose=False, resume=store, name="mine",
    )  # fmt: skip


def test_verify_says_what_only_a_search_makes_anew(ready, store):
    searched(store)
    assert ready("verify").code == 0
    assert ready("gc").out.startswith("freed 0 B")
    (run,) = (run for run in store.runs() if run.searches)
    weights = next(store.root.glob(f"cells/*/{run.rows[-1].cell}/weights.safetensors"))
    weights.write_bytes(b"x" * weights.stat().st_size)
    said = ready("verify")
    assert said.code == 1
    assert "1 of them are of searches with a training loop of their own" in said.out
    assert "`lottery run` makes" not in said.out
    searched(store)
    assert ready("verify").code == 0
    assert ready("rm", run.id, "--yes").code == 0
    assert len(store.runs()) == 1


def test_verify_names_a_damaged_run(ready, store):
    (path,) = (store.root / "runs").iterdir()
    path.write_bytes(b"{")
    said = ready("verify")
    assert said.code == 1
    assert f"{path}: damaged run record" in said.err
    said = ready("list")
    assert (said.code, said.out) == (1, "")
    assert "run its spec again to write it anew" in said.err
    assert ready(*TINY, "--quiet").code == 0
    assert ready("verify").code == 0


def test_rm(ready, store):
    run = store.run("last")
    would = ready("rm", run.id, "--dry-run")
    assert would.out.startswith(f"would remove {run.id}: 8 cells, ")
    assert ready("rm", run.id).code == 2  # nobody can be asked here
    assert "say --yes where nobody can be asked" in ready("rm", run.id).err
    assert len(store.cell_names()) == 8
    said = ready("rm", run.id[:13], "--yes")
    assert said.code == 0
    assert said.out == would.out.replace("would remove", "removed")
    assert (store.cell_names(), store.runs()) == (set(), [])


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, 8), ("y", 0, 0)])
def test_rm_asks(answer, code, left, ready, store):
    ended, said = on_a_terminal("rm", store.run("last").id, typed=f"{answer}\n")
    assert ended == code
    assert "8 cells, " in said
    assert "? [y/N]" in said
    assert "Traceback" not in said
    assert len(store.cell_names()) == left


def test_gc(ready, store):
    assert ready("gc").out == "freed 0 B (0 cells)\n"
    (path,) = (store.root / "runs").iterdir()
    path.unlink()
    would = ready("gc", "--dry-run")
    assert would.out.startswith("would free ")
    assert would.out.endswith(" kB (8 cells)\n")
    assert len(store.cell_names()) == 8
    assert ready("gc").out == would.out.replace("would free", "freed")
    assert store.cell_names() == set()


def test_two_runs_that_share_cells(ready, store):
    before = digests(store)
    assert ready(*TINY, "--set", "arms=[ticket, random]", "--quiet").code == 0
    assert len(store.cell_names()) > 8
    other = store.run("last")
    assert ready("rm", other.id, "--yes").code == 0
    assert digests(store) == before
