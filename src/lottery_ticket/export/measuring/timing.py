"""Times of several forms, measured in turns, so that what else the machine does meets them all."""

import time
from collections.abc import Mapping

import torch

from lottery_ticket.export._format import Run

__all__ = ["in_turns"]

_TURNS, _WARM_UP = 10, 3
# of a form whose calls take long: so many of them, and so many times the seconds, are enough
_FEWEST_CALLS, _PATIENCE = 3, 3


def in_turns(
    forms: Mapping[str, Run], inputs: torch.Tensor, seconds: float
) -> dict[str, list[float]]:
    """Seconds of every call of every form.

    Args:
        forms: what is timed, by name.
        inputs: a batch.
        seconds: how long each form is timed in all; one whose single calls take long has three at
            least, and may take three times as long.
    """
    times: dict[str, list[float]] = {name: [] for name in forms}
    with torch.inference_mode():
        for run in forms.values():
            started = time.perf_counter()
            for _ in range(_WARM_UP):
                run(inputs)
                if time.perf_counter() - started > seconds:
                    break
        for _ in range(_TURNS):
            for name, run in forms.items():
                is_slow = sum(times[name]) >= _PATIENCE * seconds
                if is_slow and len(times[name]) >= _FEWEST_CALLS:
                    continue
                end = time.perf_counter() + seconds / _TURNS
                while True:
                    started = time.perf_counter()
                    run(inputs)
                    finished = time.perf_counter()
                    times[name].append(finished - started)
                    if finished >= end:
                        break
    return times
