"""One record for the published pipelines: when masks change, and where each training starts."""

from dataclasses import dataclass
from typing import Literal

from lottery_ticket.errors import UsageError
from lottery_ticket.registry import Registry

__all__ = ["PIPELINES", "Pipeline"]

Point = Literal["start", "rewind", "end"]
"""Step 0, the rewind step k, or the end of the training before."""

_POINTS = ("start", "rewind", "end")
_CHOICES = {
    "masks_change": ("never", "between"),
    "prune_at": ("start", "end"),
    "weights_from": _POINTS,
    "lr_from": _POINTS,
    "optimizer_state": ("fresh", "rewind", "kept"),
}


@dataclass(frozen=True)
class Pipeline:
    """How the trainings of a search follow each other.

    Args:
        masks_change: `"never"` (made before any training) or `"between"` levels.
        prune_at: whose weights are scored: those at the `"start"` or at the `"end"` of a training.
        weights_from: where a pruned training takes its weights from: θ₀ (`"start"`), θ_k
            (`"rewind"`) or the trained weights (`"end"`).
        lr_from: the position in the learning-rate schedule at which it starts.
        optimizer_state: `"fresh"`, as at the `"rewind"` step, or `"kept"` from the training before.

    Raises:
        UsageError: a field has a value other than these.

    >>> PIPELINES["rewind"].weights_from
    'rewind'

    Source: the space is that of Renda et al. 2020 (table 1), with pruning at initialisation added.
    """

    masks_change: Literal["never", "between"]
    prune_at: Literal["start", "end"]
    weights_from: Point
    lr_from: Point
    optimizer_state: Literal["fresh", "rewind", "kept"]

    def __post_init__(self) -> None:
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                got, wanted = getattr(self, field), ", ".join(choices)
                raise UsageError(f"pipeline: {field} is {got!r}; valid: {wanted}")

    def first_step(self, *, rewind: int, end: int) -> int:
        """The position in the learning-rate schedule at which a pruned training starts.

        Args:
            rewind: k, optimiser steps.
            end: where the dense training ended.

        >>> PIPELINES["finetune"].first_step(rewind=0, end=500)
        500
        """
        return {"start": 0, "rewind": rewind, "end": end}[self.lr_from]

    @property
    def has_rewind_step(self) -> bool:
        """Whether a rewind step k plays a part."""
        return "rewind" in (self.weights_from, self.lr_from, self.optimizer_state)


PIPELINES: Registry[Pipeline] = Registry("pipeline")
"""`lth`, `rewind`, `lr_rewind`, `finetune` and `at_init`."""

for _name, _pipeline in {
    # Frankle & Carbin 2019
    "lth": Pipeline("between", "end", "start", "start", "fresh"),
    # Frankle et al. 2020: weights, learning rate and optimiser state of step k
    "rewind": Pipeline("between", "end", "rewind", "rewind", "rewind"),
    # Renda et al. 2020: trained weights, the whole schedule again
    "lr_rewind": Pipeline("between", "end", "end", "start", "fresh"),
    # Han et al. 2015: train on at the last learning rate
    "finetune": Pipeline("between", "end", "end", "end", "kept"),
    # SNIP, GraSP, SynFlow: one mask from the initial weights
    "at_init": Pipeline("never", "start", "start", "start", "fresh"),
}.items():
    PIPELINES.register(_name)(_pipeline)
