"""Policies that train a score for each weight, and no weight: supermasks and edge-popup."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

import numpy as np
import torch

from lottery_ticket.errors import TrainingError, UsageError, nearest
from lottery_ticket.masks import Budget, MaskPolicy, Moment, PruningMask, select
from lottery_ticket.pruning._policies import POLICIES, PolicyKind, Target

__all__ = ["EdgePopup", "Sampled", "ScorePolicy", "Supermask"]

Tensors = Mapping[str, torch.Tensor]

VALUES = ("signed_constant", "initial")
"""What weights are fixed at."""

SCHEDULES = ("cosine", "recipe")
"""How the learning rate of scores goes."""

_MOST_SHIFT = 1.0  # of all scores in one step
_LEAST_SLOPE = 1e-6  # as a share of the weights: below, no score would tell


class Sampled(NamedTuple):
    """A mask of one step, and what its scores are told of it.

    Args:
        mask: what is kept in the step, bool by name.
        slope: of each weight, what stands for the derivative of its mask by its score, which has
            none: ∂L/∂s = ∂L/∂w̃ · w · slope, of w̃ = w · mask.
    """

    mask: Tensors
    slope: Tensors


class ScorePolicy(MaskPolicy):
    """A way to train a mask over weights that never change; override all that is abstract.

    It remembers nothing but scores, which an optimiser trains. `MaskScores` puts one to work.

    Args:
        keep: weights at the end, of all layers together or of each.
        lr: learning rate of the scores, in place of the recipe's.
    """

    keep: Budget
    lr: float

    def rate(self, step: int, total_steps: int, recipe: float) -> float:
        """The learning rate of the update that follows a step.

        Args:
            step: optimiser steps done, of `total_steps`.
            recipe: what the recipe's own is multiplied by then.
        """
        return self.lr * recipe

    @abstractmethod
    def fixed(self, weights: Tensors) -> Tensors:
        """What the weights are fixed at, from those that the model starts with."""

    @abstractmethod
    def initial(self, weights: Tensors, generator: torch.Generator) -> Tensors:
        """The scores at the start, of the shapes of the fixed weights."""

    @abstractmethod
    def sampled(self, scores: Tensors, generator: torch.Generator) -> Sampled:
        """The mask of one step of training; it may shift scores in place."""

    @abstractmethod
    def kept(self, scores: Tensors) -> PruningMask:
        """The mask that scores stand for, of exactly as many weights as `keep` says."""

    def next_mask(self, moment: Moment) -> NoReturn:
        """Says that no mask is to be had of weights alone."""
        name = type(self).__name__
        raise TrainingError(
            f"{name} trains scores, not weights: use MaskScores(model, {name}(…)) and an "
            "optimizer over its parameters(), not attach(policy=…)"
        )


@dataclass(frozen=True)
class Supermask(ScorePolicy):
    """Keeps each weight with a probability that is trained: σ(s) of its score s.

    In each step of training every weight is kept or not by chance, as many as `keep` says on
    average, and the gradient goes straight through the draw:

        m ~ Bernoulli(σ(s)),   ∂L/∂s = ∂L/∂w̃ · w · σ(s) (1 − σ(s))

    In the end the weights of the highest scores are kept, exactly as many. So that this is the
    mask that was trained, all scores are shifted by one number before each draw, such that
    Σ σ(s) = `keep` (one step of Newton's): what the constraint of ProbMask is for logits.

    Args:
        keep: weights, of all layers together or of each.
        values: what weights are fixed at: `"signed_constant"`, the standard deviation of their
            layer with the sign of θ₀; or `"initial"`, θ₀.
        rescale: whether they are √(weights / kept ones) times as large, so that outputs are of
            the size that they have in the dense net.
        lr: learning rate of the scores.
        schedule: `"cosine"`, which falls to 0 at the end, or `"recipe"`.

    Source: Zhou et al. 2019, whose masks have the density that training gives them, and who scale
    by weights / kept ones in each step ("dynamic weight rescaling"); the constraint, Zhou X. et
    al. 2021 (ProbMask).
    """

    keep: Budget
    values: str = "signed_constant"
    rescale: bool = True
    lr: float = 300.0
    schedule: str = "cosine"

    def __post_init__(self) -> None:
        _check_options(self)

    def rate(self, step: int, total_steps: int, recipe: float) -> float:
        """By its own schedule, or by the recipe's."""
        return self.lr * (recipe if self.schedule == "recipe" else _cosine(step, total_steps))

    def fixed(self, weights: Tensors) -> Tensors:
        """θ₀ or constants of its signs."""
        return _fixed(self, weights)

    def initial(self, weights: Tensors, generator: torch.Generator) -> Tensors:
        """Such that each is kept with the same probability."""
        density = _densities(self.keep, {name: w.numel() for name, w in weights.items()})
        return {name: torch.full_like(w, _logit(density[name])) for name, w in weights.items()}

    def sampled(self, scores: Tensors, generator: torch.Generator) -> Sampled:
        """By chance, as many as are to be kept on average."""
        for names, count in _groups(self.keep, scores):
            _shift_([scores[name] for name in names], count)
        chance = {name: score.sigmoid() for name, score in scores.items()}
        mask = {
            name: torch.rand(p.shape, generator=generator, device=p.device) < p
            for name, p in chance.items()
        }
        return Sampled(mask, {name: p - p * p for name, p in chance.items()})

    def kept(self, scores: Tensors) -> PruningMask:
        """Those most likely to be kept."""
        return _highest(scores, self.keep)


@dataclass(frozen=True)
class EdgePopup(ScorePolicy):
    """Keeps the weights of the largest |scores| in each step, exactly as many as `keep` says.

    The gradient goes straight through the choice, to pruned weights too, which come back so:

        m = 1 for the k largest |s|,   ∂L/∂s = ∂L/∂w̃ · w · sign(s)

    Args:
        keep, values, rescale: as of `Supermask`.
        lr: learning rate of the scores.
        schedule: `"cosine"`, which falls to 0 at the end, or `"recipe"`.

    Source: Ramanujan et al. 2020, who keep the same share of each layer (scope layerwise), and
    scale Kaiming's constant by √(weights / kept ones).
    """

    keep: Budget
    values: str = "signed_constant"
    rescale: bool = True
    lr: float = 0.1
    schedule: str = "cosine"

    def __post_init__(self) -> None:
        _check_options(self)

    def rate(self, step: int, total_steps: int, recipe: float) -> float:
        """By its own schedule, or by the recipe's."""
        return self.lr * (recipe if self.schedule == "recipe" else _cosine(step, total_steps))

    def fixed(self, weights: Tensors) -> Tensors:
        """θ₀ or constants of its signs."""
        return _fixed(self, weights)

    def initial(self, weights: Tensors, generator: torch.Generator) -> Tensors:
        """Uniform within ±1/√n of the n inputs of an output, Kaiming's with a = √5."""
        return {name: _uniform(weight, generator) for name, weight in weights.items()}

    def sampled(self, scores: Tensors, generator: torch.Generator) -> Sampled:
        """Nothing is drawn: the same as at the end."""
        return Sampled(self.kept(scores), {name: score.sign() for name, score in scores.items()})

    def kept(self, scores: Tensors) -> PruningMask:
        """Those of the largest |scores|."""
        return _highest({name: score.abs() for name, score in scores.items()}, self.keep)


def _check_options(policy: Supermask | EdgePopup) -> None:
    for name, valid in (("values", VALUES), ("schedule", SCHEDULES)):
        got = getattr(policy, name)
        if got not in valid:
            raise UsageError(f"{name}: got {got!r}{nearest(str(got), valid)}")
    if not isinstance(policy.rescale, bool):
        raise UsageError(f"rescale: got {policy.rescale!r}, wanted true or false")
    lr = policy.lr
    if not (isinstance(lr, (int, float)) and math.isfinite(lr) and lr > 0):
        raise UsageError(f"lr: got {lr!r}, wanted a number above 0")


def _cosine(step: int, total_steps: int) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * step / total_steps))


