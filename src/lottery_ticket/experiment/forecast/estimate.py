"""About how long what is left of a plan takes here: a few steps are tried, the rest is counted."""

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from lottery_ticket.data import DataSet
from lottery_ticket.experiment.cells.train import TrainCell
from lottery_ticket.experiment.executors.context import Context
from lottery_ticket.experiment.executors.device import configured
from lottery_ticket.experiment.objects.build import load_data
from lottery_ticket.experiment.objects.initial import drawn_model
from lottery_ticket.experiment.objects.recipe import augmentation_of, loss_of, optimizer_of
from lottery_ticket.experiment.planning.plan import Plan, Work
from lottery_ticket.masks import PruningMask, layer_weights
from lottery_ticket.process import random_state_kept
from lottery_ticket.pruning import rewind_
from lottery_ticket.seeds import generator
from lottery_ticket.spec import TrainSpec, canonical_json
from lottery_ticket.steps import Duration
from lottery_ticket.train import EVALUATED_TOGETHER, Batches, evaluate, step_for

__all__ = ["estimated_seconds", "least_seconds", "makespan", "training_seconds"]

_START_SECONDS = 3.0  # until a worker has imported what it needs


def estimated_seconds(
    plan: Plan,
    done: Collection[str],
    context: Context,
    jobs: int,
    *,
    trial_seconds: float = 0.05,
) -> float:
    """About how many seconds the trainings that are not done take on this machine.

    Args:
        plan, done, context, trial_seconds: as of `training_seconds`.
        jobs: cells at a time.
    """
    seconds = training_seconds(plan, done, context, trial_seconds=trial_seconds)
    return least_seconds(plan, seconds, jobs)


def training_seconds(
    plan: Work, done: Collection[str], context: Context, *, trial_seconds: float = 0.05
) -> dict[str, float]:
    """Name → about how many seconds a training takes on this machine, of those not done.

    Steps are tried dense, and where sparse ones are executed otherwise also at the sparsest and a
    middle density, under random masks; densities in between are interpolated.

    Args:
        plan: the cells.
        done: names of those in the store.
        context: how they are executed. What is trained as one batch is counted one by one, which
            is too long.
        trial_seconds: how long a trial takes after its first step, at least one more step.
    """
    seconds: dict[str, float] = {}
    with configured(context.device, context.threads):
        for cells in _alike(plan, done):
            seconds |= _seconds_of_alike(cells, context, trial_seconds)
    return seconds


def least_seconds(plan: Work, seconds: Mapping[str, float], jobs: int) -> float:
    """The least that so many jobs take, from their start.

    Args:
        plan: the cells.
        seconds: name → seconds of those that are left; there may be none.
        jobs: cells at a time.
    """
    if not seconds:
        return 0.0
    parents = {name: set(cell.parents.values()) for name, cell in plan.cells.items()}
    return makespan(parents, seconds, jobs) + (_START_SECONDS if jobs > 1 else 0.0)


def makespan(
    parents: Mapping[str, Collection[str]], seconds: Mapping[str, float], jobs: int
) -> float:
    """The least that cells can take: all the work over the jobs, or the longest chain of it.

    Args:
        parents: cell → the cells that it is made from; these come first.
        seconds: name → seconds; none for those that are not named.
        jobs: cells at a time.
    """
    ends: dict[str, float] = {}  # if there were a job for every cell
    for name, before in parents.items():
        start = max((ends[other] for other in before), default=0.0)
        ends[name] = start + seconds.get(name, 0.0)
    return max(sum(seconds.values()) / jobs, *ends.values())


def _alike(plan: Work, done: Collection[str]) -> list[list[TrainCell]]:
    """The trainings that are left, those of one recipe, model and data set together."""
    alike: dict[str, list[TrainCell]] = defaultdict(list)
    for cell in plan.cells.values():
        if isinstance(cell, TrainCell) and cell.name not in done:
            alike[canonical_json(cell.recipe.inputs())].append(cell)
    return list(alike.values())


