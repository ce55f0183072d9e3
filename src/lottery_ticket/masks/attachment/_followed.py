"""The optimisers whose steps are counted, each step once."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

__all__ = ["Followed", "FollowedOptimizers"]


@dataclass(frozen=True)
class Followed:
    """An optimiser, and which masked parameters it trains."""

    optimizer: torch.optim.Optimizer
    names: frozenset[str]
    hooks: list[RemovableHandle] = field(default_factory=list)


class FollowedOptimizers:
    """Some optimisers of one model.

    Args:
        on_step: called after each step that was made; not after one that was skipped.
        on_loading: called after one of them has loaded its state.
    """

    def __init__(
        self,
        on_step: Callable[[torch.optim.Optimizer], None],
        on_loading: Callable[[torch.optim.Optimizer], None],
    ) -> None:
        self.all: list[Followed] = []
        self._on_step, self._on_loading = on_step, on_loading
        self._depth = 0

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        """They themselves."""
        return [followed.optimizer for followed in self.all]

    def add(self, optimizer: torch.optim.Optimizer, names: frozenset[str]) -> None:
        """Follow one more."""
        hooks = [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
            optimizer.register_load_state_dict_post_hook(self._on_loading),
        ]
        self.all.append(Followed(optimizer, names, hooks))

    def remove(self, followed: Followed) -> None:
        """Follow one no more."""
        for hook in followed.hooks:
            hook.remove()
        self.all.remove(followed)

    def clear(self) -> None:
        """Follow none."""
        while self.all:
            self.remove(self.all[-1])

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._depth > 0 and _steps_in_progress(set(self.optimizers)) == 1:
            self._depth = 0  # the step before this one raised, and its end was never heard of
        self._depth += 1

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._depth -= 1
        if self._depth > 0:  # the step of a subclass called that of its parent, hooks and all
            return
        skipped = getattr(optimizer, "found_inf", None)  # a fused optimiser under GradScaler
        if skipped is None or not bool(skipped):
            self._on_step(optimizer)


def _steps_in_progress(optimizers: set[torch.optim.Optimizer]) -> int:
    """How many calls of `step`, with torch's hooks, are on the stack."""
    count, frame = 0, inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "wrapper" and "profile_name" in frame.f_code.co_varnames:
            count += frame.f_locals.get("self") in optimizers
        frame = frame.f_back
    return count
