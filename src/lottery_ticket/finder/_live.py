"""A chain on a live model: each step is taken at once, with the user's own training loop."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from lottery_ticket.arms import ARMS, TICKET
from lottery_ticket.chain import At, Chain, Change, Start
from lottery_ticket.criteria import CRITERIA, Criterion, inverse
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import change_initial_, remade_mask
from lottery_ticket.finder._controls import why_no_scores
from lottery_ticket.finder._method import Method
from lottery_ticket.finder._search import Row, Search
from lottery_ticket.finder._training import (
    Beginning,
    TrainFn,
    Training,
    restore_,
    state_on_cpu,
    train_watched,
)
from lottery_ticket.masks import (
    Budget,
    MaskPolicy,
    PruningMask,
    copied_model,
    input_dims,
    shuffle,
    warn_on_collapse,
)
from lottery_ticket.pruning import POLICIES, ScorePolicy, Target, made_policy, next_mask
from lottery_ticket.seeds import generator

__all__ = ["LiveChain", "Net"]


@dataclass(frozen=True)
class Net:
    """A net at one moment.

    Args:
        weights: its whole state, on the CPU.
        memory: the state of its optimiser; None for a fresh one.
    """

    weights: Mapping[str, torch.Tensor]
    memory: Mapping[int, Any] | None = None


class LiveChain(Chain[PruningMask, Net]):
    """Trains and prunes a model in place, and notes in the search what came of it.

    Of the ticket's nets the search holds the dense one and the last; a control has no chain of its
    own, and follows the dense net.

    Args:
        search: what there is so far.
        method: how masks are made.
        model: is trained in place.
        train_fn: the user's.
        build: seed → a fresh model, for arms that draw weights.
        budgets: what each of the ticket's levels keeps; not needed for controls.
    """

    def __init__(
        self,
        search: Search,
        method: Method,
        model: nn.Module,
        train_fn: TrainFn,
        build: Callable[[int], nn.Module],
        budgets: Sequence[Budget] = (),
    ) -> None:
        super().__init__(method.seed, method.pipeline, rewind_step=method.rewind_step or 0)
        self.search, self.method, self.model = search, method, model
        self._train_fn, self._build, self._budgets = train_fn, build, budgets
        self.row: Row | None = None  # of the last training, not judged yet
        self.last_mask: PruningMask | None = None  # that it ended with

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def check(self, at: At) -> None:
        """See that a control can be made, before anything trains.

        Raises:
            UsageError: its mask cannot be made, or the search lacks what that needs.
        """
        if not at.level:
            return
        policy = ARMS[at.arm].policy
        if policy is None:
            self.mask(at)
            return
        if self.method.structure != "unstructured":
            raise UsageError(
                f"{at.arm}: it prunes single weights, and this search {self.method.structure}"
            )
        wanting = sorted(self._criterion(at).needs - {"weights", "mask", "generator"})
        if wanting and POLICIES[policy].uses_criterion:
            raise UsageError(
                f"{at.arm}: it prunes while it trains, by weights alone, and criterion "
                f"{self._criterion(at).name!r} needs {' and '.join(wanting)}"
            )
        if isinstance(self._policy(at), ScorePolicy):  # whatever its kind says
            raise UsageError(why_no_scores(at.arm))

    # what is there already

    def training(self, at: At) -> Net:
        search = self.search
        if at == At() and search.dense:
            return Net(search.dense, search.dense_optimizer_state)
        if at.arm == TICKET and search.trained and at.level == search.last_level:
            return Net(search.trained, search.optimizer_state)
        return self.trained(at, self.start(at))

    def mask(self, at: At) -> PruningMask:
        masks = self.search.masks
        if at.arm == TICKET and at.level < len(masks):
            return masks[at.level]
        made = self._mask(at) if at.level else None  # never held: a search has many levels
        if made is None:
            return masks[0]  # dense, of all that can be pruned
        if at.arm == TICKET:
            warn_on_collapse(made)
            masks.append(made)
        return made

    def before(self, at: At) -> At:
        return super().before(at) if at.arm == TICKET else At()

    def rewind_point(self) -> Net:
        point = self.search.rewind_point
        if point is None:
            return Net(self.search.initial)
        return Net(point.weights, point.optimizer_state)

    def length(self, at: At) -> int:
        return self.search.rows[0].num_steps

    # what is done now

    def trained(self, at: At, start: Start[PruningMask, Net]) -> Net:
        mask = self.mask(At()) if start.mask is None else start.mask
        mask = mask.to(self.device)
        beginning = Beginning(
            self._weights(at, start, mask),
            self.order_seed(at),
            step=start.step,
            optimizer_state=None if start.memory is None else start.memory.memory,
        )
        k = self.method.rewind_step if at == At() else None
        training = train_watched(
            self.model, mask, self._train_fn, beginning, rewind_step=k,
            policy=self._policy(at), policy_seed=self.policy_seed(at),
        )  # fmt: skip
        if k is not None and training.rewind_point is None:
            raise UsageError(
                f"rewind_step {k} was not reached: train_fn made {training.num_steps} optimiser "
                "steps"
            )
        self.row, self.last_mask = self._row(at, training), training.mask
        keeps_memory = self.pipeline.optimizer_state == "kept"
        net = Net(state_on_cpu(self.model), training.optimizer_state if keeps_memory else None)
        if at.arm == TICKET:
            self._note(at, net, training)
        return net

    def _note(self, at: At, net: Net, training: Training) -> None:
        search = self.search
        search.unrated = self.row
        search.trained, search.optimizer_state = dict(net.weights), net.memory
        if not at.level:
            search.dense, search.dense_optimizer_state = search.trained, net.memory
            search.rewind_point = training.rewind_point

    def _weights(
        self, at: At, start: Start[PruningMask, Net], mask: PruningMask
    ) -> Mapping[str, torch.Tensor]:
        """What a training begins with, on the CPU, before it is masked."""
        draws = ARMS[at.arm].draws_weights
        if start.weights is not None:
            return start.weights.weights
        if start.change is None and not draws:
            return self.search.initial
        # on the CPU, as all that is drawn
        begun = self._build(self.weights_seed(at)).to("cpu") if draws else self._initial_model()
        if start.change is not None:
            self._change_(begun, mask.to("cpu"), start.change)
        return state_on_cpu(begun)

    def _change_(self, model: nn.Module, mask: PruningMask, change: Change) -> None:
        more: dict[str, Any] = {}
        if change.how == "scaled":
            more = {"input_dims": input_dims(model, mask)}
        if change.how == "signed_constant":
            more = {"names": list(mask)}
        options = change.options | more
        change_initial_(change.how, model, mask, lambda seed: self._initial_model(), **options)

    def _initial_model(self) -> nn.Module:
        """A copy of the model at θ₀, on the CPU."""
        model = copied_model(self.model).to("cpu")
        restore_(model, self.search.initial)
        return model

    def pruned(
        self,
        at: At,
        trained: At | None,
        mask: PruningMask | None,
        *,
        is_inverted: bool = False,
    ) -> PruningMask:
        net = Net(self.search.initial) if trained is None else self.training(trained)
        restore_(self.model, net.weights)
        mask = self.mask(At()) if mask is None else mask
        criterion = self._criterion(at)
        self.method.check_has_batches(criterion)
        method = replace(self.method, criterion=inverse(criterion) if is_inverted else criterion)
        keep = self._budgets[at.level] if at.arm == TICKET else self._counts(at)
        return method.next_mask(self.model, mask.to(self.device), keep, self.search.initial)

    def _counts(self, at: At) -> Budget:
        """As many as the ticket keeps, in each layer where layers are counted one by one."""
        mask = self.mask(At(level=at.level))
        return Budget(mask.num_kept) if self.method.scope == "global" else _layer_counts(mask)

    def shuffled(self, at: At, mask: PruningMask | None, seed: int) -> PruningMask:
        assert mask is not None
        return shuffle(mask, generator(seed), **self._structure(mask))

    def drawn(self, at: At, seed: int) -> PruningMask:
        mask = self.mask(At(level=at.level))
        is_free = self.method.structure == "unstructured"
        keep = Budget(mask.num_kept) if is_free else _layer_counts(mask)
        draws = generator(seed)
        how = self._structure(mask)
        return next_mask("random", self.mask(At()), keep, generator=draws, **how)

    def remade(self, at: At, mask: PruningMask | None, seed: int) -> PruningMask:
        assert mask is not None
        return remade_mask(at.arm, mask, generator(seed))

    def partner(self) -> "LiveChain":
        raise UsageError("a search is one replicate, and has no other to borrow masks from")

    def aligned(self, at: At, other: Chain[PruningMask, Net]) -> PruningMask:
        raise UsageError(f"{at.arm}: a search is one replicate, and has no other to be aligned to")

    def moved(self, at: At) -> PruningMask:
        self.training(at)
        assert self.last_mask is not None
        return self.last_mask

    def _structure(self, mask: PruningMask) -> dict[str, Any]:
        return {"structure": self.method.structure, "input_dims": input_dims(self.model, mask)}

    def _policy(self, at: At) -> MaskPolicy | None:
        """What changes the mask of a training on its way."""
        name = ARMS[at.arm].policy
        if name is None or not at.level:
            return None
        criterion, keep = self._criterion(at), self._counts(at)
        size = self.mask(At()).num_prunable
        # its last step is the dense net's: all trainings of a search are of one length
        target = Target(keep, size, 0, self.length(at), criterion, self.method.scope)
        return made_policy(name, target, {})

    def _criterion(self, at: At) -> Criterion:
        own = ARMS[at.arm].criterion
        return self.method.criterion if own is None else CRITERIA[own]

    def _row(self, at: At, training: Training) -> Row:
        """A training that `eval_fn` has not judged."""
        criterion = self._criterion(at).name
        problems = training.problems
        if ARMS[at.arm].policy is not None:
            problems += self._misses(at, training.mask)
        return Row(
            arm=at.arm,
            level=at.level,
            draw=at.draw,
            num_kept=training.mask.num_kept,
            metric=math.nan,
            num_steps=training.num_steps,
            seconds=training.seconds,
            criterion=criterion,
            scope="global" if criterion == "random" else self.method.scope,
            device=self.device.type,
            problems=problems,
        )

    def _misses(self, at: At, mask: PruningMask) -> tuple[str, ...]:
        """Why a mask that changed is not as large as the ticket's."""
        wanted = self.mask(At(level=at.level)).num_kept
        if mask.num_kept == wanted:
            return ()
        return (f"it ended with {mask.num_kept:,} weights kept, wanted {wanted:,}",)


def _layer_counts(mask: PruningMask) -> Budget:
    """As many of each layer: of groups of weights, another total need not be to be had."""
    return Budget(mask.num_kept, tuple((name, int(kept.sum())) for name, kept in mask.items()))
