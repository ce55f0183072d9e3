"""What the benchmarks share: side-by-side timing, the machine, a table and a JSON file."""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

Rows = list[dict[str, Any]]


def arguments(description: str | None, **defaults: Any) -> argparse.Namespace:
    """`--repeats`, `--out`, and an option for each keyword."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="times each thing is measured")
    parser.add_argument("--out", type=Path, help="folder for the JSON file")
    for name, default in defaults.items():
        kind = type(default) if default is not None else str
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default)
    return parser.parse_args()


def in_turns(
    things: Mapping[str, Callable[[], object]],
    repeats: int,
    *,
    warm_up: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each thing, `repeats` times, in turns: all see the same noise of the machine."""
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for turn in range(repeats + warm_up):
        for name, thing in things.items():
            started = clock()
            thing()
            if turn >= warm_up:
                seconds[name].append(clock() - started)
    return seconds


def spread(seconds: Sequence[float]) -> dict[str, Any]:
    """n, min, median and max."""
    return {
        "n": len(seconds),
        "min": min(seconds),
        "median": statistics.median(seconds),
        "max": max(seconds),
    }


def machine() -> dict[str, Any]:
    """Where this was measured."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    flags: list[str] = []
    if info.exists():
        lines = dict(
            map(str.strip, line.split(":", 1))
            for line in info.read_text().splitlines()
            if ":" in line
        )
        cpu, flags = lines.get("model name", cpu), lines.get("flags", "").split()
    return {
        "cpu": cpu,
        "has_avx512_bf16": "avx512_bf16" in flags,
        "has_amx_bf16": "amx_bf16" in flags,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def report(name: str, rows: Rows, out: Path | None, **more: Any) -> None:
    """Print the rows as a table, and write them with the machine as JSON into `out`."""
    where = machine()
    print(f"{name}: {where['cpu']}, {where['cores']} cores, torch {where['torch']}")
    names = list(dict.fromkeys(key for row in rows for key in row))
    table = [names, *([_text(row.get(key)) for key in names] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(names))]
    for line in table:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))
    for key, value in more.items():
        print(f"{key}: {_text(value)}")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        content = {"benchmark": name, "machine": where, **more, "rows": rows}
        (out / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
