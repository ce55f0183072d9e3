"""`pull`, `push` and `merge`."""

import json
import subprocess
import sys

import pytest
from terminals import on_a_terminal
from tiny_command import TINY

from lottery_ticket.store import Store


def said_of(store: Store) -> dict:
    """Records, files and how it ran, of all cells and runs."""
    found = {run.id: run.to_bytes() for run in store.runs()}
    for name in store.cell_names():
        cell = store.checked(name)
        files = {file: store.read(cell.record, file) for file in cell.kept}
        found[name] = (cell.record.to_bytes(), dict(cell.execution.values), files)
    return found


@pytest.fixture
def store(ready, tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def other(tmp_path) -> Store:
    return Store(tmp_path / "other")


def test_push_and_pull(ready, store, other, tmp_path):
    would = ready("push", "other", "--dry-run")
    assert would.code == 0
    assert would.out.startswith("other: 1 runs; 8 cells would be copied (")
    assert would.out.endswith(" kB), 0 there already\n")
    assert not (tmp_path / "other").exists()
    said = ready("push", "other", "last")
    assert said.code == 0
    assert said.err == ""
    start = would.out.replace("would be copied", "copied").strip()
    assert said.out.startswith(f"{start}, in ")
    assert said_of(other) == said_of(store)

    assert ready("push", "other").out.startswith("other: 1 runs; 0 cells copied (0 B), 8 there al")
    again = ready("pull", "other", store.run("last").id[:13], "--store", "back", "--quiet")
    assert (again.code, again.out) == (0, f"{store.run('last').id}\n")
    assert said_of(Store(tmp_path / "back")) == said_of(store)
    assert "8 of 8" in ready("list", "--store", "back").out
    made = ready(*TINY, "--store", "back")
    assert made.code == 0
    assert "0 cells made" in made.out


def test_json(ready, store, other):
    (pulled,) = json.loads(ready("push", "other", "--json").out)
    assert pulled.pop("seconds") > 0
    assert pulled.pop("num_bytes") > 10_000
    assert pulled == {
        "source": str(store.root), "target": "other", "dry_run": False,
        "runs": [store.run("last").id], "num_copied": 8, "num_present": 0,
        "differing": [], "unfit": [], "busy": [], "damaged": [], "notes": [],
    }  # fmt: skip


def test_merge(ready, store, other, tmp_path):
    more = ready(*TINY, "--set", "arms=[ticket, random]", "--store", "other", "--quiet")
    assert more.code == 0
    shared = store.cell_names() & other.cell_names()
    assert shared
    said = ready("merge", "store", "other", "--store", "all")
    assert said.code == 0
    first, second = said.out.splitlines()
    assert "1 runs; 8 cells copied" in first
    assert f"{len(other.cell_names()) - len(shared)} cells copied" in second
    assert f"{len(shared)} there already" in second
    assert said_of(Store(tmp_path / "all")) == said_of(other) | said_of(store)


def remade(store: Store, number: int) -> str:
    """Another machine's: the dense training of the store with another loss."""
    from dataclasses import replace

    name = store.run("last").rows[number].cell
    found = store.checked(name)
    files = {file: store.read(found.record, file) for file in found.kept}
    results = {**found.record.results, "test_loss": 0.123}
    store.discard(name)
    claim = store.claim(name)
    execution = {**found.execution.values, "host": "elsewhere"}
    assert store.commit(claim, replace(found.record, results=results), files, execution)
    return name


def test_what_another_machine_trained_stays_and_run_makes_the_rest(ready, store, other):
    assert ready("push", "other").code == 0
    dense = remade(other, 0)
    before = said_of(other)[dense]
    for name in other.cell_names() - {dense}:
        other.discard(name)
    said = ready("push", "other")
    assert said.code == 0
    assert "1 cells hold something else there than in" in said.out
    assert "(another machine trained them, say); they stay as they are" in said.out
    assert "`lottery run` makes them" in said.out
    assert said_of(other)[dense] == before
    done = ready(*TINY, "--store", "other")
    assert done.code == 0
    assert "made anew" not in done.err  # nothing that was copied was stale
    assert said_of(other)[dense] == before
    assert ready("verify", "--store", "other").code == 0


def test_damage_is_said_and_the_others_are_copied(ready, store, other):
    weights = next(store.root.glob("cells/*/*/weights.safetensors"))
    weights.write_bytes(b"x" * weights.stat().st_size)
    said = ready("push", "other")
    assert said.code == 1
    assert f"error: {weights}: damaged:" in said.err
    assert "7 cells copied" in said.out
    assert len(other.cell_names()) == 7
    assert ready("verify", "--store", "other").code == 0
    assert ready(*TINY).code == 0  # makes it anew
    assert ready("push", "other").code == 0
    assert len(said_of(other)) == 9


def test_what_is_being_made_there_is_said(ready, store, other):
    other.open_for_writing()
    claim = other.claim(store.run("last").rows[-1].cell)
    said = ready("push", "other")
    assert said.code == 1
    assert "1 cells were left out, since they, or what they were made from, are being" in said.out
    claim.release()
    assert ready("push", "other").code == 0
    assert said_of(other) == said_of(store)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["pull", "nowhere"], 2, "nowhere: no runs here to copy"),
        (["pull", "store"], 2, "source and target are the same store"),
        (["push", "./other/../store"], 2, "source and target are the same store"),
        (["push", "other", "nope"], 2, "no run 'nope'"),
        (["pull", ""], 2, "URL: got '', wanted a store"),
        (["pull", "texts"], 1, "texts"),
        (["push", "texts/file"], 1, "not a folder"),
        (["merge", "store", "nowhere", "--store", "new"], 2, "nowhere: no runs here to copy"),
        (["merge"], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_is_said_before_anything(line, code, said, ready, tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "file").write_text("mine")
    (tmp_path / "other").mkdir()
    done = ready(*line)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "other").iterdir()) == []


def test_a_bar_on_a_terminal(ready, store, other):
    code, said = on_a_terminal("push", "other")
    assert code == 0
    assert "8 cells copied" in said
    assert "Traceback" not in said
    assert said_of(other) == said_of(store)


STOPPED = """
import os, signal, sys
from lottery_ticket.cli import main

def watch(event, args):
    if event == "os.rename" and "/cells/" in str(args[1]):
        watch.count += 1
        if watch.count == 3:
            os.kill(os.getpid(), signal.SIGINT)

watch.count = 0
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
sys.addaudithook(watch)
sys.argv = ["lottery", "push", "other"]
main()
"""


def test_a_copy_that_was_stopped_goes_on(ready, store, other):
    done = subprocess.run(
        [sys.executable, "-c", STOPPED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert done.stderr == "error: stopped; the same command continues\n"
    assert 2 <= len(other.cell_names()) <= 3
    assert other.run_ids() == []
    assert ready("push", "other").code == 0
    assert said_of(other) == said_of(store)
