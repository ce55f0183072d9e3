"""Copies of a plan's trainings under other orders of the data, and the lines between them."""

from dataclasses import dataclass
from itertools import combinations

from lottery_ticket.arms import ARMS, TICKET
from lottery_ticket.chain import At
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.cells.cell import Label
from lottery_ticket.experiment.cells.path import PathCell
from lottery_ticket.experiment.cells.train import Recipe
from lottery_ticket.experiment.planning.draft import Draft
from lottery_ticket.experiment.planning.plan import Plan, Work
from lottery_ticket.experiment.planning.replicate import Replicate
from lottery_ticket.experiment.planning.setting import Setting
from lottery_ticket.spec import DataSpec
from lottery_ticket.store import ProbeRow

__all__ = ["INSTABILITY", "NUM_TRAIN", "Copies", "Copying", "copies", "path_cell"]

INSTABILITY = "instability"
"""What measurements of lines between copies are called in a run's record."""

NUM_TRAIN = 10_000  # training examples that nets on a line are evaluated on


@dataclass(frozen=True)
class Copying:
    """Which trainings are copied.

    Args:
        levels: of which levels; 0 is dense.
        arms: of which arms.
        copies: how many trainings from each start, the run's own among them.
        points: nets on each line, its ends among them.

    Raises:
        UsageError: one of them makes no sense.
    """

    levels: tuple[int, ...]
    arms: tuple[str, ...] = (TICKET,)
    copies: int = 2
    points: int = 30

    def __post_init__(self) -> None:
        if self.copies < 2:
            raise UsageError(f"copies: got {self.copies}, wanted 2 or more: a line has two ends")
        if self.points < 3:
            raise UsageError(f"points: got {self.points}, wanted 3 or more, the ends among them")
        if not self.levels or min(self.levels) < 0:
            raise UsageError(f"levels: got {self.levels}, wanted levels from 0 on")


@dataclass(frozen=True)
class Copies(Work):
    """Copies of a plan's trainings, the lines between them, and all that these are made from.

    Args:
        measured: what is measured on which training of the plan.
        trained: the copies.
        step: k, at which copies part.
    """

    measured: tuple[ProbeRow, ...] = ()
    trained: frozenset[str] = frozenset()
    step: int = 0


def copies(plan: Plan, asked: Copying) -> Copies:
    """Copies of a plan's trainings, and the line between each two of the same start.

    Raises:
        UsageError: the plan lacks an arm or a level, or an arm's trainings cannot be copied.
    """
    spec = plan.spec
    if spec.source is not None:
        raise UsageError("stability: the run takes over tickets; ask it of the run they are from")
    places = [At(arm, level) for arm in asked.arms for level in asked.levels]
    for at in places:
        _check(plan, at)
    draft, setting = Draft(spec, plan.inputs), Setting.of(spec, plan.inputs)
    measured: list[ProbeRow] = []
    trained: set[str] = set()
    for number in range(spec.replicates):
        replicate = Replicate(draft, setting, number)
        for at in places:
            cells = [replicate.copy(at, copy) for copy in range(asked.copies)]
            trained.update(cells[1:])
            for ends in combinations(cells, 2):
                path = draft.add(_path(plan, replicate, at, ends, asked.points))
                measured.append(ProbeRow(path, INSTABILITY, cells[0]))
    made = draft.needed(row.cell for row in measured)
    return Copies(plan.id, made, tuple(measured), frozenset(trained), setting.rewind_step)


def _check(plan: Plan, at: At) -> None:
    """Raise `UsageError` where a plan has no such training, or none that can be copied."""
    levels = {row.level for row in plan.rows if row.arm == at.arm}
    if not levels:
        arms = ", ".join(arm.name for arm in plan.spec.arms)
        raise UsageError(f"stability: the run has no arm {at.arm!r}; it has: {arms}")
    if at.level not in levels:
        raise UsageError(
            f"stability: {at.arm} has no level {at.level}; it has {min(levels)} to {max(levels)}"
        )
    arm = ARMS[at.arm]
    if arm.policy is not None or arm.mask == "narrow" or arm.is_long:
        raise UsageError(
            f"stability: {at.arm}: trainings of it differ in mask, architecture or length; ask it "
            "of arms that are trained under one mask, such as ticket, reinit, shuffled, random"
        )
    if arm.pipeline not in (None, "lth", "rewind"):
        raise UsageError(
            f"stability: {at.arm} does not train from θ₀ or θ_k (its pipeline is {arm.pipeline})"
        )


def _path(plan: Plan, replicate: Replicate, at: At, ends: tuple[str, ...], points: int) -> PathCell:
    recipe, mask = replicate.setting.recipe, replicate.mask(at)
    one, other = ends
    parents = {"weights": one, "other_weights": other}
    if mask is not None:
        parents |= {"mask": mask, "other_mask": mask}
    row = replicate.row(at)
    density = row.num_kept / sum(plan.inputs.sizes.values())
    return path_cell(
        Label(f"{at.arm}, line,", at.level, replicate.number, at.draw, density),
        parents,
        recipe,
        replicate.setting.data,
        points,
    )


def path_cell(
    label: Label, parents: dict[str, str], recipe: Recipe, data: DataSpec, points: int
) -> PathCell:
    """The line between two trainings of one recipe."""
    loss = {"loss": recipe.sources["loss"]} if "loss" in recipe.sources else {}
    return PathCell(
        label=label,
        parents=parents,
        data=data,
        points=points,
        num_train=NUM_TRAIN,
        model=recipe.model,
        train=recipe.train,
        described=recipe.data,
        sources=loss,
    )
