"""What belongs to the whole process: whose turn it is to change it, and as it was afterwards.

Random numbers, default types, thread counts and warning filters are shared by all threads. Whoever
changes one of them takes the turn first, so that trainings in two threads never meet, and puts back
what it found, however it ends.
"""

import logging
import multiprocessing
import os
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import torch

__all__ = [
    "alone",
    "as_it_was",
    "environment_kept",
    "flushing_denormals",
    "neutral_settings",
    "on_threads",
    "random_state_kept",
    "seed_",
    "seeded",
    "without_tf32",
    "worker_pool",
]

_turn = threading.RLock()


def _renew_turn() -> None:
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):  # a fork has none of the threads that might hold it
    os.register_at_fork(after_in_child=_renew_turn)


@contextmanager
def alone(*, patience_seconds: float = 10.0) -> Iterator[None]:
    """A block beside which no other thread of this process is in one; a thread may nest them.

    Args:
        patience_seconds: who waits for longer says so.
    """
    turn = _turn
    if turn.acquire(timeout=patience_seconds):
        turn.release()
    else:
        name = threading.current_thread().name
        text = (
            "%s waits for what another thread trains: one at a time has the process's random state"
        )
        logging.getLogger("lottery_ticket").warning(text, name)
    with turn:
        yield


@contextmanager
def random_state_kept(devices: Iterable[torch.device | str] = ()) -> Iterator[None]:
    """A block after which the global generators are as before: torch's (on the CPU and `devices`),
    NumPy's and Python's. And so is what a user's code in it may set for the whole process: default
    dtype, threads, flushing of denormals, gradients, determinism, filters of warnings."""
    with alone(), ExitStack() as undo:
        _put_back_later(undo)
        undo.callback(torch.set_rng_state, torch.get_rng_state())
        undo.callback(np.random.set_state, np.random.get_state())
        undo.callback(random.setstate, random.getstate())
        for device in {torch.device(device) for device in devices}:
            if device.type == "cuda":
                state = torch.cuda.get_rng_state(device)
                undo.callback(torch.cuda.set_rng_state, state, device)
            elif device.type == "mps":
                undo.callback(torch.mps.set_rng_state, torch.mps.get_rng_state())
        yield


@contextmanager
def seeded(seed: int, devices: Iterable[torch.device | str] = ()) -> Iterator[None]:
    """A block under the global generators of `seed`; the caller's come back after it.

    >>> with seeded(0):
    ...     first = torch.rand(1)
    >>> with seeded(0):
    ...     bool(torch.rand(1) == first)
    True
    """
    devices = tuple(devices)
    with random_state_kept(devices):
        seed_(seed, devices)
        yield


def seed_(seed: int, devices: Iterable[torch.device | str] = ()) -> None:
    """Seed the global generators, in place: torch's, and no other device's than `devices`."""
    # torch.manual_seed would reseed every device there is
    torch.default_generator.manual_seed(seed)
    for device in map(torch.device, devices):
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        elif device.type == "mps":
            torch.mps.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@contextmanager
def on_threads(threads: int) -> Iterator[None]:
    """A block with so many CPU threads in torch."""
    with alone():
        before = torch.get_num_threads()
        # even if it is the same: it also keeps MKL from choosing fewer
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def flushing_denormals() -> Iterator[None]:
    """A block in which this thread takes numbers below the normal ones for zero."""
    with ExitStack() as undo:
        _set(undo, _is_flushing, torch.set_flush_denormal, True)
        yield


def _is_flushing() -> bool:
    return sys.float_info.min / 2 == 0.0  # torch does not tell; the processor does


@contextmanager
def environment_kept(**changes: str) -> Iterator[None]:
    """A block after which the environment is as before, with variables that were not set."""
    with alone():
        before = dict(os.environ)
        for name, value in changes.items():
            os.environ.setdefault(name, value)
        try:
            yield
        finally:
            for name in set(os.environ) - set(before):
                del os.environ[name]
            os.environ.update(before)


@contextmanager
def as_it_was() -> Iterator[None]:
    """A block after which all is as before that exporters and runtimes of others change: random
    numbers, the environment, whether this thread flushes denormals, who hears what is logged, and
    the way in which processes start, which can be chosen only once."""
    with random_state_kept(), environment_kept(), ExitStack() as undo:
        undo.callback(torch.set_flush_denormal, _is_flushing())
        undo.callback(logging.root.handlers.__setitem__, slice(None), logging.root.handlers[:])
        if multiprocessing.get_start_method(allow_none=True) is None:
            undo.callback(multiprocessing.set_start_method, None, force=True)
        yield


