"""The cells of one replicate: what each arm's masks and trainings are made from.

An arm is a row of `lottery_ticket.arms`; what a row says of masks and of weights is a function
here.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from lottery_ticket.arms import ARMS
from lottery_ticket.criteria import CRITERIA
from lottery_ticket.experiment._setting import INIT_NUMERICS, Setting
from lottery_ticket.masks import Budget
from lottery_ticket.pruning import Pipeline
from lottery_ticket.seeds import derive
from lottery_ticket.spec import DataSpec
from lottery_ticket.store import RunRow

__all__ = ["At", "Planner", "Replicate"]

_MASK_NUMERICS = 1  # raised when the same scores give another mask
_WEIGHTS_NUMERICS = 1  # raised when the same draws give other weights of an arm
_EXAMPLES_PER_OUTPUT = 10  # what a criterion sees at initialisation: as Tanaka et al. 2020 have it


class At(NamedTuple):
    """A place in a replicate."""

    arm: str = "ticket"
    level: int = 0
    draw: int = 0


class Planner(Protocol):
    """What a replicate asks of the plan it is part of."""

    budgets: list[Budget]

    def add(
        self,
        inputs: dict[str, Any],
        parents: Mapping[str, str],
        label: dict[str, Any],
        data: DataSpec | None = None,
        num_steps: int = 0,
    ) -> str:
        """The name of the cell of these inputs, which is part of the plan from now on."""
        ...

    def narrow(self, level: int) -> tuple[dict[str, Any], int]:
        """The options and the number of weights of the narrower net of a level."""
        ...


class Replicate:
    """The chains and the branches of one replicate, made when they are asked for.

    Args:
        planner: takes the cells.
        setting: what they train on and how.
        number: which replicate.
        source: the same replicate of the experiment that tickets are taken over from.
    """

    def __init__(
        self, planner: Planner, setting: Setting, number: int, source: "Replicate | None" = None
    ) -> None:
        self.planner = planner
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
        is_narrow = ARMS[at.arm].mask == "narrow"
        kept = self.planner.narrow(at.level)[1] if is_narrow else self._budget(at).total
        return RunRow(*at[:2], self.number, at.draw, kept, self.training(at), self.mask(at))

    def mask(self, at: At) -> str | None:
        """The cell of a mask; None where none is."""
        if at not in self._masks:
            self._masks[at] = MASKS[ARMS[at.arm].mask](self, at) if at.level else None
        return self._masks[at]

    def training(self, at: At) -> str:
        """The cell of a training."""
        if at not in self._trainings:
            self._trainings[at] = self._training(at)
        return self._trainings[at]

    def rewind_point(self) -> str:
        """The cell of the dense training up to the rewind step, which keeps θ_k."""
        label = self._label(At()) | {"arm": "rewind point"}
        until = self.setting.rewind_step
        inputs = {**self.setting.recipe, "seeds": self._seeds(At()), "until_step": until}
        return self.planner.add(inputs, {}, label, self.setting.spec.data, until)

    def before(self, at: At) -> At:
        """Whose trained weights a mask of the arm's own is made from."""
        is_once = self.setting.spec.prune.once
        return at._replace(level=0 if is_once else at.level - 1)

    def add_mask(self, at: At, inputs: dict[str, Any], **parents: str | None) -> str:
        """The mask of these inputs and parents."""
        layers = self.setting.inputs.layers
        full = {
            "kind": "mask",
            "numerics": _MASK_NUMERICS,
            # as pairs: in canonical JSON the keys of a mapping lose their order
            "layers": [[name, list(shape)] for name, shape in layers.items()],
            **inputs,
        }
        present = {role: name for role, name in parents.items() if name is not None}
        data = self.setting.spec.data if "data" in inputs else None
        return self.planner.add(full, present, self._label(at), data)

    def add_pruned(self, at: At, trained: At, mask: str | None, **more: Any) -> str:
        """What the experiment's criterion keeps of trained weights."""
        prune = self.setting.spec.prune
        inputs = self.selection(at, prune.criterion, prune.scope, derive(self.root, "mask"))
        needs_weights = CRITERIA[prune.criterion].needs_weights
        weights = self.training(trained) if needs_weights else None
        return self.add_mask(at, inputs | more, weights=weights, mask=mask)

    def selection(self, at: At, criterion: str, scope: str, seed: int) -> dict[str, Any]:
        """How a mask is selected, by which scores and how many."""
        entry, budget = CRITERIA[criterion], self._budget(at)
        inputs: dict[str, Any] = {"how": "prune", "criterion": criterion, "scope": scope}
        inputs["criterion_numerics"] = entry.numerics
        has_layers = scope != "global" and budget.per_layer is not None
        inputs["keep"] = dict(budget.per_layer or ()) if has_layers else budget.total
        if not entry.needs_weights:
            inputs["seed"] = seed
        return inputs

    def _training(self, at: At) -> str:
        how = ARMS[at.arm]
        pipeline = self.setting.pipeline(how.pipeline)
        inputs = {**self.setting.recipe, "seeds": self._seeds(at)}
        if how.mask == "narrow" and at.level:
            options, _ = self.planner.narrow(at.level)
            inputs["model"] = {"name": self.setting.spec.model.name, **options}
        parents = self._parents(at, pipeline)
        changed, more = WEIGHTS[how.weights](self, at)
        inputs |= changed
        whole = self.setting.num_steps
        first = pipeline.first_step(rewind=self.setting.rewind_step, end=whole) if at.level else 0
        if first:
            inputs["start_step"] = first
        # what goes on from the end of a training goes on for as long again
        steps = whole - first if first < whole else whole
        data = self.setting.spec.data
        return self.planner.add(inputs, parents | more, self._label(at), data, steps)

    def _parents(self, at: At, pipeline: Pipeline) -> dict[str, str]:
        """The mask, and what the pipeline takes from other trainings."""
        mask = self.mask(at)
        parents = {} if mask is None else {"mask": mask}
        points = {"weights": pipeline.weights_from, "optimizer": pipeline.optimizer_state}
        for role, point in points.items() if at.level else ():
            if point == "rewind":
                parents[role] = self.rewind_point()
            elif point in ("end", "kept"):
                parents[role] = self.training(self.before(at))
        return parents

    def _seeds(self, at: At) -> dict[str, int]:
        fresh = derive(self.root, "control", "reinit", at.draw)
        seeds = {
            "init": fresh if ARMS[at.arm].weights in ("fresh", "fresh_signed") else self.init,
            # by level too, so that a ticket never retrains on the order its mask was found with
            "order": derive(self.root, "order", at.level),
            "noise": derive(self.root, "noise", at.level),
        }
        if self.setting.spec.train.augment:
            seeds["augment"] = derive(self.root, "augment", at.level)
        return seeds

    def _budget(self, at: At) -> Budget:
        return self.planner.budgets[at.level]

    def _label(self, at: At) -> dict[str, Any]:
        is_narrow = ARMS[at.arm].mask == "narrow"
        kept = self.planner.narrow(at.level)[1] if is_narrow else self._budget(at).total
        density = kept / sum(self.setting.inputs.sizes.values())
        place = {"arm": at.arm, "level": at.level, "replicate": self.number, "draw": at.draw}
        return place | {"density": density}


