"""How long a store of many cells takes to list: `python benchmarks/bench_store.py [NUM_CELLS]`.

The cells are real records, with the history of 20 epochs each, in ten runs. In-process times leave
out the start of Python; the last two are whole processes, as a user waits for them.
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
from lottery_ticket.store import CellRecord, Execution, RunRecord, RunRow, Store, table_rows

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


def fill(root: Path, num_cells: int) -> None:
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
        results = {"test_accuracy": 0.9, "test_loss": 0.3, "num_steps": 380, "history": history}
        record = CellRecord.of(name, {"kind": "train", "seeds": {"init": number}}, {}, {}, results)
        (folder / "record.json").write_bytes(record.to_bytes())
        (folder / "execution.json").write_bytes(EXECUTION.to_bytes(name))
    share = num_cells // NUM_RUNS
    for run in range(NUM_RUNS):
        rows = tuple(
            RunRow("ticket", i % 21, i // 21, 0, 100, name_of(run * share + i), None)
            for i in range(share)
        )
        layers = {"fc1.weight": [10, 10]}
        store.save_run(RunRecord(f"bench-{run:08d}", float(run), SPEC, 100, layers, rows))


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


def main() -> None:
    """Fill a store, and print a table."""
    num_cells = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        os.environ["LOTTERY_STORE"] = str(root)
        fill(root, num_cells)
        store = Store(root)
        steps: list[tuple[str, Callable[[], object]]] = [
            ("index sync, first time", store.cells),
            ("index sync, second time", store.cells),
            ("store.runs()", store.runs),
            ("table_rows of one run", lambda: table_rows(store, store.run("last"))),
            ("list", command("list")),
            ("table --format csv", command("table", "--format", "csv")),
            ("lottery list, whole process", process("list")),
            ("lottery table --format csv, whole process", process("table", "--format", "csv")),
            ("verify", command("verify")),
        ]
        print(f"{num_cells:,} cells, {NUM_RUNS} runs; load {os.getloadavg()[0]:.1f}")
        print("| what | seconds |\n| --- | --- |")
        for what, call in steps:
            started = time.perf_counter()
            call()
            print(f"| {what} | {time.perf_counter() - started:.2f} |")


if __name__ == "__main__":
    main()
