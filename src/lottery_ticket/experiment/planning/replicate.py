"""The cells of one replicate: what each arm's masks and trainings are made from."""

from dataclasses import replace
from pathlib import Path

from lottery_ticket.arms import ARMS
from lottery_ticket.criteria import CRITERIA
from lottery_ticket.experiment.cells.cell import Label
from lottery_ticket.experiment.cells.mask import (
    Examples,
    MaskCell,
    Remade,
    Seen,
    Selection,
    Shuffle,
    Structure,
)
from lottery_ticket.experiment.cells.start import StartCell
from lottery_ticket.experiment.cells.train import MovingMask, Seeds, TrainCell
from lottery_ticket.experiment.objects.fit import EXAMPLES_PER_OUTPUT
from lottery_ticket.experiment.objects.initial import Described, Initial
from lottery_ticket.experiment.planning.arms import At, mask_of, weights_of
from lottery_ticket.experiment.planning.draft import Draft
from lottery_ticket.experiment.planning.setting import INIT_NUMERICS, Setting
from lottery_ticket.masks import Budget
from lottery_ticket.pruning import Pipeline
from lottery_ticket.seeds import derive
from lottery_ticket.store import RunRow

__all__ = ["Replicate"]

_MASK_NUMERICS = 1  # raised when the same scores give another mask
_POLICY_NUMERICS = 1  # raised when the library's policies make other masks of the same
_CHANNEL_NUMERICS = 2  # of scope channel: 1 was counted in channels, and might cut the output


