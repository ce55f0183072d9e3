"""Commands on a terminal, in processes of their own."""

import os
import pty
import subprocess
import sys
from collections.abc import Mapping


def on_a_terminal(
    *arguments: str, typed: str = "", env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """How `lottery ARGUMENTS` ended, and all that it printed while that was typed."""
    master, slave = pty.openpty()
    line = [sys.executable, "-m", "lottery_ticket.cli", *arguments]
    process = subprocess.Popen(line, stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    os.write(master, typed.encode())
    said = b""
    while part := _read(master):
        said += part
    os.close(master)
    return process.wait(), said.decode()


def _read(master: int) -> bytes:
    try:
        return os.read(master, 10_000)
    except OSError:  # how Linux says that the other end is closed
        return b""
