"""How long a store of many cells takes to list: `python benchmarks/bench_store.py [CELLS [RUNS]]`.

The cells are real records, with the history of 20 epochs each, in ten runs or so many, each with a
name and a tag. In-process times leave out the start of Python; whole processes are as a user waits
for them. CPU seconds are those of this process and of those that it started.
"""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lottery_ticket.cli import app
from lottery_ticket.runs import load_runs
from lottery_ticket.store import (
    CellRecord,
    Execution,
    RunEdit,
    RunRecord,
    RunRow,
    Store,
    table_rows,
)
from lottery_ticket.watch._live import LiveRun

NUM_RUNS = 10
SPEC = {
    "name": "bench",
    "data": {"name": "digits"},
    "model": {"name": "LeNet300"},
    "train": {"optimizer": "sgd", "lr": 0.1, "batch_size": 64, "duration": "2ep"},
    "rewind": "0it",
    "prune": {"criterion": "magnitude", "scope": "global", "rate": 0.2, "levels": 20},
    "arms": [{"name": "ticket", "draws": 1}],
}
EXECUTION = Execution(
    {"cpu": "AVX2", "device": "cpu", "precision": "fp32", "threads": 1, "train_seconds": 9.5}
)


def name_of(number: int) -> str:
    """64 hex digits, spread over the shards."""
    return f"{number * 2654435761 % 2**32:08x}" + f"{number:056x}"


def fill(root: Path, num_cells: int, num_runs: int = NUM_RUNS) -> None:
    """Write finished cells without the syncs that make many commits slow."""
    store = Store(root)
    store.open_for_writing()
    history = [
        {"step": 19 * epoch, "epoch": epoch, "train_loss": 1 / (1 + epoch), "test_accuracy": 0.9}
        for epoch in range(20)
    ]
    for number in range(num_cells):
        name = name_of(number)
        folder = root / "cells" / name[:2] / name
        folder.mkdir(parents=True)
        results = {"test_accuracy": 0.9 + 1e-4 * (number % 7), "num_test": 10_000}
        results |= {"test_loss": 0.3, "num_steps": 380, "history": history}
        record = CellRecord.of(name, {"kind": "train", "seeds": {"init": number}}, {}, {}, results)
        (folder / "record.json").write_bytes(record.to_bytes())
        (folder / "execution.json").write_bytes(EXECUTION.to_bytes(name))
    share = num_cells // num_runs
    for run in range(num_runs):
        spec = {**SPEC, "train": {**SPEC["train"], "lr": 0.1 / (1 + run)}}
        rows = tuple(
            RunRow("ticket", i % 21, i // 21, 0, 100, name_of(run * share + i), None)
            for i in range(share)
        )
        layers = {"fc1.weight": [10, 10]}
        store.save_run(RunRecord(f"bench-{run:08d}", float(run), spec, 100, layers, rows))
        store.edit_run(f"bench-{run:08d}", RunEdit(name=f"number {run}", add_tags=["bench"]))


def command(*arguments: str) -> Callable[[], object]:
    """A command of `lottery`, in this process, its output thrown away."""

    def call() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            app(arguments, standalone_mode=False)

    return call


def process(*arguments: str) -> Callable[[], object]:
    """The same in a process of its own."""
    line = [sys.executable, "-m", "lottery_ticket.cli", *arguments]
    return lambda: subprocess.run(line, check=True, stdout=subprocess.DEVNULL)


def cpu_seconds() -> float:
    """Spent by this process and its children."""
    return sum(os.times()[:4])


def print_looks(root: Path) -> None:
    """What `lottery watch` takes for a page of the last run: the CPU seconds of a look, and of the
    figures, which a thread of its own draws."""
    live = LiveRun(str(root), Store(root).run("last").id, look_seconds=0)
    for what in ("first", "second", "third"):
        before = time.thread_time(), cpu_seconds()
        live.parts()
        look = time.thread_time() - before[0]
        while "figures" not in live.parts():
            time.sleep(0.2)
        print(f"| watch, {what} look | – | {look:.3f} |")
        if what == "first":
            print(f"| watch, until its figures are drawn | – | {cpu_seconds() - before[1]:.2f} |")
        time.sleep(1 + 20 * look)  # looking takes at most a tenth of the time


def main() -> None:
    """Fill a store, and print a table."""
    num_cells = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    num_runs = int(sys.argv[2]) if len(sys.argv) > 2 else NUM_RUNS
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        os.environ["LOTTERY_STORE"] = str(root)
        fill(root, num_cells, num_runs)
        store = Store(root)
        steps: list[tuple[str, Callable[[], object]]] = [
            ("index sync, first time", store.cells),
            ("index sync, second time", store.cells),
            ("store.runs()", store.runs),
            ("store.labels()", store.labels),
            ("load_runs()", lambda: load_runs(store)),
            ("table_rows of one run", lambda: table_rows(store, store.run("last"))),
            ("list", command("list")),
            ("table --format csv", command("table", "--format", "csv")),
            ("lottery list, whole process", process("list")),
            ("lottery runs, whole process", process("runs")),
            ("lottery table --format csv, whole process", process("table", "--format", "csv")),
            ("verify", command("verify")),
        ]
        print(f"{num_cells:,} cells, {num_runs} runs; load {os.getloadavg()[0]:.1f}")
        print("| what | seconds | CPU seconds |\n| --- | --- | --- |")
        for what, call in steps:
            started, before = time.perf_counter(), cpu_seconds()
            call()
            spent = cpu_seconds() - before
            print(f"| {what} | {time.perf_counter() - started:.2f} | {spent:.2f} |")
        print_looks(root)


if __name__ == "__main__":
    main()
