"""How long a store of many cells in a bucket takes to list, and how often its server is asked:
`python benchmarks/bench_object_store.py [NUM_CELLS]`.

The server is moto's, on 127.0.0.1, in a process of its own, and most of the time is its time: so
that of the command's own process is told, too. The cells are those of `bench_store.py`.
Each line is a process that has imported all and knows nothing of the store but what is in its
cache: cold, without one and with nothing packed; packed, without one; warm, with one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_store import EXECUTION, NUM_RUNS, SPEC, name_of

from lottery_ticket.store import CellRecord, RunRecord, RunRow, Store

sys.path.append(str(Path(__file__).parent.parent / "tests" / "store" / "remote"))
from moto_server import KEYS, make_bucket, moto_server

COMMANDS = {
    "list": "list",
    "table of one run": f"table {SPEC['name']}-00000000 --format csv",
    "table of all": f"table {SPEC['name']}-ffffffff --format csv",
}
ASKED = """
import contextlib, io, sys, time
import lottery_ticket.cli._list, lottery_ticket.cli._table
from lottery_ticket.cli import app
from lottery_ticket.store import Store

began, cpu = time.perf_counter(), time.process_time()
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    app(sys.argv[2:])
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
bucket = Store(sys.argv[1]).bucket
asked = ", ".join(f"{count} {kind}" for kind, count in sorted(bucket.requests.items()))
print(f"{seconds:6.2f} s ({cpu:.2f} s CPU)  {sum(bucket.requests.values()):6d} requests ({asked})  "
      f"{bucket.bytes_in / 1e6:.1f} MB in, {bucket.bytes_out / 1e6:.1f} MB out")
"""


def fill(url: str, num_cells: int) -> None:
    """Finished cells, by the store's own bucket, without the claims that make many slow."""
    from concurrent.futures import ThreadPoolExecutor

    from lottery_ticket.store.remote.envelope import Envelope

    store = Store(url)
    store.open_for_writing()
    history = [
        {"step": 19 * epoch, "epoch": epoch, "train_loss": 1 / (1 + epoch), "test_accuracy": 0.9}
        for epoch in range(20)
    ]

    def put(number: int) -> None:
        name = name_of(number)
        results = {"test_accuracy": 0.9, "test_loss": 0.3, "num_steps": 380, "history": history}
        record = CellRecord.of(name, {"kind": "train", "seeds": {"init": number}}, {}, {}, results)
        envelope = Envelope.of(f"{number:016x}", record, EXECUTION.values)
        store.bucket.create(f"cells/{name}", envelope.to_bytes())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(num_cells)))
    share = num_cells // NUM_RUNS
    parts = {f"{run:08x}": range(run * share, (run + 1) * share) for run in range(NUM_RUNS)}
    for run_id, numbers in {**parts, "ffffffff": range(num_cells)}.items():
        rows = tuple(
            RunRow("ticket", i % 21, i // 21, 0, 100, name_of(number), None)
            for i, number in enumerate(numbers)
        )
        run_id = f"{SPEC['name']}-{run_id}"
        store.save_run(RunRecord(run_id, 1.0, SPEC, 100, {"fc.weight": [10, 10]}, rows))


def ask(url: str, cache: str, what: str, name: str) -> None:
    """Time one command in a process of its own."""
    line = [sys.executable, "-c", ASKED, url, *COMMANDS[name].split(), "--store", url]
    asked = subprocess.run(
        line,
        env={**os.environ, "XDG_CACHE_HOME": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    print(f"{name:18} {what:8} {asked.stdout.strip()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("num_cells", nargs="?", type=int, default=10_000)
    num_cells = parser.parse_args().num_cells
    with moto_server() as server, tempfile.TemporaryDirectory() as caches:
        make_bucket(server, "bench")
        environment = {f"AWS_{name.upper()}": value for name, value in KEYS.items()}
        os.environ |= {"AWS_ENDPOINT_URL": server, "AWS_REGION": "us-east-1", **environment}
        began = time.perf_counter()
        url = "s3://bench/store"
        fill(url, num_cells)
        seconds = time.perf_counter() - began
        load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        print(f"{num_cells:,} cells written in {seconds:.0f} s; {load}", flush=True)
        for number, name in enumerate(COMMANDS):
            if not number:
                ask(url, f"{caches}/first", "cold", name)
            ask(url, f"{caches}/{number}", "packed", name)
            ask(url, f"{caches}/{number}", "warm", name)


if __name__ == "__main__":
    main()
