"""Real workers for benchmarks: `lottery work` in processes of their own, which have imported all
that they need before the clock starts, and begin at once."""

import contextlib
import io
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from typing import Any, Self

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["lottery_ticket.cli._work", "lottery_ticket.experiment"])


@dataclass(frozen=True)
class Worked:
    """What became of a crew.

    Args:
        began: when they were let go, in seconds since 1970.
        cpu_seconds: of each.
        requests: to the store, of all; 0 where it is a folder.
    """

    began: float
    cpu_seconds: list[float]
    requests: int


class Crew:
    """So many workers of a store, that wait to be let go.

    Args:
        num_workers: how many.
        store: its folder or address.
        arguments: more of `lottery work`.
    """

    def __init__(self, num_workers: int, store: str, *arguments: object) -> None:
        line = ["lottery", "work", "--quiet", "--store", store, "--device", "cpu"]
        self._line = [*line, *map(str, arguments)]
        self._num_workers = num_workers
        self._ready, self._go = FORKS.Barrier(num_workers + 1), FORKS.Event()

    def __enter__(self) -> Self:
        self._lines, self._processes = [], []
        for _ in range(self._num_workers):
            here, there = FORKS.Pipe()
            process = FORKS.Process(
                target=_work, args=(self._line, dict(os.environ), self._ready, self._go, there)
            )
            process.start()
            self._lines.append(here)
            self._processes.append(process)
        self._ready.wait(120)
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def work(self) -> Worked:
        """Let them go, until nothing is left to do."""
        began = time.time()
        self._go.set()
        told = [line.recv() for line in self._lines]
        assert all(code == 0 for code, _, _ in told), told
        return Worked(began, [cpu for _, cpu, _ in told], sum(asked for _, _, asked in told))


def _work(line: list[str], environment: dict[str, str], ready: Any, go: Any, told: Any) -> None:
    """In the process itself."""
    os.environ.update(environment)
    from lottery_ticket.cli import main
    from lottery_ticket.store import Store

    sys.argv = line
    ready.wait(120)
    go.wait()
    before, code = time.process_time(), 0
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
    store = Store(line[line.index("--store") + 1])
    requests = getattr(getattr(store, "bucket", None), "requests", {})
    told.send((code, time.process_time() - before, sum(requests.values())))