def _seconds_of_alike(
    cells: Sequence[TrainCell], context: Context, trial_seconds: float
) -> dict[str, float]:
    """The seconds of each of some trainings that are alike but for their masks."""
    recipe, data = cells[0].train, cells[0].data
    assert data is not None
    trial = _Trial(
        recipe, load_data(data, context.data_dir, context.device), context, trial_seconds
    )
    densities = sorted(map(_density, cells))
    tried = {densities[-1]: trial.seconds(cells[0], densities[-1])}
    if trial.is_quicker_sparse:
        for density in (densities[0], densities[len(densities) // 2]):
            tried[density] = trial.seconds(cells[0], density)
    known = sorted(tried)
    per_step, per_evaluation = np.array([tried[density] for density in known]).T
    every = Duration.parse(recipe.eval_every).steps(trial.batches.steps_per_epoch)
    seconds = {}
    for cell in cells:
        num_evaluations = max(1, cell.last_step // every - cell.first_step // every)
        seconds[cell.name] = float(
            cell.num_steps * np.interp(_density(cell), known, per_step)
            + num_evaluations * np.interp(_density(cell), known, per_evaluation)
        )
    return seconds


def _density(cell: TrainCell) -> float:
    """What it trains with; dense where its mask moves, since it is dense for most of the time: of
    lenet-mnist's gradual trainings that is nearer than the density they end with."""
    return cell.label.density if "mask" in cell.parents else 1.0


class _Trial:
    """Trainings that are begun and thrown away.

    Attributes:
        batches: of the training split.
        is_quicker_sparse: whether sparse steps are executed as such; known once a step was tried.
    """

    def __init__(
        self, recipe: TrainSpec, data: DataSet, context: Context, trial_seconds: float
    ) -> None:
        augment = augmentation_of(recipe)
        self.batches = Batches(data.train, recipe.batch_size, 0, augment)
        self.is_quicker_sparse = False
        self._recipe, self._data, self._context = recipe, data, context
        self._trial_seconds = trial_seconds

    def seconds(self, cell: TrainCell, density: float) -> tuple[float, float]:
        """Of a step, and of evaluating all splits, at a density of every layer."""
        recipe, loss = self._recipe, loss_of(self._recipe)
        with random_state_kept([self._context.device]):
            model = drawn_model(cell.recipe.model, cell.seeds.init)
            mask = _random_mask(model, density) if density < 1 else None
            rewind_(model, {name: v.clone() for name, v in model.state_dict().items()}, mask)
            model.to(self._context.device).train()
            step = step_for(
                model, optimizer_of(recipe)(model.parameters()), mask or {}, self.batches,
                loss=loss, clip_norm=recipe.clip_norm, precision=recipe.precision or "fp32",
                kernels=self._context.kernels,
            )  # fmt: skip
            self.is_quicker_sparse = step.description["step"] == "direct"
            batches = itertools.cycle(self.batches.order(0))
            per_step = _pace(lambda: float(step(next(batches), recipe.lr)), self._trial_seconds)
            splits = [s for s in (self._data.validation, self._data.test) if s is not None]
            part = splits[0].first(EVALUATED_TOGETHER)
            per_part = _pace(
                lambda: evaluate(model, part, loss, outputs=step.outputs).loss,
                self._trial_seconds,
            )
        return per_step, per_part * sum(map(len, splits)) / len(part)


def _random_mask(model: nn.Module, density: float) -> PruningMask:
    numbers = generator(0, "estimate")
    return PruningMask.from_tensors(
        {
            name: torch.rand(parameter.shape, generator=numbers) < density
            for name, parameter in layer_weights(model).items()
        }
    )


def _pace(do: Callable[[], object], enough_seconds: float) -> float:
    """Seconds of doing something once more; the first time does not count."""
    do()
    start, times = time.perf_counter(), 0
    while not times or time.perf_counter() - start < enough_seconds:
        do()
        times += 1
    return (time.perf_counter() - start) / times
