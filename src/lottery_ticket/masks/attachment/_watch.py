"""Before and after each step of any torch optimiser: what is to look at it."""

import threading
from typing import Any, Protocol

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.hooks import RemovableHandle

__all__ = ["Watcher", "forget", "unwatch", "watch"]


class Watcher(Protocol):
    """What is told of steps."""

    def before_step(self, optimizer: torch.optim.Optimizer) -> None: ...
    def after_any_step(self, optimizer: torch.optim.Optimizer) -> None: ...


_watched: dict[int, Watcher] = {}
_lock = threading.RLock()  # of the two, which steps in other threads read
_handles: list[RemovableHandle] = []


def watch(held: Watcher) -> None:
    """Tell it of each step from now on."""
    with _lock:
        _watched[id(held)] = held
        if not _handles:
            _handles.append(register_optimizer_step_pre_hook(_before_any_step))
            _handles.append(register_optimizer_step_post_hook(_after_any_step))


def unwatch(held: Watcher) -> None:
    """Tell it of no more steps."""
    with _lock:
        _watched.pop(id(held), None)
        if not _watched:
            while _handles:
                _handles.pop().remove()


def forget(key: int) -> None:
    """`unwatch` by id, and without a look at the hooks: torch may be going through them."""
    _watched.pop(key, None)


def _before_any_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    with _lock:
        watched = list(_watched.values())
    for held in watched:
        held.before_step(optimizer)


def _after_any_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    with _lock:
        watched = list(_watched.values())
    for held in watched:
        held.after_any_step(optimizer)
