"""Many cases, in processes of their own: one that hangs or dies is a finding, not the end."""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from fuzz.cases import Bench, Verdict

__all__ = ["Worker", "numbered", "run_all", "serve"]

SECONDS = 30
"""How long a case may take."""
_WARM_UP_SECONDS = 300
_ADDRESS_SPACE = 10 << 30  # what asks for more gets an error, and the machine lives


class Worker:
    """A process that runs cases, one at a time; a new one takes its place when it dies.

    Args:
        table: the module that has the readers.
        seconds: how long a case may take.
    """

    def __init__(self, table: str = "fuzz.tables", seconds: float = SECONDS) -> None:
        self._table, self._seconds = table, seconds
        self._warm: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, name: str, number: int, seed: int, keep: Path | None = None) -> Verdict:
        """The verdict on a case; the files of a bad one are kept in a folder."""
        process = self._process = self._process or self._started()
        if name not in self._warm:  # making the examples may take longer than any case
            self._answer(process, [name, None, seed, None], _WARM_UP_SECONDS)
            self._warm.add(name)
        order = [name, number, seed, None if keep is None else str(keep)]
        answer = self._answer(process, order, self._seconds)
        if answer.startswith(b"{"):
            return Verdict(**json.loads(answer))
        self.close()
        what = f"case {number}"
        if answer:
            return Verdict(what, "hang", f"more than {self._seconds} s", is_bad=True)
        return Verdict(what, "crash", f"the process ended with {process.returncode}", is_bad=True)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
            self._warm.clear()

    def _started(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "fuzz.runner", self._table]
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        environment |= {"OMP_NUM_THREADS": "1", "LOTTERY_DATA": ""}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
        return process

    def _answer(
        self, process: "subprocess.Popen[bytes]", order: Sequence[object], seconds: float
    ) -> bytes:
        """A line; nothing from a process that died, one letter from one that hangs."""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return b"t"
        return process.stdout.readline()


def serve(table: str) -> None:
    """Run the cases that stand on stdin, and answer on stdout."""
    import importlib
    import resource

    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a reader prints is no answer
    readers = importlib.import_module(table).READERS
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        bench = Bench(Path(folder) / "bench")
        answers.write(b"ready\n")
        for line in sys.stdin.buffer:
            name, number, seed, keep = json.loads(line)
            if number is None:
                bench.warm_up(name, readers[name])
                answers.write(b"{}\n")
                continue
            verdict = bench.run(name, readers[name], number, seed)
            if verdict.is_bad and keep is not None:
                _keep(bench, Path(keep))
            answers.write(json.dumps(asdict(verdict)).encode() + b"\n")


def _keep(bench: Bench, folder: Path) -> None:
    for name, data in bench.files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def numbered(
    num_cases: int, names: Sequence[str], fixed: Mapping[str, int]
) -> list[tuple[str, int]]:
    """Which cases to run: all that are not by chance, and the rest evenly over the readers."""
    each = max(0, num_cases - sum(fixed[name] for name in names)) // len(names)
    return [(name, number) for name in names for number in range(fixed[name] + each)]


def run_all(
    cases: Sequence[tuple[str, int]], seed: int, jobs: int, keep: Path, table: str = "fuzz.tables"
) -> Iterator[tuple[str, int, Verdict]]:
    """Run cases side by side; verdicts come in the order of the cases."""
    local = threading.local()
    workers: list[Worker] = []

    def one(case: tuple[str, int]) -> tuple[str, int, Verdict]:
        if not hasattr(local, "worker"):
            local.worker = Worker(table)
            workers.append(local.worker)
        name, number = case
        return name, number, local.worker.run(name, number, seed, keep / f"{name}-{number}")

    try:
        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(one, cases)
    finally:
        for worker in workers:
            worker.close()


if __name__ == "__main__":
    serve(sys.argv[1])