def _groups(keep: Budget, scores: Tensors) -> Iterator[tuple[list[str], int]]:
    """The layers that compete with one another, and how many of their weights are kept."""
    if keep.per_layer is None:
        yield list(scores), keep.total
        return
    for name, count in keep.per_layer:
        yield [name], count


def _densities(keep: Budget, sizes: Mapping[str, int]) -> dict[str, float]:
    """The share of each layer that is kept, as far as it is known beforehand."""
    if keep.per_layer is None:
        return dict.fromkeys(sizes, keep.total / sum(sizes.values()))
    return {name: count / sizes[name] for name, count in keep.per_layer}


def _highest(scores: Tensors, keep: Budget) -> PruningMask:
    """The highest scores, exactly as many as asked for; on a tie the lower index.

    What `select` says, where it can be had quicker: it is asked for in each step.

    Raises:
        TrainingError: a score is NaN.
    """
    chosen: dict[str, torch.Tensor] = {}
    for names, count in _groups(keep, scores):
        flat = torch.cat([scores[name].detach().flatten() for name in names])
        if torch.isnan(flat).any():
            raise TrainingError("scores became NaN; try a lower learning rate of the policy, lr")
        kept = _highest_of(flat, count)
        sizes = [scores[name].numel() for name in names]
        for name, part in zip(names, kept.split(sizes), strict=True):
            chosen[name] = part.view(scores[name].shape)
    return PruningMask.from_tensors({name: chosen[name] for name in scores})