def _own_mask(replicate: Replicate, at: At) -> str:
    before = replicate.before(at)
    return replicate.add_pruned(at, before, replicate.mask(before))


def _tickets_mask(replicate: Replicate, at: At) -> str | None:
    return replicate.mask(At(level=at.level))


def _shuffled_mask(replicate: Replicate, at: At) -> str:
    seed = derive(replicate.root, "control", "shuffled", at.draw, at.level)
    return replicate.add_mask(
        at, {"how": "shuffle", "seed": seed}, mask=_tickets_mask(replicate, at)
    )


def _random_mask(replicate: Replicate, at: At) -> str:
    seed = derive(replicate.root, "control", "random", at.draw)
    return replicate.add_mask(at, replicate.selection(at, "random", "global", seed))


def _oneshot_mask(replicate: Replicate, at: At) -> str:
    return replicate.add_pruned(at, At(), None)


def _inverted_mask(replicate: Replicate, at: At) -> str:
    return replicate.add_pruned(at, At(), None, inverted=True)


def _mask_at_init(replicate: Replicate, at: At) -> str:
    setting, criterion = replicate.setting, ARMS[at.arm].criterion
    assert criterion is not None
    entry, train = CRITERIA[criterion], setting.spec.train
    inputs = replicate.selection(at, criterion, setting.spec.prune.scope, 0)
    inputs |= {"model": setting.recipe["model"], "init": replicate.init}
    inputs["init_numerics"] = INIT_NUMERICS
    if entry.needs_data:
        inputs |= {"data": setting.recipe["data"], "loss": train.loss}
        inputs |= {"examples_per_output": _EXAMPLES_PER_OUTPUT, "batch_size": train.batch_size}
        inputs["examples_seed"] = derive(replicate.root, "mask", "examples")
    if "input_shape" in entry.needs:
        inputs["input_shape"] = list(setting.inputs.input_shape)
    return replicate.add_mask(at, inputs)


def _sources_mask(replicate: Replicate, at: At) -> str | None:
    assert replicate.source is not None
    return replicate.source.mask(At(level=at.level))


MASKS: dict[str, Callable[[Replicate, At], str | None]] = {
    "own": _own_mask,
    "ticket": _tickets_mask,
    "shuffled": _shuffled_mask,
    "random": _random_mask,
    "oneshot": _oneshot_mask,
    "inverted": _inverted_mask,
    "at_init": _mask_at_init,
    "source": _sources_mask,
    "narrow": lambda replicate, at: None,
}
"""What a row of the table of arms says of its masks → the cell of such a mask."""

# what decides the weights beside the seed of their draw: further inputs, and further parents
_More = tuple[dict[str, Any], dict[str, str]]


def _as_drawn(replicate: Replicate, at: At) -> _More:
    return {}, {}


def _signs_of_initial(replicate: Replicate, at: At) -> _More:
    how = {"how": "signs", "init": replicate.init, "numerics": _WEIGHTS_NUMERICS}
    return {"initial": how}, {}


def _signed_constant(replicate: Replicate, at: At) -> _More:
    return {"initial": {"how": "signed_constant", "numerics": _WEIGHTS_NUMERICS}}, {}


def _sources_weights(replicate: Replicate, at: At) -> _More:
    source = replicate.source
    assert source is not None
    is_later = at.level and source.setting.rewind_step
    return {}, {"weights": source.rewind_point()} if is_later else {}


WEIGHTS: dict[str, Callable[[Replicate, At], _More]] = {
    "initial": _as_drawn,
    "fresh": _as_drawn,
    "fresh_signed": _signs_of_initial,
    "signed_constant": _signed_constant,
    "source": _sources_weights,
}
"""What a row of the table of arms says of its weights → further inputs and parents."""
