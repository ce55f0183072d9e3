"""`make fuzz`: `python -m fuzz --cases 10000 --seed 0 [--reader NAME] [--case N]`."""

import argparse
import os
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from fuzz.runner import Worker, numbered, run_all
from fuzz.tables import READERS


def main() -> int:
    """Run cases, say what went wrong, and end with a table; 1 if anything did."""
    options = _options()
    names = options.reader or list(READERS)
    if unknown := [name for name in names if name not in READERS]:
        sys.exit(f"no reader {unknown[0]!r}; there are: {', '.join(READERS)}")
    if options.case is not None:
        return _one(names[0], options.case, options.seed, options.keep)
    fixed = {name: len(row.examples) + len(row.bombs) for name, row in READERS.items()}
    cases = numbered(options.cases, names, fixed)
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    peaks: dict[str, int] = defaultdict(int)
    num_bad, began = 0, time.monotonic()
    for name, number, verdict in run_all(cases, options.seed, options.jobs, options.keep):
        outcomes[name][verdict.outcome if not verdict.is_bad else f"BAD: {verdict.outcome}"] += 1
        peaks[name] = max(peaks[name], verdict.num_bytes)
        if verdict.is_bad:
            num_bad += 1
            again = f"make fuzz ARGS='--reader {name} --case {number} --seed {options.seed}'"
            print(f"{name} {number}: {verdict.outcome}: {verdict.detail}", flush=True)
            print(f"    {verdict.what[:200]}\n    {again}", flush=True)
    for name, counts in outcomes.items():
        listed = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        print(f"{name:12} {sum(counts.values()):6} cases, {peaks[name] >> 20:4} MiB: {listed}")
    seconds = time.monotonic() - began
    print(
        f"{len(cases):,} cases in {seconds:.0f} s, {num_bad} bad"
        + (f"; files in {options.keep}" if num_bad else "")
    )
    return int(num_bad > 0)


def _one(name: str, number: int, seed: int, keep: Path) -> int:
    worker = Worker()
    try:
        verdict = worker.run(name, number, seed, keep / f"{name}-{number}")
    finally:
        worker.close()
    print(f"{name} {number}: {verdict.outcome} ({verdict.num_bytes >> 20} MiB)")
    print(f"    {verdict.what}\n    {verdict.detail}")
    return int(verdict.is_bad)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="how many in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", help="only this one; may stand several times")
    parser.add_argument("--case", type=int, help="only this case of the reader")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--keep", type=Path, default=Path("fuzz-findings"), help="where bad files are put"
    )
    options = parser.parse_args()
    if options.case is not None and len(options.reader or ()) != 1:
        parser.error("--case needs one --reader")
    return options


if __name__ == "__main__":
    sys.exit(main())
