"""Early-bird tickets: a dense training is pruned as soon as its mask has settled."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from lottery_ticket.criteria import CriterionLike
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Budget, MaskPolicy, Moment, PruningMask
from lottery_ticket.pruning._level import next_mask
from lottery_ticket.pruning._policies import POLICIES, PolicyKind, Target

__all__ = ["EarlyBird"]

_LOOKS = 20  # in a training
_SHARE = 0.75  # of a training: pruned then at the latest
_WINDOW = 5
_DISTANCE = 0.1
_OF = ("kept", "all")


@dataclass(frozen=True)
class EarlyBird(MaskPolicy):
    """Trains the dense net until the mask that pruning now would give has settled; then prunes.

    Now and then it draws the mask that pruning now would give. It has settled when it is nearer
    than `distance` to each of the last `window` ones. The distance of two masks A and B of k of n
    weights is the share that only one of them has,

        d(A, B) = |A \\ B| / k        (of="kept")
        d(A, B) = 2 |A \\ B| / n      (of="all")

    The second is that of the paper, which prunes channels, 30 to 70 % of them. At 1 % of the
    weights it is below .02 for any two masks, so the first is the default.

    It remembers the last masks, and then two numbers: `pruned_step`, and `has_settled`,
    which is false where it was pruned at `end_step` for want of time.

    Args:
        keep: how many weights are left, of all layers together or of each.
        first_step: at which the training starts.
        end_step: at which it is pruned at the latest.
        every_steps: between two looks.
        criterion, scope: as in `next_mask`; of weights alone.
        window, distance, of: when a mask has settled.

    Source: You et al. 2020, for single weights in place of channels.
    """

    keep: Budget
    first_step: int
    end_step: int
    every_steps: int
    criterion: CriterionLike = "magnitude"
    scope: str = "global"
    window: int = _WINDOW
    distance: float = _DISTANCE
    of: str = "kept"

    def is_due(self, step: int) -> bool:
        """Every so many steps until the latest one."""
        since = step - self.first_step
        is_look = since > 0 and since % self.every_steps == 0 and step < self.end_step
        return is_look or step == self.end_step

    def remember(self, moment: Moment) -> Mapping[str, torch.Tensor]:
        """The last masks, the newest first; once it is pruned, when that was."""
        if "pruned_step" in moment.memory:
            return {name: moment.memory[name] for name in ("pruned_step", "has_settled")}
        newest = next_mask(
            self.criterion, moment.mask, self.keep, scope=self.scope, weights=moment.weights,
            generator=moment.generator,
        )  # fmt: skip
        before = _masks(moment.memory, moment.mask)
        has_settled = len(before) == self.window and all(
            self._distance(newest, other) < self.distance for other in before
        )
        if not has_settled and moment.step < self.end_step:
            return _by_age([newest, *before[: self.window - 1]])
        return {
            **_by_age([newest]),
            "pruned_step": torch.tensor(moment.step),
            "has_settled": torch.tensor(has_settled),
        }

    def next_mask(self, moment: Moment) -> Mapping[str, torch.Tensor] | None:
        """The one that has settled, at the step at which it has."""
        if moment.memory.get("pruned_step") != moment.step:
            return None
        (settled,) = _masks(moment.memory, moment.mask)
        return settled

    def _distance(self, one: PruningMask, other: PruningMask) -> float:
        apart = sum(int((kept & ~other[name]).sum()) for name, kept in one.items())
        if self.of == "all":
            return 2 * apart / one.num_prunable
        return apart / max(one.num_kept, 1)


def _by_age(masks: list[PruningMask]) -> dict[str, torch.Tensor]:
    return {f"{age}/{name}": kept for age, mask in enumerate(masks) for name, kept in mask.items()}


def _masks(memory: Mapping[str, torch.Tensor], like: PruningMask) -> list[PruningMask]:
    """Those that are remembered, the newest first."""
    found = []
    while all(f"{len(found)}/{name}" in memory for name in like):
        kept = {name: memory[f"{len(found)}/{name}"] for name in like}
        found.append(PruningMask.from_tensors(kept))
    return found


def early_bird(
    target: Target,
    *,
    every_steps: int | None = None,
    end_step: int | None = None,
    window: int = _WINDOW,
    distance: float = _DISTANCE,
    of: str = "kept",
) -> EarlyBird:
    """The dense net is trained until the mask that pruning now would give has settled.

    Args:
        target: how many weights are to be left, and how long the training is.
        every_steps: between two looks; by default a twentieth of the training: an epoch of 20.
        end_step: at which it is pruned at the latest; by default after three quarters.
        window: how many masks in a row must be alike.
        distance: how near each of them must be to the newest, a fraction.
        of: `"kept"`, of the weights that are kept; or `"all"`, as in the paper.

    Source: You et al. 2020.
    """
    length = target.last_step - target.first_step
    if end_step is None:
        end_step = max(target.first_step + 1, target.first_step + int(_SHARE * length))
    if every_steps is None:
        every_steps = max(1, length // _LOOKS)
    target.check_step("end_step", end_step)
    for name, count in (("every_steps", every_steps), ("window", window)):
        if count < 1:
            raise UsageError(f"{name}: got {count}, wanted 1 or more")
    if not 0 < distance <= 1:
        raise UsageError(f"distance: got {distance}, wanted a fraction between 0 and 1")
    if of not in _OF:
        raise UsageError(f"of: got {of!r}, wanted 'kept' or 'all'")
    return EarlyBird(
        target.keep, target.first_step, end_step, every_steps, target.criterion, target.scope,
        window, distance, of,
    )  # fmt: skip


POLICIES.add("early_bird", PolicyKind(early_bird))
