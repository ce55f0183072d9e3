"""Masks that are sparse from the first step on, and move: SET, RigL; and one that stays."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Budget, MaskPolicy, Moment, PruningMask, layer_counts, select
from lottery_ticket.pruning._policies import POLICIES, PolicyKind, Target

__all__ = ["Evolving", "StaticSparse"]

_SHARE = 0.75  # of a training: the mask rests for the last quarter
_EVERY = 100  # steps at most between two updates, as Evci et al. have it
_UPDATES = 20  # at least, where a training is short
_DROP = 0.3


@dataclass(frozen=True)
class StaticSparse(MaskPolicy):
    """A random mask of exact counts from the first step on, which stays.

    Args:
        keep: how many weights, of all layers together or of each.
        first_step: at which the training starts.
        distribution: how a count of all layers together is shared out: `"erk"` or `"uniform"`.

    Source: the control "static" of Evci et al. 2020; ERK, Mocanu et al. 2018.
    """

    keep: Budget
    first_step: int
    distribution: str = "erk"

    def is_due(self, step: int) -> bool:
        """At the start alone."""
        return step == self.first_step

    def next_mask(self, moment: Moment) -> Mapping[str, torch.Tensor] | None:
        """Drawn at random."""
        return self._drawn(moment)

    def _drawn(self, moment: Moment) -> PruningMask:
        noise = {
            name: torch.rand(weight.shape, generator=moment.generator).to(weight.device)
            for name, weight in moment.weights.items()
        }
        return select(noise, moment.mask, self._counts(moment.weights))

    def _counts(self, weights: Mapping[str, torch.Tensor]) -> Budget:
        if self.keep.per_layer is not None:
            return self.keep
        shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        return layer_counts(shapes, self.keep.total, self.distribution)


@dataclass(frozen=True)
class Evolving(StaticSparse):
    """Drops the smallest weights of each layer now and then, and grows as many elsewhere in it.

    At step t of an update each layer drops f(t) of its n weights, floored, the smallest by |w|:

        f(t) = α / 2 · (1 + cos(π t / T_end))

    and grows as many among all that are not kept then, those just dropped among them: at random
    (SET), or those of the largest |gradient| (RigL). A weight that is grown starts at zero without
    a memory in the optimiser; one that is dropped and grown at once stays as it was.

    Args:
        keep, first_step, distribution: as of `StaticSparse`.
        every_steps: between two updates.
        end_step: T_end, from which on the mask rests.
        drop_fraction: α.
        grow: `"random"` or `"gradient"`.

    Source: Mocanu et al. 2018 (SET), there with a fixed fraction; Evci et al. 2020 (RigL), whose
    code leaves out the optimiser's step at an update, which is made here.
    """

    every_steps: int = _EVERY
    end_step: int = 0
    drop_fraction: float = _DROP
    grow: str = "random"

    def is_due(self, step: int) -> bool:
        """At the start, and every so many steps until it rests."""
        since = step - self.first_step
        return since == 0 or (step < self.end_step and since % self.every_steps == 0)

    def wants_gradients(self, step: int) -> bool:
        """Of the steps after which it grows by them."""
        return self.grow == "gradient" and step > self.first_step and self.is_due(step)

    def next_mask(self, moment: Moment) -> Mapping[str, torch.Tensor] | None:
        """As many weights of each layer as before."""
        if moment.step == self.first_step:
            return self._drawn(moment)
        kept = {name: int(layer.sum()) for name, layer in moment.mask.items()}
        left = {name: count - self.num_dropped(moment.step, count) for name, count in kept.items()}
        sizes = {name: weight.abs() for name, weight in moment.weights.items()}
        survivors = select(sizes, moment.mask, _budget(left))
        free = PruningMask.from_tensors({name: ~layer for name, layer in survivors.items()})
        more = {name: count - left[name] for name, count in kept.items()}
        grown = select(self._growth(moment), free, _budget(more))
        return {name: layer | grown[name] for name, layer in survivors.items()}

    def num_dropped(self, step: int, count: int) -> int:
        """How many of so many weights of a layer are dropped at a step."""
        cosine = math.cos(math.pi * step / self.end_step)
        return int(self.drop_fraction / 2 * (1 + cosine) * count)

    def _growth(self, moment: Moment) -> dict[str, torch.Tensor]:
        """A score for each weight: where the largest are, weights grow."""
        if self.grow == "random":
            return {
                name: torch.rand(weight.shape, generator=moment.generator).to(weight.device)
                for name, weight in moment.weights.items()
            }
        assert moment.gradients is not None
        return {name: moment.gradients[name].abs() for name in moment.weights}


def _budget(counts: Mapping[str, int]) -> Budget:
    return Budget(sum(counts.values()), tuple(counts.items()))


def static(target: Target, *, distribution: str = "erk") -> StaticSparse:
    """A random mask from the first step on, which stays.

    Args:
        target: how many weights are kept, and from which step on.
        distribution: `"erk"` or `"uniform"`, where the counts are of all layers together.
    """
    layer_counts({}, 0, distribution)  # says what is none
    return StaticSparse(target.keep, target.first_step, distribution)


def _evolving(
    target: Target,
    grow: str,
    distribution: str,
    every_steps: int | None,
    end_step: int | None,
    drop_fraction: float,
) -> Evolving:
    layer_counts({}, 0, distribution)  # says what is none
    if end_step is None:
        end_step = max(target.first_step + 1, int(_SHARE * target.last_step))
    if every_steps is None:
        every_steps = max(1, min(_EVERY, (end_step - target.first_step) // _UPDATES))
    target.check_step("end_step", end_step)
    if every_steps < 1:
        raise UsageError(f"every_steps: got {every_steps}, wanted 1 or more")
    if not 0 < drop_fraction < 1:
        raise UsageError(f"drop_fraction: got {drop_fraction}, wanted a fraction between 0 and 1")
    return Evolving(
        target.keep, target.first_step, distribution, every_steps, end_step, drop_fraction, grow
    )


def sparse_evolution(
    target: Target,
    *,
    distribution: str = "erk",
    every_steps: int | None = None,
    end_step: int | None = None,
    drop_fraction: float = _DROP,
) -> Evolving:
    """SET: the smallest weights are dropped now and then, and as many grow at random.

    Args:
        target: how many weights are kept, and how long the training is.
        distribution: `"erk"` or `"uniform"`, where the counts are of all layers together.
        every_steps: between two updates; by default 100, or fewer where the training is short.
        end_step: from which on the mask rests; by default three quarters of the training.
        drop_fraction: α, the share that is dropped at first; it falls to 0 as a cosine does.
    """
    return _evolving(target, "random", distribution, every_steps, end_step, drop_fraction)


def rigged_lottery(
    target: Target,
    *,
    distribution: str = "erk",
    every_steps: int | None = None,
    end_step: int | None = None,
    drop_fraction: float = _DROP,
) -> Evolving:
    """RigL: as SET, but weights grow where the dense gradient is largest.

    Args:
        target, distribution, every_steps, end_step, drop_fraction: as of SET.
    """
    return _evolving(target, "gradient", distribution, every_steps, end_step, drop_fraction)


POLICIES.add("set", PolicyKind(sparse_evolution, uses_criterion=False))
POLICIES.add("rigl", PolicyKind(rigged_lottery, uses_criterion=False))
POLICIES.add("static", PolicyKind(static, uses_criterion=False))
