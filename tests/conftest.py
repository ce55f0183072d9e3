"""Real data sets, from the folder that LOTTERY_DATA names; and a server of buckets."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

# buckets for tests of every kind
sys.path.append(str(Path(__file__).parent / "store" / "remote"))

# one test per core: more threads would only wait for one another
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a job in the background ignores Ctrl-C, and so would all that tests start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from lottery_ticket.data import DataSet, load_dataset

# a machine that is busy is no reason to fail
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", help="where tests/gpu runs; by default on CUDA where there is one")


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What a test registers is forgotten after it, in every table."""
    from lottery_ticket.experiment.objects.code import REGISTRIES

    with ExitStack() as tables:
        for table in REGISTRIES.values():
            tables.enter_context(table.restored())
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; where there is none, its tests are skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with playwright.sync_playwright() as started:
        try:
            opened = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium: {str(error).splitlines()[0]}")
        yield opened
        opened.close()


SharedFolder = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> SharedFolder:
    """A folder by name, which the first of pytest-xdist's workers that wants it has filled.

    Nobody may change what is in it.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # of all workers

    def folder(name: str, fill: Callable[[Path], object]) -> Path:
        path, done = root / name, root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(path, ignore_errors=True)  # what a fill that failed has left
                path.mkdir()
                fill(path)
                done.touch()
        return path

    return folder


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
def cifar_dir(data_dir: Path, pytestconfig: pytest.Config) -> Path:
    """A folder with `cifar-10-batches-bin`: LOTTERY_DATA, or made by its `prepare.py`, which leaves
    files that are right already: always in one place, so that what is decoded is found again."""
    if (data_dir / "cifar-10-batches-bin").is_dir():
        return data_dir
    assert pytestconfig.cache is not None
    out = pytestconfig.cache.mkdir("cifar-10")
    with FileLock(out / "lock"):
        subprocess.run([sys.executable, data_dir / "prepare.py", out], check=True, timeout=120)
    return out


@pytest.fixture(scope="session")
def real_mnist(data_dir: Path) -> DataSet:
    return load_dataset("mnist", data_dir=data_dir)


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """`http://127.0.0.1:port` of this process's server, started when it is first wanted."""
    from moto_server import moto_server

    if not all(importlib.util.find_spec(name) for name in ("obstore", "moto", "flask")):
        pytest.skip("needs obstore and moto[server]")
    with moto_server() as url:
        yield url


@pytest.fixture
def s3_url(moto: str) -> str:
    """A store's address in a bucket that nobody else uses."""
    from moto_server import make_bucket

    name = f"bucket-{uuid.uuid4().hex}"
    make_bucket(moto, name)
    return f"s3://{name}/some/prefix"


@pytest.fixture
def s3(moto: str, s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The same, where the environment says how to get there; also to processes started later."""
    from moto_server import KEYS

    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, value in KEYS.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", value)
    return s3_url
