"""`lottery doctor`."""

import importlib.metadata
import platform
from pathlib import Path
from typing import Annotated, Any

import typer

from lottery_ticket.cli._options import DataDir, Json, StorePath, open_store
from lottery_ticket.cli._print import console, print_json, print_table
from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.store import Store, default_store_path, is_address, repair

__all__ = ["doctor"]

_PACKAGES = (
    "lottery-ticket",
    "torch",
    "numpy",
    "safetensors",
    "pydantic",
    "pandas",
    "scipy",
    "matplotlib",
    "scikit-learn",
    "loky",
)


def doctor(
    store: StorePath = None,
    data_dir: DataDir = None,
    to_repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Write anew what is damaged or missing of the store beside its results.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Say what is installed and found here, what is missing, and how to get it."""
    if to_repair:
        _repair(default_store_path() if store is None else store, json=json)
        return
    findings = {
        "python": f"{platform.python_version()} on {platform.platform()}",
        "packages": {name: _version(name) for name in _PACKAGES},
        **_machine(),
        "store": _store(store),
        "data": _data(data_dir),
    }
    if json:
        print_json(findings)
        return
    rows = [["what", "found"], ["python", findings["python"]]]
    rows += [[name, version or "missing: pip install " + name] for name, version in
             findings["packages"].items()]  # fmt: skip
    for name in ("devices", "cores", "threads", "precision", "store"):
        rows.append([name, str(findings[name])])
    rows += [[f"data: {name}", state] for name, state in findings["data"].items()]
    print_table(rows, num_left=2)
    missing = [name for name, version in findings["packages"].items() if version is None]
    said = "nothing is missing" if not missing else f"{', '.join(missing)}: missing"
    console.print(f"\n{said} that `lottery run quickstart` needs")


def _repair(location: str, *, json: bool) -> None:
    if is_address(location):
        raise UsageError(
            f"{location}: nothing to repair: an object is written whole or not at all, and a store "
            "in a bucket keeps no index beside its results; `lottery verify` reads these"
        )
    root = Path(location)
    done = repair(root)
    if json:
        print_json({"store": str(root), "done": done})
        return
    for line in done or [f"{root}: nothing to repair; `lottery verify` reads the results"]:
        console.print(line, soft_wrap=True)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _machine() -> dict[str, Any]:
    import torch

    from lottery_ticket.experiment import available_devices, num_devices

    devices = []
    for device in available_devices():
        name = torch.cuda.get_device_name() if device == "cuda" else platform.processor()
        devices.append(f"{device} ({name})" if name else device)
    capability = torch.backends.cpu.get_cpu_capability()
    return {
        "devices": ", ".join(devices),
        "cores": num_devices("cpu"),
        "threads": f"{torch.get_num_threads()} for one cell alone, 1 with several jobs",
        "precision": f"fp32; CPU kernels {capability}, {_bf16()}",
    }


def _bf16() -> str:
    import torch

    flags = getattr(torch.cpu, "get_capabilities", dict)()  # not in the oldest torch we take
    if flags.get("amx_bf16"):
        return "bf16 by AMX"
    if flags.get("avx512_bf16"):
        return "bf16 without AMX (slower than fp32)"
    return "bf16 in hardware" if flags.get("bf16") else "no bf16 found in hardware"


def _store(path: str | None) -> str:
    try:
        return _describe(open_store(path))
    except LotteryError as error:
        return str(error)


def _describe(opened: Store) -> str:
    return f"{opened.absolute().location} ({opened.state()})"


def _data(data_dir: Path | None) -> dict[str, str]:
    from lottery_ticket.data import found_datasets, resolve_data_dir

    root = resolve_data_dir(data_dir)
    missing = f"not in {root}; set LOTTERY_DATA or --data-dir, or let the first run download it"
    found = found_datasets(data_dir)
    return {name: missing if path is None else str(path) for name, path in found.items()}
