"""What commands say of a store that is damaged, and how often they read a file of it."""

import json
import os
import sys
from collections import Counter
from dataclasses import replace

import pytest
from tiny_command import TINY

from lottery_ticket.store import CellRecord, Store, sha256


@pytest.fixture
def store(ready, tmp_path):
    return Store(tmp_path / "store")


def tables(lottery):
    said = [lottery("table", "--format", "csv"), lottery("list")]
    assert [one.code for one in said] == [0, 0]
    return [one.out for one in said]


def test_a_flipped_bit_in_an_execution_record_is_found_by_verify_and_mended_by_run(ready, store):
    before = tables(ready)
    for path in sorted(store.root.glob("cells/*/*/execution.json"))[:2]:
        written = path.read_bytes()
        for old, new in ((b'"threads": 1', b'"threads": 9'), (b'"cpu"', b'"gpu"')):
            path.write_bytes(written.replace(old, new))
            said = ready("verify")
            assert said.code == 1
            assert f"{path}: damaged: it differs from what was written" in said.err
            assert b'"gpu"' not in ready("table", "--format", "csv").out.encode()
    path.write_bytes(b"[" * 100_000)
    assert ready("verify").code == 1
    assert ready(*TINY, "--quiet").code == 0
    assert ready("verify").code == 0
    assert [text.count("\n") for text in tables(ready)] == [text.count("\n") for text in before]


def test_verify_finds_every_kind_of_loss(ready, store):
    folder = next(store.root.glob("cells/*/*/weights.safetensors")).parent
    (folder / "notes.txt").write_text("mine")
    said = ready("verify")
    assert said.code == 0
    assert f"not the store's, and not checked: {folder / 'notes.txt'}" in said.out
    for path in [p for p in folder.iterdir() if p.name != "notes.txt"]:
        written = path.read_bytes()
        path.unlink()
        assert ready("verify").code == 1
        path.write_bytes(written)
    (run,) = (store.root / "runs").iterdir()
    written = run.read_bytes()
    for number in range(0, len(written), 97):
        flipped = bytearray(written)
        flipped[number] ^= 1 << number % 8
        run.write_bytes(flipped)
        assert ready("verify").code == 1
    run.write_bytes(written)
    assert ready("verify").code == 0


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": "x"}', b"\xff" * 50, None])
def test_a_damaged_format_file_is_repaired_by_the_command_that_is_named(damage, ready, store):
    before = tables(ready)
    path = store.root / "format.json"
    written = path.read_bytes()
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    said = ready("list")
    assert said.code == 1
    assert "`lottery doctor --repair`" in said.err
    said = ready("doctor", "--repair")
    assert (said.code, said.out) == (0, f"{path}: written anew\n")
    assert path.read_bytes() == written
    assert tables(ready) == before
    assert "nothing to repair" in ready("doctor", "--repair").out


def test_what_does_not_look_like_a_store_is_not_repaired(ready, store, tmp_path):
    path = store.root / "format.json"
    path.write_bytes(b'{"format": "lottery_ticket.store", "version": 3}')
    said = ready("doctor", "--repair")
    assert said.code == 2
    assert "takes a later version of lottery-ticket" in said.err
    path.unlink()
    (store.root / "thesis.tex").write_text("years of work")
    said = ready("doctor", "--repair")
    assert said.code == 2
    assert "does not look like a store: it holds 'thesis.tex'" in said.err
    assert not path.exists()
    (tmp_path / "other" / "cells").mkdir(parents=True)
    said = ready("doctor", "--repair", "--store", tmp_path / "other")
    assert said.code == 2
    assert "no run or cell in it is whole" in said.err
    assert sorted(p.name for p in (tmp_path / "other").iterdir()) == ["cells"]


OUTS = {
    "report": ("report", "--out", "OUT.html"),
    "markdown": ("report", "--format", "markdown", "--out", "OUT.md"),
    "compare": ("compare", "last", "last", "--out", "OUT.png"),
    "plot": ("plot", "--out", "OUT"),
    "export": ("export", "last", "--level", "1", "--out", "OUT"),
    "export a file": ("export", "last", "--level", "1", "--out", "OUT.safetensors"),
    "bench-export": ("bench-export", "last", "--level", "1", "--out", "OUT"),
}


def identity(path):
    status = path.lstat()
    return status.st_ino, status.st_mode, status.st_mtime_ns