def _highest_of(flat: torch.Tensor, count: int) -> torch.Tensor:
    """The so many highest of numbers that are all there."""
    if flat.device.type == "cpu" and flat.dtype in (torch.float32, torch.float64) and count:
        values = flat.numpy()
        least = float(np.partition(values, len(values) - count)[len(values) - count])
        kept = flat >= least
        if int(kept.sum()) == count:  # no tie across the border
            return kept
    every = PruningMask.from_tensors({"": torch.ones_like(flat, dtype=torch.bool)})
    return select({"": flat}, every, Budget(count))[""]


def _fixed(policy: Supermask | EdgePopup, weights: Tensors) -> Tensors:
    share = _densities(policy.keep, {name: w.numel() for name, w in weights.items()})
    fixed = {}
    for name, weight in weights.items():
        scale = 1 / math.sqrt(share[name]) if policy.rescale and share[name] else 1.0
        if policy.values == "initial":
            fixed[name] = weight * scale
        else:
            size = weight.double().std(correction=0) * scale
            fixed[name] = torch.copysign(size.to(weight), weight)
    return fixed


def _uniform(weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    bound = 1 / math.sqrt(max(weight.numel() // max(len(weight), 1), 1))
    noise = torch.rand(weight.shape, generator=generator, device=generator.device)
    return noise.mul_(2 * bound).sub_(bound).to(weight)


def _logit(share: float) -> float:
    share = min(max(share, _LEAST_SLOPE), 1 - _LEAST_SLOPE)
    return math.log(share / (1 - share))


def _shift_(scores: list[torch.Tensor], count: int) -> None:
    """Bring the number of weights that are kept on average to a count, by a step of Newton's."""
    chances = [score.sigmoid() for score in scores]
    total = torch.stack([chance.sum() for chance in chances]).sum()
    slope = total - torch.stack([chance.square().sum() for chance in chances]).sum()
    least = _LEAST_SLOPE * sum(map(torch.numel, scores))
    shift = ((total - count) / slope.clamp(min=least)).clamp(-_MOST_SHIFT, _MOST_SHIFT)
    for score in scores:
        score.sub_(shift)


def supermask(
    target: Target,
    *,
    values: str = "signed_constant",
    rescale: bool = True,
    lr: float = Supermask.lr,
    schedule: str = Supermask.schedule,
) -> Supermask:
    """Masks that are drawn by trained chances, over weights that never change.

    Args:
        target: how many weights are kept.
        values: what weights are fixed at: `"signed_constant"` or `"initial"`.
        rescale: whether they are √(weights / kept ones) times as large.
        lr: learning rate of the scores, in place of the recipe's.
        schedule: `"cosine"`, which falls to 0 at the end, or `"recipe"`.
    """
    return Supermask(target.keep, values, rescale, lr, schedule)


def edge_popup(
    target: Target,
    *,
    values: str = "signed_constant",
    rescale: bool = True,
    lr: float = EdgePopup.lr,
    schedule: str = EdgePopup.schedule,
) -> EdgePopup:
    """The largest trained scores are kept in each step, over weights that never change.

    Args:
        target, values, rescale, lr, schedule: as of supermask.
    """
    return EdgePopup(target.keep, values, rescale, lr, schedule)


POLICIES.add("supermask", PolicyKind(supermask, uses_criterion=False, trains_scores=True))
POLICIES.add("edge_popup", PolicyKind(edge_popup, uses_criterion=False, trains_scores=True))
