"""Workers, as processes of their own: `lottery work`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = ["OFTEN", "Crew", "Worker", "environment_of"]

OFTEN = Path(__file__).with_name("often.py")


@dataclass
class Worker:
    """One of them.

    Args:
        process: it.
        folder: where what it says lies.
        was_killed: whether it was not left to end by itself.
    """

    process: "subprocess.Popen[bytes]"
    folder: Path
    was_killed: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_over(self) -> bool:
        return self.process.poll() is not None

    def said(self) -> str:
        """Its log."""
        return (self.folder / "stderr").read_text(errors="replace")

    def told(self) -> dict[str, Any]:
        """What it says that it did; nothing where it says so in words."""
        try:
            return json.loads((self.folder / "stdout").read_text())
        except ValueError:
            return {}


@dataclass
class Crew:
    """Workers of one store.

    Args:
        store: its address.
        environment: where they work.
        folder: for their logs.
        imports: what they import.
    """

    store: str
    environment: Mapping[str, str]
    folder: Path
    imports: Sequence[Path] = (OFTEN,)
    workers: list[Worker] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self.workers:
            if not worker.is_over:
                self.end(worker)

    def start(self) -> Worker:
        """One more."""
        imports = [word for path in self.imports for word in ("--import", str(path))]
        return self.begin("work", "--store", self.store, "--json", "--jobs", "1", *imports)

    def begin(self, *arguments: str) -> Worker:
        """A command of the library."""
        folder = self.folder / f"worker-{len(self.workers)}"
        folder.mkdir(parents=True)
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "lottery_ticket.cli", *arguments],
                env=dict(self.environment), stdout=out, stderr=err, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.workers.append(Worker(process, folder))
        return self.workers[-1]

    @property
    def at_work(self) -> list[Worker]:
        """Those that have not ended."""
        return [worker for worker in self.workers if not worker.is_over]

    def end(self, worker: Worker) -> None:
        """Kill one, whatever it does."""
        worker.was_killed = True
        worker.process.send_signal(signal.SIGKILL)
        worker.process.wait()

    def pause(self, worker: Worker) -> None:
        """Let it stand still."""
        worker.process.send_signal(signal.SIGSTOP)

    def resume(self, worker: Worker) -> None:
        """Let it go on, if it still can."""
        worker.process.send_signal(signal.SIGCONT)


def environment_of(server: str, keys: Mapping[str, str], cache: Path) -> dict[str, str]:
    """The environment of who works at a server of S3."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    found |= {f"AWS_{name.upper()}": value for name, value in keys.items()}
    return found | {
        "AWS_ENDPOINT_URL": server,
        "AWS_REGION": "us-east-1",
        "XDG_CACHE_HOME": str(cache),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }
