"""`make chaos`: `python -m chaos --rounds 50 --seed 0 [--ray] [--round N] [--out FILE.csv]`."""

import argparse
import csv
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# where buckets of tests are
sys.path.append(str(Path(__file__).parents[1] / "store" / "remote"))

from moto_server import KEYS, moto_server

from chaos import ray_rounds, rounds
from chaos.crew import environment_of
from chaos.rounds import Field, Row
from chaos.runs import planned, undisturbed

LEASE_SECONDS = 3.0


def main() -> int:
    """Play rounds, say what became of each, and end with a table; 1 if a law was broken."""
    options = _options()
    if options.ray and (reason := ray_rounds.why_not()):
        print(f"rounds in which a Ray node is lost are skipped: {reason}; `make chaos-ray`")
        return 0
    player = ray_rounds.play if options.ray else rounds.play
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # no worker is left alone
    numbers = range(1, options.rounds + 1) if options.round is None else [options.round]
    rows: list[Row] = []
    with moto_server() as server, tempfile.TemporaryDirectory() as folder:
        os.environ.update(environment_of(server, KEYS, Path(folder) / "cache"))
        plans = planned()
        expected = undisturbed(plans, Path(folder) / "undisturbed")
        here = Field(server, plans, expected, LEASE_SECONDS, options.keep)
        for number in numbers:
            row = player(here, number, options.seed)
            rows.append(row)
            print(row, flush=True)
            for line in row.broken:
                print(f"    {line}", flush=True)
            if options.out is not None:
                _write(rows, options.out)
    _print_summary(rows)
    num_bad = sum(bool(row.broken) for row in rows)
    if num_bad:
        target = "chaos-ray" if options.ray else "chaos"
        again = f"make {target} ARGS='--seed {options.seed} --round N'"
        print(f"{num_bad} bad rounds; one of them again: {again}; logs in {options.keep}")
    return int(num_bad > 0)


def _print_summary(rows: Sequence[Row]) -> None:
    resumed = sorted(seconds for row in rows for seconds in row.resumed_seconds)
    counts = {
        "rounds": len(rows),
        "cells": sum(row.num_cells for row in rows),
        "kills": sum(row.num_kills for row in rows),
        "stops beyond the lease": sum(row.num_stops for row in rows),
        "outages": sum(row.num_outages for row in rows),
        "Ray nodes lost": sum(row.num_nodes for row in rows),
        "requests": sum(row.num_requests for row in rows),
        "faults": sum(row.num_faults for row in rows),
        "claims taken over": sum(row.num_takeovers for row in rows),
        "cells trained twice": sum(row.num_twice for row in rows),
        "claims left to garbage collection": sum(row.num_claims_left for row in rows),
        "broken laws": sum(len(row.broken) for row in rows),
    }
    print()
    for what, count in counts.items():
        print(f"{what:36} {count:9,}")
    if resumed:
        print(f"{'seconds until work resumed: median':36} {statistics.median(resumed):9.1f}")
        print(f"{'the longest':36} {resumed[-1]:9.1f}")
    print(f"{'seconds in all':36} {sum(row.seconds for row in rows):9,.0f}")


def _write(rows: Sequence[Row], path: Path) -> None:
    with path.open("w", newline="") as file:
        lines = [row.values() for row in rows]
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="how many in all")
    parser.add_argument("--ray", action="store_true", help="a Ray node is lost in each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--round", type=int, help="only this one")
    parser.add_argument("--out", type=Path, help="a CSV of all rounds")
    parser.add_argument(
        "--keep", type=Path, default=Path("chaos-findings"), help="where logs of bad rounds are put"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
