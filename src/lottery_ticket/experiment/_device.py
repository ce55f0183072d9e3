"""Devices, and making them give the same bytes each time."""

import contextlib
import os
from collections.abc import Iterator

import torch

from lottery_ticket.errors import UsageError

__all__ = ["available_devices", "configured", "num_devices", "resolve_device"]


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


@contextlib.contextmanager
def configured(device: str, threads: int) -> Iterator[None]:
    """The settings that a cell's bytes depend on, put back afterwards."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    # momentum of dead units decays into denormal numbers, which a CPU handles very slowly
    torch.set_flush_denormal(True)
    deterministic_before = torch.are_deterministic_algorithms_enabled()
    tf32_before = torch.backends.cudnn.allow_tf32
    if device.startswith("cuda"):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_flush_denormal(False)
        torch.use_deterministic_algorithms(deterministic_before)
        torch.backends.cudnn.allow_tf32 = tf32_before
