"""Notebooks in a kernel of this interpreter; without Jupyter their tests are skipped."""

import os
import sys
from pathlib import Path

import pytest

for name in ("nbclient", "nbformat", "ipykernel", "jupytext"):
    pytest.importorskip(name, reason="the extra `dev` has what executes notebooks")

HERE = Path(__file__).parent
sys.path += [str(HERE), str(HERE.parent / "report")]  # kernels and samples; runs by formula


@pytest.fixture(autouse=True)
def _private_jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles, histories and connection files of the kernels stay in the test's folder."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
