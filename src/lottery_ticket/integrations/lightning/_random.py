"""The process's random state, as a checkpoint has it: tensors and plain values alone."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

__all__ = ["random_state", "set_random_state"]


def random_state() -> dict[str, Any]:
    """That of torch (on every device), NumPy and Python."""
    kind, key, *numbers = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": list(torch.cuda.get_rng_state_all()) if torch.cuda.is_available() else [],
        "numpy": (kind, torch.from_numpy(np.asarray(key).astype(np.int64)), *numbers),
        "python": random.getstate(),
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """What `random_state` saved; of devices that are not here nothing is set."""
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda"]])
    kind, key, *numbers = state["numpy"]
    np.random.set_state((kind, key.cpu().numpy().astype(np.uint32), *numbers))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
