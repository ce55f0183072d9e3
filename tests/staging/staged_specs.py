"""Experiments on real digits that are small enough to be run look by look."""

from typing import Any

LOOKS = [2, 3, 4]


def spec(**changes: object) -> dict[str, Any]:
    """Hardly pruned and hardly trained: nothing is decided, however often it is looked at."""
    return {
        "name": "open",
        "data": {"name": "digits"},
        "model": {"name": "LeNet300", "hidden": [8, 8]},
        "train": {"lr": 0.1, "batch_size": 64, "duration": "10it"},
        "prune": {"rate": 0.05, "levels": 1},
        "arms": ["ticket", "reinit"],
        "margin": 1,
        "until_decided": {"looks": LOOKS},
        **changes,
    }


def winning(**changes: object) -> dict[str, Any]:
    """Trained so shortly that the initial values of a net that was trained before are all."""
    return spec(
        name="wins",
        model={"name": "LeNet300", "hidden": [20, 10]},
        train={"lr": 0.1, "momentum": 0.9, "batch_size": 64, "duration": "2ep"},
        prune={"rate": 0.4, "levels": 2},
        until_decided={"looks": [5, 8]},
        **changes,
    )
