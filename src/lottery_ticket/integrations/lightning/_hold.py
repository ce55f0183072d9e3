"""A mask, or a policy that moves it, held in one fit."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from lottery_ticket.criteria import CriterionLike, as_criterion
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.finder import FitStart
from lottery_ticket.masks import SCOPES, Attachment, MaskPolicy, PruningMask, budget, exact
from lottery_ticket.pruning import Gradual, Polynomial

__all__ = ["Hold"]


@dataclass
class Hold:
    """A mask that holds in one fit, or a policy that moves it.

    Args:
        mask: what is kept; None for all prunable weights.
        policy: what moves it: a schedule of densities, or a policy.
        prunable: `targets`, `ignore` and `min_size`, as in `PruningMask`.
        criterion, scope: how a schedule prunes.
        seed: of what a policy draws.

    Raises:
        UsageError: the policy is none, or its criterion needs more than weights.
    """

    mask: PruningMask | None
    policy: MaskPolicy | Polynomial | None
    prunable: Mapping[str, Any]
    criterion: CriterionLike
    scope: str
    seed: int
    given: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.mask is not None and not isinstance(self.mask, PruningMask):
            raise UsageError(
                f"mask: got a {type(self.mask).__name__}, wanted a PruningMask, such as "
                "prune(model, sparsity=0.9)"
            )
        if not isinstance(self.policy, MaskPolicy | Polynomial | None):
            raise UsageError(
                f"policy: got a {type(self.policy).__name__}, wanted a schedule such as "
                "polynomial(0.9, end_step=1000), or a MaskPolicy"
            )
        if self.mask is not None:
            self.given = hashlib.sha256(self.mask.to_bytes()).hexdigest()
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):
            raise UsageError(f"seed: got {self.seed!r}, wanted a whole number")
        if self.scope not in SCOPES:
            raise UsageError(f"scope: got {self.scope!r}{nearest(str(self.scope), SCOPES)}")
        wanting = as_criterion(self.criterion).needs - {"weights", "mask", "generator"}
        if isinstance(self.policy, Polynomial) and wanting:
            raise UsageError(
                f"criterion {as_criterion(self.criterion).name!r} needs "
                f"{' and '.join(sorted(wanting))}; a policy prunes by weights alone"
            )

    def begin(self, model: nn.Module, *, is_continued: bool) -> FitStart:
        """The mask, and the policy for a model of this size."""
        mask = PruningMask(model, **self.prunable) if self.mask is None else self.mask
        return FitStart(mask, policy=self._policy(mask), seed=self.seed)

    def finish(self, model: nn.Module, attached: Attachment, seconds: float) -> None:
        """The mask as it is then is held in the next fit."""
        self.mask = attached.mask

    def note_metrics(self, metrics: Mapping[str, Any]) -> None:
        """They decide nothing."""

    def state_dict(self) -> dict[str, Any]:
        """What of it the attachment does not say."""
        return {"held": {"mask": self.given, "policy": self._described_policy()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises `UsageError` for the state of a search, or of another mask or policy."""
        if state and "held" not in state:
            raise UsageError(
                "checkpoint: it is of a search over several fits, and this callback holds a mask "
                "in one: leave out mask= and policy=, or choose another checkpoint"
            )

        now = self.state_dict()["held"]
        for name, there in state.get("held", {}).items():
            if there != now[name]:
                raise UsageError(
                    f"checkpoint: it was trained under another {name}{_told(there, now[name])}; "
                    "pass that, or choose another checkpoint"
                )

    def _described_policy(self) -> str | None:
        policy = self.policy
        if policy is None:
            return None
        if isinstance(policy, Polynomial):
            criterion = as_criterion(self.criterion).name
            return f"{policy!r}, criterion {criterion!r}, scope {self.scope!r}, seed {self.seed}"
        is_told = type(policy).__repr__ is not object.__repr__
        return f"{policy!r}" if is_told else type(policy).__qualname__

    def _policy(self, mask: PruningMask) -> MaskPolicy | None:
        if not isinstance(self.policy, Polynomial):
            return self.policy
        shapes = {name: tuple(kept.shape) for name, kept in mask.items()}
        density = float(1 - exact(self.policy.final_sparsity))
        keep = budget(shapes, scope=self.scope, density=density)
        return Gradual(self.policy, keep, self.criterion, self.scope)


def _told(there: str | None, now: str | None) -> str:
    """Both, where they are words and no digests."""
    words = [each for each in (there, now) if each is not None]
    if any(len(each) == 64 and each.isalnum() for each in words):
        return ""
    return f" ({there}), and this callback has {now}"
