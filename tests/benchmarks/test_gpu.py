"""`make gpu` goes on whatever becomes of a part: it cannot be tried before there is a GPU."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def script(path, monkeypatch):
    monkeypatch.syspath_prepend(str(path.parent))
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def gpu(monkeypatch):
    return script(ROOT / "benchmarks" / "gpu.py", monkeypatch)


@pytest.fixture
def speed(monkeypatch):
    return script(ROOT / "docs" / "results" / "speed.py", monkeypatch)


WRITES = "import json, sys; json.dump({'rows': [{'n': 1}]}, open(sys.argv[-1], 'w'));"


@pytest.mark.parametrize(
    ("code", "limit", "outcome", "rows"),
    [
        (WRITES, 60, "passed", [{"n": 1}]),
        (WRITES + "print('no'); sys.exit(3)", 60, "failed (3)", [{"n": 1}]),
        ("import os; os.abort()", 60, "failed (-6)", None),
        ("import subprocess; subprocess.run(['sleep', '99'])", 1, "ended after its 1 s", None),
        (WRITES, 0, "no time was left", None),
    ],
)
def test_what_comes_of_a_part(gpu, code, limit, outcome, rows):
    part = gpu.run_part("bf16", "cpu", limit, command=[sys.executable, "-c", code])
    assert part["outcome"] == outcome
    assert part.get("rows") == rows
    assert part["seconds"] < 30


def test_a_part_that_fails_says_what_it_said(gpu):
    part = gpu.run_part("bf16", "cpu", 60, command=[sys.executable, "-c", "raise OSError('card')"])
    assert part["said"][-1] == "OSError: card"


def test_the_parts_are_those_with_a_limit(gpu, monkeypatch):
    parts = script(gpu.PARTS, monkeypatch).PARTS
    assert list(parts) == list(gpu.SECONDS)
    assert sum(gpu.SECONDS.values()) <= 600
    assert gpu.LIMIT_SECONDS < 600


def test_a_part_of_a_dry_run(gpu, monkeypatch, tmp_path):
    out = tmp_path / "gpu.json"
    arguments = ["gpu.py", "--device", "cpu", "--only", "two_four", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    gpu.main()
    found = json.loads(out.read_text())
    assert found["is_dry_run"]
    assert found["parts"]["two_four"]["outcome"] == "skipped"
    assert found["parts"]["two_four"]["reason"] == "2:4 is executed by GPUs alone"


def test_the_page_shows_a_run_and_refuses_a_dry_one(speed):
    found = {
        "is_dry_run": False,
        "machine": {"gpu": "GPU 9", "cuda": "13.0", "torch": "2.11", "python": "3.12"},
        "parts": {
            "tests": {"outcome": "passed", "seconds": 9.0, "rows": [{"outcome": "passed"}] * 3},
            "bf16": {"outcome": "passed", "seconds": 5.0, "rows": [{"net": "A", "ratio": 0.25}]},
            "batched": {"outcome": "failed (1)", "seconds": 1.0},
        },
    }
    text = speed.on_a_gpu(found)
    assert "GPU 9" in text
    assert "| batched | failed (1) | 1 |" in text
    assert "Tests there: 3 passed." in text
    assert "| A | 0.25 |" in text
    with pytest.raises(ValueError, match="a dry run"):
        speed.on_a_gpu(found | {"is_dry_run": True})


@pytest.mark.slow
def test_a_dry_run_passes(gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--out", str(tmp_path / "o")])
    gpu.main()
    outcomes = {
        n: p["outcome"] for n, p in json.loads((tmp_path / "o").read_text())["parts"].items()
    }
    assert set(outcomes.values()) == {"passed", "skipped"}
