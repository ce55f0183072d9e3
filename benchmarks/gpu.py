"""All that wants a GPU, in at most ten minutes, into one JSON file that docs/speed.md reads.

    make gpu

Each part runs in a process of its own under a limit of its own, so that one that fails or hangs
takes nothing with it, and the file is written anew after each. Without a GPU this is a dry run on
the CPU with small sizes: it shows that the script works, and measures nothing. The parts are in
`gpu_parts.py`; exit code 1 if one of them failed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from measure import machine

HERE = Path(__file__).parent
PARTS = HERE / "gpu_parts.py"

LIMIT_SECONDS = 570
"""Of all parts; ten minutes with what starts and ends them."""

SECONDS = {"tests": 180, "selection": 60, "groups": 90, "bf16": 60, "batched": 60, "two_four": 150}
"""The limit of each part, in the order in which they run."""

_DRY_RUN_TIMES = 5  # a dry run may take longer: nothing is lent by the minute, and CPUs are busy
_LINES_KEPT = 30  # of what a part printed, where it failed


def main() -> None:
    options = _options()
    found: dict[str, Any] = {
        "benchmark": "gpu",
        "device": options.device,
        "is_dry_run": options.device == "cpu",
        "machine": machine() | {"cuda": torch.version.cuda},
        "parts": {},
    }
    times = _DRY_RUN_TIMES if found["is_dry_run"] else 1
    ends = time.monotonic() + times * LIMIT_SECONDS
    for name in options.only:
        limit = min(times * SECONDS[name], ends - time.monotonic())
        found["parts"][name] = part = run_part(name, options.device, limit)
        _write(options.out, found)
        print(f"{name}: {part['outcome']}, {part['seconds']:.0f} s", flush=True)
        for line in part.get("said", ()):
            print(f"    {line}")
    print(options.out)
    if any(part["outcome"] not in ("passed", "skipped") for part in found["parts"].values()):
        raise SystemExit(1)


def _options() -> argparse.Namespace:
    has_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda" if has_gpu else "cpu", choices=("cuda", "cpu"))
    parser.add_argument("--out", type=Path, help="the JSON file to write")
    parser.add_argument("--only", nargs="+", choices=SECONDS, default=list(SECONDS), metavar="PART")
    options = parser.parse_args()
    if options.device == "cuda" and not has_gpu:
        parser.error("--device cuda: no CUDA device is found here; leave it out for a dry run")
    if options.out is None:  # a dry run never lies where the docs look for figures
        folder = HERE.parent / ("docs/results/bench" if options.device == "cuda" else "build")
        options.out = folder / f"gpu{'' if options.device == 'cuda' else '-dry-run'}.json"
    return options


def run_part(
    name: str, device: str, limit: float, *, command: Sequence[str] | None = None
) -> dict[str, Any]:
    """What came of a part: its outcome, seconds and rows, and if it failed, what it said.

    Args:
        name: of `SECONDS`.
        device: `"cuda"` or `"cpu"`.
        limit: seconds after which it is ended.
        command: what to run in place of the part; it gets the same arguments.
    """
    if limit < 1:
        return {"outcome": "no time was left", "seconds": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        out, started = Path(folder) / "rows.json", time.monotonic()
        arguments = [name, "--device", device, "--out", str(out)]
        process = subprocess.Popen(
            [*(command or (sys.executable, str(PARTS))), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # what it starts is ended with it
        )
        try:
            said, _ = process.communicate(timeout=limit)
            outcome = "passed" if process.returncode == 0 else f"failed ({process.returncode})"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            outcome = f"ended after its {limit:.0f} s"
        part: dict[str, Any] = {"outcome": outcome, "seconds": time.monotonic() - started}
        if out.exists():
            part |= json.loads(out.read_text())  # also of one that failed: what it has found
        if outcome != "passed":
            part["said"] = said.splitlines()[-_LINES_KEPT:]
        return part


def _write(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(found, indent=1) + "\n")
    aside.replace(path)


if __name__ == "__main__":
    main()
