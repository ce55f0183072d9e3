"""How a winning ticket is found, and what it is held against: read this first.

    level 0   θ₀ ─────────── train ──▶ θ_T                        the dense net
                                        │ score, select
                                        ▼
    level 1   θ₀ ── mask ─── train ──▶ θ_T                        rewound: to θ₀, or to θ_k
                                        │ score, select
                                        ▼
    level 2   θ₀ ── mask ─── train ──▶ …

Whether what is left has *won*, only controls can tell: trainings that differ from the ticket's in
one thing, such as other weights under its mask, or another mask over its weights. A row of `ARMS`
says in which.

`Chain` says of each mask and of each training what it is made from. It is told once, and carried
out in two ways. The engine names a cell for each, to be made later and never twice
(`experiment.planning.replicate`). The finder makes each at once, on a live model, with the training
loop of the user (`finder._live`).

Source: Frankle & Carbin 2019; rewinding to θ_k, Frankle et al. 2020; the other pipelines, Renda
et al. 2020.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from lottery_ticket.arms import ARMS, TICKET
from lottery_ticket.pruning import PIPELINES, Pipeline
from lottery_ticket.seeds import derive

__all__ = ["At", "Chain", "Change", "Start"]

Mask = TypeVar("Mask")
Net = TypeVar("Net")


class At(NamedTuple):
    """A place in a chain: an arm, a level (0 is dense), one of several draws."""

    arm: str = TICKET
    level: int = 0
    draw: int = 0


@dataclass(frozen=True)
class Change:
    """How weights that were drawn are changed before a training starts.

    Args:
        how: a name in `lottery_ticket.experiment.objects.initial.WAYS`.
        options: of that way.
    """

    how: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Start(Generic[Mask, Net]):
    """Where a training starts.

    Args:
        mask: what it keeps; None for everything.
        weights: the net whose weights it takes; None for those that a seed draws.
        memory: the net whose optimiser's memory it takes; None for a fresh one.
        step: its place in the schedule of learning rates and in the data.
        change: what is done to weights that a seed draws.
    """

    mask: Mask | None
    weights: Net | None = None
    memory: Net | None = None
    step: int = 0
    change: Change | None = None


class Chain(ABC, Generic[Mask, Net]):
    """The masks and trainings of one replicate, each made when it is first asked for.

    Args:
        root: the seed of all that it draws.
        pipeline: the ticket's.
        rewind_step: k, the step that tickets are rewound to.
        is_once: whether each level is pruned from the dense net, in place of the one before.
        source: the chain that tickets are taken over from.
    """

    def __init__(
        self,
        root: int,
        pipeline: Pipeline,
        *,
        rewind_step: int = 0,
        is_once: bool = False,
        source: "Chain[Mask, Net] | None" = None,
    ) -> None:
        self.root = root
        self.pipeline = pipeline
        self.rewind_step = rewind_step
        self.is_once = is_once
        self.source = source
        self._masks: dict[At, Mask | None] = {}
        self._trainings: dict[At, Net] = {}

    # the story

    def training(self, at: At) -> Net:
        """The training at a place: rewind, mask, train."""
        if at not in self._trainings:
            self._trainings[at] = self.trained(at, self.start(at))
        return self._trainings[at]

    def mask(self, at: At) -> Mask | None:
        """The mask at a place; None where nothing is pruned."""
        if at not in self._masks:
            self._masks[at] = self._mask(at) if at.level else None
        return self._masks[at]

    def _mask(self, at: At) -> Mask | None:
        how = ARMS[at.arm].mask
        if callable(how):
            seed = self.seed("control", at.arm, at.draw, at.level)
            return self.remade(at, self.ticket_mask(at.level), seed)
        match how:
            case "own":  # train → score → select
                before = self.before(at)
                is_at_end = self.pipeline_of(at).prune_at == "end"
                return self.pruned(at, before if is_at_end else None, self.mask(before))
            case "ticket":
                return self.ticket_mask(at.level)
            case "shuffled":
                seed = self.seed("control", "shuffled", at.draw, at.level)
                return self.shuffled(at, self.ticket_mask(at.level), seed)
            case "random":  # one order of all weights for all levels
                return self.drawn(at, self.seed("control", "random", at.draw))
            case "oneshot":
                return self.pruned(at, At(), None)
            case "inverted":
                return self.pruned(at, At(), None, is_inverted=True)
            case "at_init":
                return self.pruned(at, None, None)
            case "source":
                assert self.source is not None
                return self.source.mask(At(level=at.level))
            case "borrowed":
                return self.partner().ticket_mask(at.level)
            case "aligned":
                return self.aligned(at, self.partner())
            case "during":
                return self.moved(at)
            case "moved":
                return self.mask(at._replace(arm=ARMS[at.arm].masks_of))
            case "narrow" | "none":  # a dense net, of fewer weights or trained for longer
                return None
            case _:
                raise ValueError(f"arm {at.arm!r}: no mask is called {how!r}")

    def ticket_mask(self, level: int) -> Mask | None:
        """The mask of the ticket of a level, which others are held against it under."""
        return self.mask(At(level=level))

    def start(self, at: At) -> Start[Mask, Net]:
        """Where the training at a place starts."""
        # one whose mask changes begins dense, and makes its mask itself
        mask = self.mask(at) if ARMS[at.arm].policy is None else None
        if not at.level:
            return Start(mask, change=self.change(at))
        pipeline, arm, source = self.pipeline_of(at), ARMS[at.arm], self.source
        weights = self._net(pipeline.weights_from, at)
        if arm.weights == "source" and source is not None and source.rewind_step:
            weights = source.rewind_point()
        return Start(
            mask,
            weights,
            self._net(pipeline.optimizer_state, at),
            pipeline.first_step(rewind=self.rewind_step, end=self.length(at)),
            self.change(at),
        )

    def _net(self, point: str, at: At) -> Net | None:
        """The net at a point of a pipeline; None for θ₀ and for a fresh optimiser."""
        if point == "rewind":
            return self.rewind_point()
        return self.training(self.before(at)) if point in ("end", "kept") else None

    def before(self, at: At) -> At:
        """Where an arm's own chain comes from."""
        return at._replace(level=0 if self.is_once else at.level - 1)

    def pipeline_of(self, at: At) -> Pipeline:
        """The pipeline of an arm: its own, or the ticket's."""
        name = ARMS[at.arm].pipeline
        return self.pipeline if name is None else PIPELINES[name]

    # what is drawn

    def seed(self, *path: str | int) -> int:
        """The seed of one of its streams of random numbers."""
        return derive(self.root, *path)

    @property
    def init(self) -> int:
        """The seed of θ₀."""
        return self.seed("init")

    def weights_seed(self, at: At) -> int:
        """The seed of the weights at a place, before they are changed."""
        fresh = ("control", "reinit", at.draw)
        return self.seed(*fresh) if ARMS[at.arm].draws_weights else self.init

    def order_seed(self, at: At) -> int:
        """The seed of the order of the data."""
        # by level too, so that a ticket never retrains on the order its mask was found with
        return self.seed("order", at.level)

    def policy_seed(self, at: At) -> int:
        """The seed of what a policy draws."""
        return self.seed("policy", at.arm, at.level, at.draw)

    def change(self, at: At) -> Change | None:
        """How the weights of a place are changed, once they are drawn."""
        how = ARMS[at.arm].weights
        if callable(how):
            seed = self.seed("control", at.arm, at.draw, at.level)
            return Change("arm", {"arm": at.arm, "seed": seed})
        match how:
            case "fresh_signed":
                return Change("signs", {"init": self.init})
            case "fresh_scaled" if at.level:  # a dense net has all its inputs
                return Change("scaled", {})
            case "permuted":
                seed = self.seed("control", "values_permuted", at.draw, at.level)
                return Change("permuted", {"seed": seed})
            case "signed_constant":
                return Change("signed_constant", {})
            case _:  # those that are drawn, or those that a pipeline takes
                return None

    # the steps, which engine and finder carry out in their own ways

    @abstractmethod
    def trained(self, at: At, start: Start[Mask, Net]) -> Net:
        """A net, trained from a start under its mask."""

    @abstractmethod
    def rewind_point(self) -> Net:
        """θ_k: the dense net at the rewind step."""

    @abstractmethod
    def length(self, at: At) -> int:
        """The step at which a training ends that starts at 0."""

    @abstractmethod
    def pruned(
        self, at: At, trained: At | None, mask: Mask | None, *, is_inverted: bool = False
    ) -> Mask:
        """The best of what a mask keeps, or of all weights.

        Args:
            at: where it is for.
            trained: the training whose weights are scored; None for θ₀.
            mask: what is kept so far; None for everything.
            is_inverted: whether the worst are kept.
        """

    @abstractmethod
    def shuffled(self, at: At, mask: Mask | None, seed: int) -> Mask:
        """A mask permuted within its layers."""

    @abstractmethod
    def drawn(self, at: At, seed: int) -> Mask:
        """A random mask of as many weights as the ticket's."""

    @abstractmethod
    def remade(self, at: At, mask: Mask | None, seed: int) -> Mask:
        """What the function of a user's arm makes of a mask."""

    @abstractmethod
    def partner(self) -> "Chain[Mask, Net]":
        """The chain of another replicate, whose masks are borrowed."""

    @abstractmethod
    def aligned(self, at: At, other: "Chain[Mask, Net]") -> Mask:
        """The ticket's mask of another chain, permuted as its dense net is aligned to this one's.

        Args:
            at: where it is for.
            other: the chain.
        """

    @abstractmethod
    def moved(self, at: At) -> Mask:
        """The mask that a training ends with, which changed it on the way."""
