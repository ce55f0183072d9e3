"""Policies that train a score for each weight, and no weight: supermasks and edge-popup."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

import torch

from lottery_ticket.errors import TrainingError, UsageError, nearest
from lottery_ticket.masks import Budget, MaskPolicy, Moment, PruningMask
from lottery_ticket.pruning._kept_by_scores import densities, drawn, groups, highest, shift_to
from lottery_ticket.pruning._policies import POLICIES, PolicyKind, Target

__all__ = ["EdgePopup", "Sampled", "ScorePolicy", "Supermask"]

Tensors = Mapping[str, torch.Tensor]

VALUES = ("signed_constant", "initial")
"""What weights are fixed at."""

SCHEDULES = ("cosine", "recipe")
"""How the learning rate of scores goes."""

_LEAST_CHANCE = 1e-6  # at first, and as far from 1: its score has an end


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

    It remembers nothing but scores, which an optimiser trains. `MaskScores` puts one to work. It
    has `keep`, the weights that it keeps at the end, and `lr`, the scores' learning rate, in place
    of the recipe's.
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
class _OverFixed(ScorePolicy):
    """What both have: what weights are fixed at, and how the scores' learning rate goes."""

    keep: Budget
    values: str = "signed_constant"
    rescale: bool = True
    lr: float = 0.1
    schedule: str = "cosine"

    def __post_init__(self) -> None:
        for name, valid in (("values", VALUES), ("schedule", SCHEDULES)):
            got = getattr(self, name)
            if got not in valid:
                raise UsageError(f"{name}: got {got!r}{nearest(str(got), valid)}")
        if not isinstance(self.rescale, bool):
            raise UsageError(f"rescale: got {self.rescale!r}, wanted true or false")
        lr = self.lr
        if not (isinstance(lr, (int, float)) and math.isfinite(lr) and lr > 0):
            raise UsageError(f"lr: got {lr!r}, wanted a number above 0")

    def rate(self, step: int, total_steps: int, recipe: float) -> float:
        """By its own schedule, or by the recipe's."""
        own = 0.5 * (1.0 + math.cos(math.pi * step / total_steps))
        return self.lr * (recipe if self.schedule == "recipe" else own)

    def fixed(self, weights: Tensors) -> Tensors:
        """θ₀ or constants of its signs."""
        share = densities(self.keep, {name: w.numel() for name, w in weights.items()})
        fixed = {}
        for name, weight in weights.items():
            scale = 1 / math.sqrt(share[name]) if self.rescale and share[name] else 1.0
            if self.values == "initial":
                fixed[name] = weight * scale
            else:
                size = weight.double().std(correction=0) * scale
                fixed[name] = torch.copysign(size.to(weight), weight)
        return fixed


@dataclass(frozen=True)
class Supermask(_OverFixed):
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

    >>> Supermask(Budget(1)).kept({"w": torch.tensor([1.0, -3.0, 2.0])})["w"].tolist()
    [False, False, True]

    Source: Zhou et al. 2019, whose masks have the density that training gives them, and who scale
    by weights / kept ones in each step ("dynamic weight rescaling"); the constraint, Zhou X. et
    al. 2021 (ProbMask).
    """

    lr: float = 300.0

    def initial(self, weights: Tensors, generator: torch.Generator) -> Tensors:
        """Such that each is kept with the same probability."""
        density = densities(self.keep, {name: w.numel() for name, w in weights.items()})
        return {name: torch.full_like(w, _logit(density[name])) for name, w in weights.items()}

    def sampled(self, scores: Tensors, generator: torch.Generator) -> Sampled:
        """By chance, as many as are to be kept on average."""
        chance = {name: score.detach().sigmoid() for name, score in scores.items()}
        for names, count in groups(self.keep, scores):
            shift = shift_to([chance[name] for name in names], count)
            for name in names:
                scores[name].sub_(shift)
                torch.sigmoid(scores[name].detach(), out=chance[name])
        mask = {name: drawn(p, generator) < p for name, p in chance.items()}
        return Sampled(mask, {name: p.addcmul_(p, p, value=-1) for name, p in chance.items()})

    def kept(self, scores: Tensors) -> PruningMask:
        """Those most likely to be kept."""
        return highest(scores, self.keep)


@dataclass(frozen=True)
class EdgePopup(_OverFixed):
    """Keeps the weights of the largest |scores| in each step, exactly as many as `keep` says.

    The gradient goes straight through the choice, to pruned weights too, which come back so:

        m = 1 for the k largest |s|,   ∂L/∂s = ∂L/∂w̃ · w · sign(s)

    Args:
        keep, values, rescale: as of `Supermask`.
        lr: learning rate of the scores.
        schedule: `"cosine"`, which falls to 0 at the end, or `"recipe"`.

    >>> EdgePopup(Budget(2)).kept({"w": torch.tensor([1.0, -3.0, 2.0])})["w"].tolist()
    [False, True, True]

    Source: Ramanujan et al. 2020, who keep the same share of each layer (scope layerwise), and
    scale Kaiming's constant by √(weights / kept ones).
    """

    def initial(self, weights: Tensors, generator: torch.Generator) -> Tensors:
        """Uniform within ±1/√n of the n inputs of an output, Kaiming's with a = √5."""
        return {name: _uniform(weight, generator) for name, weight in weights.items()}

    def sampled(self, scores: Tensors, generator: torch.Generator) -> Sampled:
        """Nothing is drawn: the same as at the end."""
        return Sampled(self.kept(scores), {name: score.sign() for name, score in scores.items()})

    def kept(self, scores: Tensors) -> PruningMask:
        """Those of the largest |scores|."""
        return highest(scores, self.keep, by_size=True)


def _uniform(weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    bound = 1 / math.sqrt(max(weight.numel() // max(len(weight), 1), 1))
    noise = torch.rand(weight.shape, generator=generator, device=generator.device)
    return noise.mul_(2 * bound).sub_(bound).to(weight)


def _logit(share: float) -> float:
    share = min(max(share, _LEAST_CHANCE), 1 - _LEAST_CHANCE)
    return math.log(share / (1 - share))


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
