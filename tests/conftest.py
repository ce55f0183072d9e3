"""Real data sets, from the folder that LOTTERY_DATA names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# one test per core: more threads would only wait for one another
os.environ.setdefault("OMP_NUM_THREADS", "1")

from lottery_ticket.data import DataSet, load_dataset

# a machine that is busy is no reason to fail
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", help="where tests/gpu runs; by default on CUDA where there is one")


# read on import: the tests of downloads take the variable away
LOTTERY_DATA = os.environ.get("LOTTERY_DATA")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    if not LOTTERY_DATA:
        pytest.skip("set LOTTERY_DATA to a folder with mnist/, fashion-mnist/ and CIFAR-10")
    root = Path(LOTTERY_DATA)
    assert root.is_dir(), f"LOTTERY_DATA={root} is no folder"
    return root


@pytest.fixture(scope="session")
def cifar_dir(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `cifar-10-batches-bin`: LOTTERY_DATA, or made by its `prepare.py`."""
    if (data_dir / "cifar-10-batches-bin").is_dir():
        return data_dir
    out = tmp_path_factory.mktemp("cifar")
    subprocess.run([sys.executable, data_dir / "prepare.py", out], check=True, timeout=120)
    return out


@pytest.fixture(scope="session")
def real_mnist(data_dir: Path) -> DataSet:
    return load_dataset("mnist", data_dir=data_dir)