@contextmanager
def neutral_settings(*, is_deterministic: bool = False) -> Iterator[None]:
    """A block in which torch computes as in a fresh process, whatever the caller has set.

    Default dtype and device, gradients, autocast, the precision of float32 products, the kernels
    that may be chosen: a run's bytes depend on its spec, not on these. The global generators on the
    CPU are as before after it.

    Args:
        is_deterministic: whether algorithms that may give other bytes each time are errors.
    """
    with random_state_kept(), ExitStack() as undo:
        _set(undo, torch.get_default_dtype, torch.set_default_dtype, torch.float32)
        _set(undo, _determinism, _set_determinism, (is_deterministic, False))
        for backend, name, value in (
            (torch.backends.mkldnn, "enabled", True),
            (torch.backends.cudnn, "enabled", True),
            (torch.backends.cudnn, "benchmark", False),
        ):
            _set_attribute(undo, backend, name, value)
        _use_whole_floats(undo)
        if torch.get_default_device().type != "cpu":
            undo.enter_context(torch.device("cpu"))
        undo.enter_context(torch.inference_mode(False))
        undo.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            if torch.is_autocast_enabled(device):
                undo.enter_context(torch.autocast(device, enabled=False))
        undo.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        yield


@contextmanager
def without_tf32() -> Iterator[None]:
    """A block in which convolutions on CUDA use whole floats."""
    with alone(), ExitStack() as undo:
        _set_attribute(undo, torch.backends.cudnn, "allow_tf32", False)
        yield


def worker_pool(max_workers: int, threads: int, **options: Any) -> Executor:
    """Processes that start without importing `__main__` again, so that a script needs no guard.

    Args:
        max_workers: how many.
        threads: of each.
        options: of loky's `ProcessPoolExecutor`.
    """
    from loky import ProcessPoolExecutor
    from loky.backend import resource_tracker

    # a random.py in the current folder is not Python's own: neither for workers, nor for the
    # process that loky starts beside them and leaves running
    with environment_kept(PYTHONSAFEPATH="1"):
        resource_tracker.ensure_running()
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    env = dict.fromkeys(names, str(threads)) | {"PYTHONSAFEPATH": "1"}
    return ProcessPoolExecutor(max_workers=max_workers, env=env, **options)


def _determinism() -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


def _set_determinism(values: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(values[0], warn_only=values[1])


def _use_whole_floats(undo: ExitStack) -> None:
    """Products of float32 in float32: neither TF32 nor bfloat16."""
    lowered = [owner for owner in _precision_owners() if _is_lowered(owner)]
    for owner in reversed(lowered):  # put back from the general to the particular
        undo.callback(setattr, owner, "fp32_precision", owner.fp32_precision)
    get, set_ = torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    with suppress(RuntimeError):  # it was set backend by backend, for which this has no word
        _set(undo, get, set_, "highest")
    for owner in lowered:
        if _is_lowered(owner):
            owner.fp32_precision = "ieee"


def _precision_owners() -> list[Any]:
    """What newer versions can lower the precision of, the most general first."""
    mkldnn = torch.backends.mkldnn
    parts = [getattr(mkldnn, name, None) for name in ("matmul", "conv", "rnn")]
    return [torch.backends, *parts, torch.backends.cuda.matmul]


def _is_lowered(owner: Any) -> bool:
    return getattr(owner, "fp32_precision", "none") not in ("none", "ieee")


def _set(
    undo: ExitStack, get: Callable[[], Any], set_: Callable[[Any], object], wanted: Any
) -> None:
    """Set what is not as wanted, and note how to put it back."""
    found = get()
    if found != wanted:
        undo.callback(set_, found)
        set_(wanted)


def _put_back_later(undo: ExitStack) -> None:
    """Note how to put back what is set until then; what is not stays untouched."""
    for get, set_ in (
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.get_num_threads, torch.set_num_threads),
        (_is_flushing, torch.set_flush_denormal),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (_determinism, _set_determinism),
        (lambda: list(warnings.filters), _set_filters),
    ):
        undo.callback(_put_back, get, set_, get())


def _put_back(get: Callable[[], Any], set_: Callable[[Any], object], before: Any) -> None:
    if get() != before:
        set_(before)


def _set_filters(filters: list[Any]) -> None:
    warnings.resetwarnings()  # so that Python looks at them anew
    warnings.filters[:] = filters  # type: ignore[index]


def _set_attribute(undo: ExitStack, owner: Any, name: str, wanted: Any) -> None:
    _set(
        undo,
        lambda: getattr(owner, name),
        lambda value: setattr(owner, name, value),
        wanted,
    )
