"""The cells of one replicate: each step of a chain is given its name, and made later."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from lottery_ticket.arms import ARMS
from lottery_ticket.chain import At, Chain, Change, Start
from lottery_ticket.criteria import CRITERIA
from lottery_ticket.experiment.cells.cell import Label
from lottery_ticket.experiment.cells.mask import (
    Aligned,
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
from lottery_ticket.experiment.planning.draft import Draft
from lottery_ticket.experiment.planning.setting import INIT_NUMERICS, Setting
from lottery_ticket.masks import SCOPES, Budget
from lottery_ticket.seeds import derive
from lottery_ticket.store import RunRow

__all__ = ["Replicate"]

_MASK_NUMERICS = 1  # raised when the same scores give another mask
_ALIGN_NUMERICS = 1  # raised when the same nets are aligned otherwise
_POLICY_NUMERICS = 1  # raised when the library's policies make other masks of the same
_CHANNEL_NUMERICS = 2  # of scope channel: 1 was counted in channels, and might cut the output


class Replicate(Chain[str, str]):
    """The chains and the branches of one replicate, as names of cells.

    Args:
        draft: takes the cells.
        setting: what they train on and how.
        number: which replicate.
        source: the same replicate of the experiment that tickets are taken over from.
    """

    def __init__(
        self, draft: Draft, setting: Setting, number: int, source: "Replicate | None" = None
    ) -> None:
        super().__init__(
            derive(setting.spec.seed, "replicate", number),
            setting.pipeline,
            rewind_step=setting.rewind_step,
            is_once=setting.spec.prune.once,
            source=source,
        )
        self.draft = draft
        self.setting = setting
        self.number = number
        self._partner: Replicate | None = None

    def row(self, at: At) -> RunRow:
        """A row of the table; ask level by level, since a level hangs on the one before."""
        place = (at.arm, at.level, self.number, at.draw)
        return RunRow(*place, self._num_kept(at), self.training(at), self.mask(at))

    def rewind_point(self) -> str:
        """The cell of the dense training up to the rewind step, which keeps θ_k."""
        until = self.setting.rewind_step
        return self.draft.add(
            TrainCell(
                label=replace(self._label(At()), arm="rewind point"),
                parents=self._from_file(At(), None),
                recipe=self.setting.recipe,
                seeds=self._seeds(At()),
                data=self.setting.data,
                last_step=until,
                until_step=until,
            )
        )

    def pruned(
        self, at: At, trained: At | None, mask: str | None, *, is_inverted: bool = False
    ) -> str:
        """By the arm's criterion, else by the experiment's."""
        criterion, options = self.setting.spec.criterion_of(at.arm)
        needs, scope = CRITERIA[criterion], self.setting.spec.prune.scope_at(at.level)
        seed = 0 if trained is None else self.seed("mask")
        how = self._selection(at, criterion, scope, seed)
        weights = None
        if trained is not None and needs.needs_weights:
            weights = self.training(trained)
        sees_more = trained is None or not needs.needs <= {"weights", "mask", "generator"}
        return self._add_mask(
            at,
            replace(how, is_inverted=is_inverted, options=options),
            seen=self._seen(criterion) if sees_more else None,
            weights=weights,
            mask=mask,
        )

    def shuffled(self, at: At, mask: str | None, seed: int) -> str:
        scope = self.setting.spec.prune.scope_at(at.level)
        return self._add_mask(at, Shuffle(seed, self._structure(scope)), mask=mask)

    def drawn(self, at: At, seed: int) -> str:
        scope = self.setting.spec.prune.scope_at(at.level)
        # any layer's weights, or any of the structure
        scope = "global" if scope in SCOPES else scope
        return self._add_mask(at, self._selection(at, "random", scope, seed))

    def remade(self, at: At, mask: str | None, seed: int) -> str:
        return self._add_mask(at, Remade(at.arm, self._source_of(at.arm), seed), mask=mask)

    def partner(self) -> "Replicate":
        """The replicate before, and of the first one the second: the same however many there are.

        Where there is no second one, its ticket is searched for all the same.
        """
        if self._partner is None:
            number, source = (self.number - 1) if self.number else 1, self.source
            assert source is None or isinstance(source, Replicate)
            theirs = None if source is None else Replicate(self.draft, source.setting, number)
            self._partner = Replicate(self.draft, self.setting, number, theirs)
        return self._partner

    def aligned(self, at: At, other: Chain[str, str]) -> str:
        recipe, inputs = self.setting.recipe, self.setting.inputs
        return self._add_mask(
            at,
            Aligned(recipe.model, tuple(inputs.input_shape), _ALIGN_NUMERICS),
            mask=other.ticket_mask(at.level),
            weights=other.training(At()),
            other_weights=self.training(At()),
        )

    def moved(self, at: At) -> str:
        return self.training(at)  # one cell makes both

    def _add_mask(
        self,
        at: At,
        how: Selection | Shuffle | Remade | Aligned,
        *,
        seen: Seen | None = None,
        **parents: str | None,
    ) -> str:
        """A mask that is made from these parents."""
        given = parents | ({} if seen is None else {"initial": self._start_cell()})
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

    def _selection(self, at: At, criterion: str, scope: str, seed: int) -> Selection:
        """How a mask is selected, by which scores and how many."""
        entry, budget = CRITERIA[criterion], self._budget(at)
        has_layers = scope != "global" and budget.per_layer is not None
        return Selection(
            criterion,
            entry.numerics,
            self._structure(scope),
            dict(budget.per_layer or ()) if has_layers else budget.total,
            seed=seed if "generator" in entry.needs or not entry.needs_weights else None,
            source=self.setting.inputs.sources.get(("criterion", criterion)),
        )

    def _seen(self, criterion: str) -> Seen:
        """What a criterion sees beside trained weights, or instead of them."""
        entry, recipe = CRITERIA[criterion], self.setting.recipe
        seed = self.seed("mask", "examples")
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

    def _source_of(self, arm: str) -> str:
        """The hash of a user's own arm."""
        return self.setting.inputs.sources["arm", arm]

    def _structure(self, scope: str) -> Structure:
        """How the weights of a mask are grouped."""
        return Structure(scope, self.setting.inputs.input_dims)

    def copy(self, at: At, number: int) -> str:
        """A training once more, from its start under its mask, in which all that is drawn on the
        way is drawn anew: the order of the data, augmentation, dropout.

        Args:
            at: the training. The dense one of an arm that is rewound trains on from θ_k.
            number: which copy, from 1 on; 0 is the training itself.
        """
        if not number:
            return self.training(at)
        start, pipeline = self.start(at), self.pipeline_of(at)
        if not at.level and pipeline.weights_from == "rewind":
            point = self.rewind_point()
            memory = point if pipeline.optimizer_state == "rewind" else None
            start = Start(None, point, memory, self.rewind_step)
        return self._trained(at, start, number)

    def trained(self, at: At, start: Start[str, str]) -> str:
        return self._trained(at, start)

    def _trained(self, at: At, start: Start[str, str], copy: int = 0) -> str:
        how, whole = ARMS[at.arm], self.length(at)
        recipe = self.setting.recipe
        if whole != self.setting.num_steps:
            recipe = self.setting.stretched(whole)
        if how.mask == "narrow" and at.level:
            options, _ = self.draft.narrow(at.level)
            recipe = replace(recipe, model=Described(recipe.model.name, options))
        moving = self._moving(at) if how.policy is not None and at.level else None
        if moving is not None:
            moving.made(start.step, whole)  # what makes no sense is said before anything trains
        label = self._label(at)
        if copy:
            label = replace(label, arm=f"{at.arm}, copy {copy},")
        return self.draft.add(
            TrainCell(
                label=label,
                parents=self._parents(at, start),
                data=self.setting.data,
                recipe=recipe,
                seeds=self._seeds(at, copy),
                first_step=start.step,
                # what goes on from the end of a training goes on for as long again
                last_step=whole if start.step < whole else start.step + whole,
                initial=self._initial(start.change),
                moving=moving,
            )
        )

    def _parents(self, at: At, start: Start[str, str]) -> dict[str, str]:
        """What a training is made from, by role."""
        taken = {"mask": start.mask, "weights": start.weights, "optimizer": start.memory}
        elsewhere = {role: name for role, name in taken.items() if name is not None}
        return self._from_file(at, start.change) | elsewhere

    def _initial(self, change: Change | None) -> Initial | None:
        """How drawn weights are changed, with all that decides it."""
        if change is None:
            return None
        more: dict[str, Any] = {}
        if change.how == "scaled" and self.setting.inputs.input_dims:
            more = {"input_dims": dict(self.setting.inputs.input_dims)}
        if change.how == "arm":
            more = {"source": self._source_of(change.options["arm"])}
        return Initial(change.how, change.options | more)

    def _start_cell(self) -> str | None:
        """The cell of θ₀, where a file holds it; None where it is drawn."""
        digest, path = self.setting.inputs.start, self.setting.spec.model.start
        if digest is None or path is None:
            return None
        label = replace(self._label(At()), arm="initial weights")
        file = Path(path).expanduser().absolute()
        return self.draft.add(StartCell(label=label, digest=digest, path=file))

    def _from_file(self, at: At, change: Change | None) -> dict[str, str]:
        """What a training takes of θ₀ from a file; what goes on elsewhere comes later."""
        start = self._start_cell()
        if start is None or (ARMS[at.arm].mask == "narrow" and at.level):
            return {}
        if change is not None:
            return {} if change.how == "scaled" else {"initial": start}
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
            self.policy_seed(at),
            {"policy": _POLICY_NUMERICS, "criterion": CRITERIA[criterion].numerics},
            {kind: sources[kind, name] for kind, name in code if (kind, name) in sources},
            criterion_options,
        )

    def length(self, at: At) -> int:
        stretch = self.setting.spec.stretch(at.arm) if at.level else 1
        is_long = at.level and ARMS[at.arm].is_long
        return stretch * (self._search_steps(at.level) if is_long else self.setting.num_steps)

    def _search_steps(self, level: int) -> int:
        """Steps of the trainings that find and train the ticket of a level."""
        dense, first = self.setting.num_steps, self.setting.rewind_step
        whole = self.length(At(level=level))
        searched = 1 if self.setting.spec.prune.once else level
        return dense + searched * (whole - first)

    def _seeds(self, at: At, copy: int = 0) -> Seeds:
        is_augmented = self.setting.spec.train.augment is not None
        again = ("copy", copy) if copy else ()
        return Seeds(
            init=self.weights_seed(at),
            order=self.seed("order", at.level, *again) if copy else self.order_seed(at),
            noise=self.seed("noise", at.level, *again),
            augment=self.seed("augment", at.level, *again) if is_augmented else None,
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
