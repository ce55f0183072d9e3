"""`lottery export`."""

import json

import numpy as np
import pytest

from lottery_ticket.cli import app
from lottery_ticket.export import FORMATS
from lottery_ticket.store import Store


def test_help_names_every_format(lottery):
    said = lottery("export", "--help")
    assert all(name in said.out for name in FORMATS)
    assert {"export", "bench-export"} <= {command.name for command in app.registered_commands}


def test_export(ready, tmp_path):
    (run,) = Store(tmp_path / "store").runs()
    said = ready("export", "last", "--level", 2, "--format", "packed", "--out", "out")
    assert said.code == 0
    assert said.out.splitlines()[0].strip() == (
        f"{run.id}, LeNet300 (hidden=[12, 8]), ticket at level 2"
    )
    row = next(line for line in said.out.splitlines() if line.startswith("packed"))
    assert row.split()[:2] == ["packed", "model.packed.safetensors"]
    assert "written to out; outputs compared with the masked dense model's" in said.out
    assert (tmp_path / "out" / "README.md").exists()


def test_export_as_json(ready, tmp_path):
    formats = [part for name in ("packed", "ticket") for part in ("--format", name)]
    said = ready(
        "export", "last", "--level", 1, *formats, "--arm", "reinit", "--out", "o", "--json"
    )
    found = json.loads(said.out)
    assert found["path"] == "o"
    assert [file["format"] for file in found["files"]] == ["packed", "ticket"]
    assert found["card"]["run"]["arm"] == "reinit"
    assert json.loads((tmp_path / "o" / "card.json").read_text()) == found["card"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--level", 7], "no level 7; it has 0, 1, 2"),
        (["--level", 1, "--format", "onyx"], "unknown format 'onyx'; did you mean 'onnx'?"),
        (["--level", 1, "--arm", "tickets"], "no arm 'tickets'; it has ticket, reinit"),
        (["--level", 1, "--opset", 18], "opset: it has no effect on state_dict; leave it out"),
        (["--level", 1, "--format", "onnx", "--opset", 9], "opset: 9 is too old"),
    ],
)
def test_what_cannot_be_exported(options, message, ready, tmp_path):
    before = sorted(tmp_path.iterdir())
    said = ready("export", "last", *options, "--out", "out")
    assert said.code == 2
    assert message in " ".join(said.err.split())
    assert sorted(tmp_path.iterdir()) == before


def test_data_that_moved(lottery, tmp_path):
    """Found again by `--data path=…`, trained again too; or once and for all by the run itself."""
    x = np.arange(120.0).reshape(60, 2) % 7
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(60) % 2)
    (tmp_path / "a.yaml").write_text(
        "name: moved\ndata: {name: arrays, path: a.npz}\nmodel: {name: LeNet300, hidden: [8, 6]}\n"
        "train: {lr: 0.1, batch_size: 16, duration: 1ep}\nprune: {rate: 0.5, levels: 1}\n"
    )
    assert lottery("run", "a.yaml", "--jobs", 1, "--quiet", "--keep", "needed").code == 0
    (tmp_path / "a.npz").rename(tmp_path / "b.npz")
    export = ("export", "last", "--level", 1, "--rederive", "--out", "out")
    said = lottery(*export)
    assert said.code == 1
    assert "cannot find a.npz" in said.err
    assert "such as --data path=NEW" in " ".join(said.err.split())
    np.savez(tmp_path / "c.npz", x=x + 1, y=np.arange(60) % 2)
    said = lottery(*export, "--data", "path=c.npz")
    assert "are not those that moved-" in said.err
    for wrong in ("limit=20", "validation=5", "name=digits"):
        assert "stays as it was" in " ".join(lottery(*export, "--data", wrong).err.split())
    assert "did you mean 'path'?" in lottery(*export, "--data", "pth=b.npz").err
    assert "write key=value" in lottery(*export, "--data", "path").err
    assert not (tmp_path / "out").exists()
    assert lottery(*export, "--data", "path=b.npz").code == 0

    again = ("transfer", "last", "--set", "train.lr=0.2", "--plan")
    said = lottery(*again)
    assert "run its spec again first, with --set data.path=NEW" in " ".join(said.err.split())
    before = Store(tmp_path / "store").cell_names()
    assert lottery("run", "a.yaml", "--set", "data.path=b.npz", "--quiet").code == 0
    assert Store(tmp_path / "store").cell_names() == before
    assert lottery(*again).code == 0


def test_bench_export(ready, tmp_path):
    options = ["--format", "packed", "--no-compiled", "--no-memory", "--seconds", 0.02]
    said = ready("bench-export", "last", "--level", 2, *options, "--out", "bench")
    assert said.code == 0
    forms = [line.split("  ")[0] for line in said.out.splitlines()[2:5]]
    assert forms == ["dense eager", "dense onnx", "packed"]
    assert "1 thread(s)" in said.out
    assert "- for size: packed, " in said.out
    found = json.loads((tmp_path / "bench" / "forms.json").read_text())
    assert found["best"] == {"size": "packed", "latency": "packed", "throughput": "packed"}
    assert {path.suffix for path in (tmp_path / "bench").iterdir()} == {".json", ".png", ".svg"}
    again = ready("bench-export", "last", "--level", 2, *options, "--json")
    assert json.loads(again.out)["rows"][2]["form"] == "packed"
