"""Devices, and making them give the same bytes each time."""

import contextlib
import os
from collections.abc import Iterator

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.process import (
    environment_kept,
    flushing_denormals,
    neutral_settings,
    on_threads,
    without_tf32,
)

__all__ = ["available_devices", "configured", "num_devices", "resolve_device", "threads_of_one"]


def available_devices() -> list[str]:
    """The kinds of device this machine has, the fastest first."""
    devices = ["cpu"]
    if torch.backends.mps.is_available():
        devices.insert(0, "mps")
    if torch.cuda.is_available():
        devices.insert(0, "cuda")
    return devices


def resolve_device(name: str) -> str:
    """`"auto"` → the fastest device here; raises `UsageError` for one that is not here."""
    available = available_devices()
    if name == "auto":
        return available[0]
    kind, _, index = name.partition(":")
    is_numbered = kind == "cuda" and index.isdecimal() and int(index) < torch.cuda.device_count()
    if kind not in available or (":" in name and not is_numbered):
        raise UsageError(f"device {name!r} is not available here; available: {available}")
    return name


def num_devices(device: str) -> int:
    """How many cells run at a time by default: one per core on a CPU, one per GPU on CUDA."""
    if device == "cuda":
        return torch.cuda.device_count()
    if device != "cpu":
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_of_one() -> int:
    """CPU threads of a cell that is made alone: $OMP_NUM_THREADS, as torch takes it, else a thread
    per core."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(said) if said.isdecimal() and int(said) else num_devices("cpu")


@contextlib.contextmanager
def configured(device: str, threads: int) -> Iterator[None]:
    """The settings that a cell's bytes depend on, put back afterwards."""
    is_cuda = device.startswith("cuda")
    with contextlib.ExitStack() as settings:
        settings.enter_context(neutral_settings(is_deterministic=is_cuda))
        settings.enter_context(on_threads(threads))
        # momentum of dead units decays into denormal numbers, which a CPU handles very slowly
        settings.enter_context(flushing_denormals())
        if is_cuda:
            settings.enter_context(environment_kept(CUBLAS_WORKSPACE_CONFIG=":4096:8"))
            settings.enter_context(without_tf32())
        yield
