"""All that a process has but once, as plain values."""

import logging
import multiprocessing
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def global_state() -> dict[str, Any]:
    return {
        "torch generator": torch.get_rng_state().numpy().tobytes(),
        "numpy generator": str(np.random.get_state()),
        "python generator": random.getstate(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads": torch.get_num_threads(),
        "flushes denormals": sys.float_info.min / 2 == 0,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "float32 products": _asked(torch.get_float32_matmul_precision),
        "float32 of oneDNN": _asked(lambda: torch.backends.mkldnn.matmul.fp32_precision),
        "mkldnn": torch.backends.mkldnn.enabled,
        "cudnn": (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark),
        "tf32": _asked(lambda: torch.backends.cudnn.allow_tf32),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "numpy errors": np.geterr(),
        "warning filters": list(warnings.filters),
        "showwarning": warnings.showwarning,
        "logging": (logging.root.manager.disable, list(logging.root.handlers)),
        "where modules are looked for": list(sys.path),
        "start of processes": multiprocessing.get_start_method(allow_none=True),
        "folder": os.getcwd(),  # noqa: PTH109
        "environment": dict(os.environ),
        "signal handlers": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "excepthook": sys.excepthook,
        "recursion": sys.getrecursionlimit(),
    }


def _asked(get: Callable[[], Any]) -> Any:
    try:
        return get()
    except (RuntimeError, AttributeError) as error:  # set in two ways, or not in this version
        return type(error)


def changed(before: dict[str, Any]) -> list[str]:
    """The names of what is not as it was."""
    return [name for name, value in global_state().items() if value != before[name]]
