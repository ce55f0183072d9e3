"""Runs and watchers in processes of their own."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

LOTTERY = [sys.executable, "-m", "lottery_ticket.cli"]
SMALL = (
    "name: small\ndata: {name: digits}\nmodel: {name: MLP, hidden: [16]}\n"
    "train: {lr: 0.1, batch_size: 64, duration: 2ep}\nprune: {rate: 0.5, levels: 3}\n"
    "arms: [ticket, reinit]\nreplicates: 2\n"
)


def write_spec(folder: Path, changes: Mapping[str, str] | None = None) -> Path:
    """A spec of 14 trainings, some of its texts replaced."""
    text = SMALL
    for before, after in (changes or {}).items():
        assert before in text
        text = text.replace(before, after)
    path = folder / "small.yaml"
    path.write_text(text)
    return path


def run_command(spec: Path, store: Path, *more: str) -> list[str]:
    how = ["--store", str(store), "--jobs", "1", "--threads", "1", "--quiet", *more]
    return [*LOTTERY, "run", str(spec), *how]


def finished_run(spec: Path, store: Path) -> str:
    """The id of a run that was made."""
    done = subprocess.run(run_command(spec, store), capture_output=True, text=True)
    return done.stdout.strip() or next(store.glob("runs/*.json")).stem


@contextlib.contextmanager
def going(command: list[str]):
    """A process that is ended with the block, if it has not by itself."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def watching(store: Path, *arguments: str):
    """`lottery watch` of a store: its address, and the process."""
    command = [*LOTTERY, "watch", *arguments, "--store", str(store), "--no-open"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://\S+", line)
    try:
        assert found is not None, (line, process.communicate(timeout=60))
        yield found[0], process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def get(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a request."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def wait_until(is_so, seconds: float = 120.0) -> None:
    """Look again and again, since another process has its own pace."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it never was so"
        time.sleep(0.1)


def moved(store: Path) -> Path:
    """The store under another name, as if its disk were gone."""
    aside = store.with_name(f"{store.name}-gone")
    shutil.move(store, aside)
    return aside