class Replicate:
    """The chains and the branches of one replicate, made when they are asked for.

    Args:
        draft: takes the cells.
        setting: what they train on and how.
        number: which replicate.
        source: the same replicate of the experiment that tickets are taken over from.
    """

    def __init__(
        self, draft: Draft, setting: Setting, number: int, source: "Replicate | None" = None
    ) -> None:
        self.draft = draft
        self.setting = setting
        self.number = number
        self.source = source
        self.root = derive(setting.spec.seed, "replicate", number)
        self._masks: dict[At, str | None] = {}
        self._trainings: dict[At, str] = {}

    @property
    def init(self) -> int:
        """The seed of θ₀."""
        return derive(self.root, "init")

    def row(self, at: At) -> RunRow:
        """A row of the table; ask level by level, since a level hangs on the one before."""
        place = (at.arm, at.level, self.number, at.draw)
        return RunRow(*place, self._num_kept(at), self.training(at), self.mask(at))

    def mask(self, at: At) -> str | None:
        """The cell of a mask; None where none is."""
        if at not in self._masks:
            self._masks[at] = mask_of(self, at)
        return self._masks[at]

    def training(self, at: At) -> str:
        """The cell of a training."""
        if at not in self._trainings:
            self._trainings[at] = self._training(at)
        return self._trainings[at]

    def rewind_point(self) -> str:
        """The cell of the dense training up to the rewind step, which keeps θ_k."""
        until = self.setting.rewind_step
        return self.draft.add(
            TrainCell(
                label=replace(self._label(At()), arm="rewind point"),
                parents=self._start(At(), None),
                recipe=self.setting.recipe,
                seeds=self._seeds(At()),
                data=self.setting.data,
                last_step=until,
                until_step=until,
            )
        )

    def before(self, at: At) -> At:
        """Whose trained weights a mask of the arm's own is made from."""
        is_once = self.setting.spec.prune.once
        return at._replace(level=0 if is_once else at.level - 1)

    def add_mask(
        self,
        at: At,
        how: Selection | Shuffle | Remade,
        *,
        seen: Seen | None = None,
        **parents: str | None,
    ) -> str:
        """A mask that is made from these parents."""
        given = parents | ({} if seen is None else {"initial": self.start()})
        has_examples = seen is not None and seen.examples is not None
        is_of_channels = how.structure.scope == "channel"
        return self.draft.add(
            MaskCell(
                label=self._label(at),
                parents={role: name for role, name in given.items() if name is not None},
                data=self.setting.data if has_examples else None,
                numerics=_CHANNEL_NUMERICS if is_of_channels else _MASK_NUMERICS,
                layers=tuple(self.setting.inputs.layers.items()),
                how=how,
                seen=seen,
            )
        )

    def add_pruned(
        self, at: At, trained: At, mask: str | None, *, is_inverted: bool = False
    ) -> str:
        """What the arm's criterion, else the experiment's, keeps of trained weights."""
        criterion, options = self.setting.spec.criterion_of(at.arm)
        scope = self.setting.spec.prune.scope_at(at.level)
        how = self.selection(at, criterion, scope, derive(self.root, "mask"))
        needs = CRITERIA[criterion]
        weights = self.training(trained) if needs.needs_weights else None
        how = replace(how, is_inverted=is_inverted, options=options)
        sees_more = not needs.needs <= {"weights", "mask", "generator"}
        seen = self.seen(criterion) if sees_more else None
        return self.add_mask(at, how, seen=seen, weights=weights, mask=mask)

    def selection(self, at: At, criterion: str, scope: str, seed: int) -> Selection:
        """How a mask is selected, by which scores and how many."""
        entry, budget = CRITERIA[criterion], self._budget(at)
        has_layers = scope != "global" and budget.per_layer is not None
        return Selection(
            criterion,
            entry.numerics,
            self.structure(scope),
            dict(budget.per_layer or ()) if has_layers else budget.total,
            seed=seed if "generator" in entry.needs or not entry.needs_weights else None,
            source=self.setting.inputs.sources.get(("criterion", criterion)),
        )

    def seen(self, criterion: str) -> Seen:
        """What a criterion sees beside trained weights, or instead of them."""
        entry, recipe = CRITERIA[criterion], self.setting.recipe
        seed = derive(self.root, "mask", "examples")
        loss = recipe.sources.get("loss")
        return Seen(
            recipe.model,
            self.init,
            INIT_NUMERICS,
            Examples(recipe.data, recipe.train, EXAMPLES_PER_OUTPUT, seed, loss)
            if entry.needs_data
            else None,
            self.setting.inputs.input_shape if "input_shape" in entry.needs else None,
        )

    def source_of(self, kind: str, name: str) -> str:
        """The hash of a user's own code."""
        return self.setting.inputs.sources[kind, name]

    def structure(self, scope: str) -> Structure:
        """How the weights of a mask are grouped."""
        return Structure(scope, self.setting.inputs.input_dims)

    def _training(self, at: At) -> str:
        how = ARMS[at.arm]
        pipeline = self.setting.pipeline(how.pipeline)
        initial, more = weights_of(self, at)
        parents = self._start(at, initial) | self._parents(at, pipeline)
        whole, recipe = self._length(at), self.setting.recipe
        if whole != self.setting.num_steps:
            recipe = self.setting.stretched(whole)
        if how.mask == "narrow" and at.level:
            options, _ = self.draft.narrow(at.level)
            recipe = replace(recipe, model=Described(recipe.model.name, options))
        first = pipeline.first_step(rewind=self.setting.rewind_step, end=whole) if at.level else 0
        moving = self._moving(at) if how.policy is not None and at.level else None
        if moving is not None:
            moving.made(first, whole)  # what makes no sense is said before anything trains
        return self.draft.add(
            TrainCell(
                label=self._label(at),
                parents=parents | more,
                data=self.setting.data,
                recipe=recipe,
                seeds=self._seeds(at),
                first_step=first,
                # what goes on from the end of a training goes on for as long again
                last_step=whole if first < whole else first + whole,
                initial=initial,
                moving=moving,
            )
        )

    def start(self) -> str | None:
        """The cell of θ₀, where a file holds it; None where it is drawn."""
        digest, path = self.setting.inputs.start, self.setting.spec.model.start
        if digest is None or path is None:
            return None
        label = replace(self._label(At()), arm="initial weights")
        file = Path(path).expanduser().absolute()
        return self.draft.add(StartCell(label=label, digest=digest, path=file))

    def _start(self, at: At, initial: Initial | None) -> dict[str, str]:
        """What a training takes of θ₀ from a file; what goes on elsewhere comes later."""
        start = self.start()
        if start is None or (ARMS[at.arm].mask == "narrow" and at.level):
            return {}
        if initial is not None:
            return {} if initial.how == "scaled" else {"initial": start}
        return {} if ARMS[at.arm].draws_weights else {"weights": start}

    def _moving(self, at: At) -> MovingMask:
        """How the mask of an arm with a policy changes."""
        setting, policy = self.setting, ARMS[at.arm].policy
        assert policy is not None
        prune, sources = setting.spec.prune, setting.inputs.sources
        criterion, criterion_options = setting.spec.criterion_of(at.arm)
        code = (("policy", policy), ("criterion", criterion))
        budget = self._budget(at)
        has_layers = prune.scope != "global" and budget.per_layer is not None
        return MovingMask(
            policy,
            setting.spec.policy_options(at.arm),
            tuple(setting.inputs.layers.items()),
            budget if has_layers else Budget(budget.total),
            criterion,
            prune.scope,
            derive(self.root, "policy", at.arm, at.level, at.draw),
            {"policy": _POLICY_NUMERICS, "criterion": CRITERIA[criterion].numerics},
            {kind: sources[kind, name] for kind, name in code if (kind, name) in sources},
            criterion_options,
        )

    def _length(self, at: At) -> int:
        """The step at which a training ends that starts at 0."""
        stretch = self.setting.spec.stretch(at.arm) if at.level else 1
        is_long = at.level and ARMS[at.arm].is_long
        return stretch * (self._search_steps(at.level) if is_long else self.setting.num_steps)

    def _search_steps(self, level: int) -> int:
        """Steps of the trainings that find and train the ticket of a level."""
        dense, first = self.setting.num_steps, self.setting.rewind_step
        whole = self._length(At(level=level))
        searched = 1 if self.setting.spec.prune.once else level
        return dense + searched * (whole - first)

    def _parents(self, at: At, pipeline: Pipeline) -> dict[str, str]:
        """The mask, and what the pipeline takes from other trainings."""
        moves = ARMS[at.arm].policy is not None  # then it begins dense, and makes its mask itself
        mask = None if moves else self.mask(at)
        parents = {} if mask is None else {"mask": mask}
        points = {"weights": pipeline.weights_from, "optimizer": pipeline.optimizer_state}
        for role, point in points.items() if at.level else ():
            if point == "rewind":
                parents[role] = self.rewind_point()
            elif point in ("end", "kept"):
                parents[role] = self.training(self.before(at))
        return parents

    def _seeds(self, at: At) -> Seeds:
        fresh = derive(self.root, "control", "reinit", at.draw)
        is_augmented = self.setting.spec.train.augment is not None
        return Seeds(
            init=fresh if ARMS[at.arm].draws_weights else self.init,
            # by level too, so that a ticket never retrains on the order its mask was found with
            order=derive(self.root, "order", at.level),
            noise=derive(self.root, "noise", at.level),
            augment=derive(self.root, "augment", at.level) if is_augmented else None,
        )

    def _budget(self, at: At) -> Budget:
        return self.draft.budgets[at.level]

    def _num_kept(self, at: At) -> int:
        mask = ARMS[at.arm].mask
        if mask == "narrow":
            return self.draft.narrow(at.level)[1]
        return self.draft.budgets[0 if mask == "none" else at.level].total

    def _label(self, at: At) -> Label:
        density = self._num_kept(at) / sum(self.setting.inputs.sizes.values())
        return Label(at.arm, at.level, self.number, at.draw, density)
