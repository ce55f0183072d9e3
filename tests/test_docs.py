"""What is written is true: examples run, commands are documented, numbers are those measured."""

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import lottery_ticket

ROOT = Path(__file__).parent.parent
MODULES = [
    module.name
    for module in pkgutil.walk_packages(lottery_ticket.__path__, "lottery_ticket.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


def test_every_command_is_documented():
    from lottery_ticket.cli import app

    text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    for command in app.registered_commands:
        assert f"`lottery {command.name}" in text


def test_every_spec_key_is_documented():
    from lottery_ticket.spec import PruneSpec, TrainSpec

    text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    for record in (TrainSpec, PruneSpec):
        for key in record.model_fields:
            assert key in text, key


def test_readme_says_what_was_measured():
    command = [sys.executable, str(ROOT / "docs" / "results" / "render.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0


def test_code_in_docs_runs(tmp_path, monkeypatch):
    import re

    from lottery_ticket.api import run

    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(# mine.py.*?)```", text, re.S)[0]
    yaml = re.findall(r"```yaml\n(data: {name: parity.*?)```", text, re.S)[0]
    (tmp_path / "mine.py").write_text(code)
    rest = "train: {lr: 0.1, batch_size: 32, duration: 1ep}\nprune: {rate: 0.5, levels: 1}\n"
    (tmp_path / "my.yaml").write_text(f"name: mine\n{yaml}{rest}")
    monkeypatch.chdir(tmp_path)
    result = run(tmp_path / "my.yaml", store=tmp_path / "store", jobs=1, imports=["mine.py"])
    assert len(result.rows) == 2