@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe"])
@pytest.mark.parametrize("command", OUTS.values(), ids=OUTS)
def test_no_command_writes_over_what_is_no_file(command, kind, ready, tmp_path):
    out = next(tmp_path / word for word in command if word.startswith("OUT"))
    target = tmp_path / "target"
    if kind == "pipe":
        os.mkfifo(out)
    else:
        if kind == "link":
            target.write_text("precious")
        out.symlink_to(target)
    before = identity(out)
    said = ready(*(tmp_path / word if word.startswith("OUT") else word for word in command))
    assert said.code == 2
    assert str(out) in said.err
    assert identity(out) == before
    assert target.exists() == (kind == "link")
    if kind == "link":
        assert target.read_text() == "precious"


def opened_by(lottery, root, *command) -> Counter[str]:
    """How often a command opens each file of the store to read it."""
    opened: Counter[str] = Counter()
    listening = [True]

    def hear(event, arguments):
        path = str(arguments[0]) if event == "open" else ""
        if listening and path.startswith(str(root)) and os.path.isfile(path):  # noqa: PTH113
            opened[path] += 1

    sys.addaudithook(hear)
    assert lottery(*command).code == 0
    listening.clear()
    return opened


LONG_AGO, TO_COME = 1e9, 4e9


def check_reads_once(lottery, root, *command, written=LONG_AGO):
    """Of files that were written just now, a change might not be seen."""
    for path in root.rglob("*"):
        os.utime(path, (written, written))
    opened = opened_by(lottery, root, *command)
    assert len(opened) >= 2
    # where a run begins, how its claims are held is read anew: others may have made the store
    assert opened.pop(str(root / "format.json")) <= 5
    assert max(opened.values()) == 1, opened.most_common(3)


COMMANDS = {
    "run": TINY,
    "table": ("table",),
    "summary": ("table", "--summary"),
    "verdict": ("verdict",),
    "report": pytest.param(("report",), marks=pytest.mark.slow),
    "list": ("list",),
    "verify": ("verify",),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_reads_each_file_once(command, ready, store):
    check_reads_once(ready, store.root, *command)


def test_a_store_that_reads_again_is_caught(ready, store):
    with pytest.raises(AssertionError):
        check_reads_once(ready, store.root, "verdict", written=TO_COME)


def forge(store, row, change):
    """Change the record of a row's training and seal it again."""
    folder = store.root / "cells" / row.cell[:2] / row.cell
    record = store.get(row.cell)
    values = {name: json.loads(json.dumps(value)) for name, value in vars(record).items()}
    change(values, folder)
    (folder / "record.json").write_bytes(CellRecord(**values).to_bytes())


def other_weights(data):
    def change(values, folder):
        (folder / "weights.safetensors").write_bytes(data)
        values["files"]["weights.safetensors"] = {"sha256": sha256(data), "bytes": len(data)}

    return change


def other_input(name, value):
    return lambda values, folder: values["inputs"].update({name: value})


FORGED = {
    "no weights": other_weights(b""),
    "a long header": other_weights((2**62).to_bytes(8, "little")),
    "deep weights": other_weights((50_008).to_bytes(8, "little") + b'{"a": ' + b"[" * 50_002),
    "no inputs": lambda values, folder: values["inputs"].clear(),
    "no seed": other_input("seeds", {}),
    "another model": other_input("model", {"name": "LeNet300", "hidden": [2**40, 2**40]}),
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_sealed_records_that_make_no_sense_are_damage(change, ready, store, tmp_path):
    row = store.run("last").rows[0]
    forge(store, row, change)
    for command in (
        ("report", "last", "--out", tmp_path / "report.html"),
        ("export", "last", "--level", 0, "--format", "packed", "--out", tmp_path / "net"),
    ):
        said = ready(*command)
        assert said.code == 1
        assert row.cell in said.err


def test_a_mask_of_other_layers_is_damage(ready, store, tmp_path):
    run = store.run("last")
    (name, (out, inputs)), *rest = run.layers.items()
    layers = {name: [inputs, out], **dict(rest)}
    store.save_run(replace(run, layers=layers))
    said = ready("report", "last", "--out", tmp_path / "report.html")
    assert said.code == 1
    assert "its mask is of other layers than the run's" in said.err


def test_a_run_that_claims_more_weights_than_its_net_has_is_damage(ready, store, tmp_path):
    run = store.run("last")
    size, rows = 2**40, [replace(r, num_kept=2**40) for r in run.rows if r.mask is None]
    store.save_run(replace(run, layers={"w": [2**20, 2**20]}, num_prunable=size, rows=tuple(rows)))
    said = ready("report", "last", "--out", tmp_path / "report.html")
    assert said.code == 1
    assert "fewer than 1,099,511,627,776 weights" in said.err
