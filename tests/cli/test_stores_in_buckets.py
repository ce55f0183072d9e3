"""The commands over a store in a bucket."""

import os
from pathlib import Path

import pytest
from tiny_command import TINY

from lottery_ticket.store import Store


def test_commands_take_an_address(s3, lottery, monkeypatch):
    said = lottery(*TINY, "--store", s3)
    assert said.code == 0, said.err
    assert f"results: {s3}" in said.out
    assert f"--store {s3}" in said.out
    monkeypatch.setenv("LOTTERY_STORE", s3)
    for command in ("list", "table last", "verdict last", "verify", "doctor", "gc --dry-run"):
        said = lottery(*command.split())
        assert said.code == 0, said.err
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in said.out + said.err
    assert lottery("report", "last", "--out", "page").code == 0
    assert s3 in "".join(lottery("doctor").out.split())
    assert "0 cells made" in lottery(*TINY).out
    (run_id,) = Store(s3).run_ids()
    assert "removed" in lottery("rm", run_id, "--yes").out
    assert lottery("gc").code == 0
    assert Store(s3).cell_names() == set()
    assert not Path("s3:").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["doctor", "--repair"], "nothing to repair"),
        (["list", "--store", "ftp://somewhere"], "begins with s3://, gs://, az://"),
        (["list", "--store", "s3://bucket/../y"], "downwards"),
    ],
)
def test_what_cannot_be_is_refused(arguments, said, lottery, monkeypatch):
    monkeypatch.setenv("LOTTERY_STORE", "s3://bucket/prefix")
    found = lottery(*arguments)
    assert found.code == 2
    assert said in " ".join(found.err.split())
