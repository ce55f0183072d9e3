"""Stores and machines that cannot do what is asked: each command says so before any work, and what
was there is there still.

Other code, other data and other versions of what is installed are in test_workers.py.
"""

import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from faulty_proxy import FaultyProxy
from moto_server import KEYS, make_bucket
from tiny_command import TINY

from lottery_ticket import run
from lottery_ticket.store import Store
from lottery_ticket.store.remote import ObstoreBucket

SPEC = TINY[1:2] + TINY[6:]  # quickstart, and what makes it small

COMMANDS = {
    "run": TINY,
    "run by workers": ("run", *SPEC, "--executor", "workers"),
    "submit": ("submit", *SPEC),
    "work": ("work", "--jobs", "1", "--device", "cpu"),
}
"""Those that would begin to work, or let others."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with the way to a store.

    Args:
        proxy: what stands before the server does.
        said: parts of what every command says.
        is_readable: whether what is there can be looked at.
    """

    said: tuple[str, ...]
    proxy: dict[str, Any] = field(default_factory=dict)
    is_readable: bool = False


def writes(method: str, path: str) -> bool:
    return method in {"PUT", "POST", "DELETE"}


FAULTS = {
    "no rights": Fault(
        ("403 AccessDenied", "what they may do"), {"forbid": lambda method, path: True}
    ),
    "read-only": Fault(
        ("cannot be written (403 AccessDenied)", "what they may do"), {"forbid": writes}, True
    ),
    "no creation by condition": Fault(
        ("its server ignores conditional writes", "If-None-Match"),
        {"without_headers": ["if-none-match"]},
        True,
    ),
    "no swap by condition": Fault(
        ("its server ignores conditional writes", "If-Match"),
        {"without_headers": ["if-match"]},
        True,
    ),
}


def objects(moto: str, url: str) -> dict[str, bytes]:
    bucket = ObstoreBucket(url, endpoint=moto, **KEYS)
    return {one.key: bucket.get(one.key).data for one in bucket.list("")}


@pytest.fixture(scope="module")
def made(moto) -> dict[str, bytes]:
    """The objects of a store with a run."""
    url = "s3://made-before/runs"
    make_bucket(moto, "made-before")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", moto)
        patch.setenv("AWS_REGION", "us-east-1")
        for name, value in KEYS.items():
            patch.setenv(f"AWS_{name.upper()}", value)
        run("quickstart", overrides=SPEC[2::2], store=url, jobs=1, threads=1)
    return objects(moto, url)


@pytest.fixture
def filled(moto, s3, made) -> str:
    """The address of a store with a run, which no process has opened."""
    bucket = ObstoreBucket(s3, endpoint=moto, **KEYS)
    for key, data in made.items():
        bucket.put(key, data)
    return s3


def check_refuses(lottery, command, url, code, *parts) -> None:
    said = lottery(*COMMANDS[command], "--store", url)
    told = " ".join(said.err.split())
    assert said.code == code, told
    assert told.startswith("error: ")
    for part in parts:
        assert part in told
    assert "Traceback" not in told + said.out
    assert "made" not in said.out
    assert KEYS["secret_access_key"] not in told + said.out


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_bucket_that_cannot_do_it(fault, command, moto, filled, made, lottery, monkeypatch):
    wrong = FAULTS[fault]
    with FaultyProxy(moto, **wrong.proxy) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        check_refuses(lottery, command, filled, 1, filled, *wrong.said)
        looked_at = lottery("table", "last", "--store", filled)
        assert looked_at.code == (0 if wrong.is_readable else 1)
    assert objects(moto, filled) == made


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bucket_that_is_not_there(command, s3, lottery):
    nowhere = s3.replace("bucket-", "nowhere-")
    check_refuses(lottery, command, nowhere, 1, nowhere, "there is no such bucket: check its name")


@pytest.mark.parametrize("command", COMMANDS)
def test_without_credentials(command, s3, moto, lottery, monkeypatch):
    for name in KEYS:
        monkeypatch.delenv(f"AWS_{name.upper()}")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")  # in no cloud
    check_refuses(lottery, command, s3, 1, s3, "no credentials were found: set AWS_ACCESS_KEY_ID")
    assert objects(moto, s3) == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_store_of_a_later_version_in_a_bucket(command, moto, s3, lottery):
    later = b'{"format": "lottery_ticket.store", "version": 9}'
    ObstoreBucket(s3, endpoint=moto, **KEYS).put("format.json", later)
    check_refuses(lottery, command, s3, 1, s3, "it takes a later version of lottery-ticket")
    assert objects(moto, s3) == {"format.json": later}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_store_of_a_later_version_in_a_folder(command, ready, tmp_path):
    mark = tmp_path / "store" / "format.json"
    mark.write_text('{"format": "lottery_ticket.store", "version": 9}')
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")}
    check_refuses(
        ready, command, tmp_path / "store", 1, "it takes a later version of lottery-ticket"
    )
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")} == before


@pytest.mark.parametrize("command", COMMANDS)
def test_without_obstore(command, lottery, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    url = "s3://some-bucket/runs"
    check_refuses(lottery, command, url, 2, url, "pip install 'lottery-ticket[remote]'")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_worker_without_the_gpu_that_it_is_to_use(lottery, tmp_path):
    store = tmp_path / "store"
    submitted = lottery("submit", *SPEC, "--quiet")
    assert submitted.code == 0, submitted.err
    for device in ("cuda", "cuda:1"):
        said = lottery("work", "--device", device)
        assert said.code == 2
        assert f"device '{device}' is not available here; available: ['cpu'" in said.err
    assert Store(store).cell_names() == set()
    assert lottery("work", "--jobs", "1", "--device", "cpu", "--quiet").code == 0  # others may


def test_who_cannot_write_cannot_ask_to_stop(moto, filled, made, lottery, monkeypatch):
    with FaultyProxy(moto, forbid=writes) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        said = lottery("stop", "last", "--store", filled)
    assert said.code == 1
    assert "cannot be written (403 AccessDenied)" in " ".join(said.err.split())
    assert "asked" not in said.out
    assert objects(moto, filled) == made
