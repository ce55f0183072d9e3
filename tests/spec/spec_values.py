"""A small spec as plain values, and a way to change some of them."""

import copy
from typing import Any

PLAIN: dict[str, Any] = {
    "name": "plain",
    "data": {"name": "digits"},
    "model": {"name": "LeNet300"},
    "train": {"lr": 0.1, "batch_size": 64, "duration": "2ep"},
    "prune": {"rate": 0.4, "levels": 2},
}


def changed(**changes: Any) -> dict[str, Any]:
    """PLAIN with some keys replaced: `changed(train__lr=0.5)`."""
    values = copy.deepcopy(PLAIN)
    for path, value in changes.items():
        *parents, last = path.split("__")
        inner = values
        for part in parents:
            inner = inner[part]
        inner[last] = value
    return values
