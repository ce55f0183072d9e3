"""The command line, called in this process."""

import contextlib
import io
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_command import TINY

from lottery_ticket.cli import main


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Lottery = Callable[..., Said]


def call(*arguments: object) -> Said:
    """`lottery ARGUMENTS`; what would be a traceback fails the test."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["lottery", *map(str, arguments)]
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    finally:
        sys.argv = before
    return Said(code, out.getvalue(), err.getvalue())


@pytest.fixture
def lottery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lottery:
    """Calls commands in an empty folder, with a store and no data of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOTTERY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "100")
    return call


@pytest.fixture(scope="session")
def _ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("ready") / "store"
    assert call(*TINY, "--store", store, "--quiet").code == 0
    return store


@pytest.fixture
def ready(lottery: Lottery, _ready: Path, tmp_path: Path) -> Lottery:
    """`lottery`, with the tiny run in its store."""
    shutil.copytree(_ready, tmp_path / "store")
    return lottery
