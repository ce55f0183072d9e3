"""A search over several fits of somebody else's trainer: which level is next, and from where.

Here nobody calls `train_fn`: a callback of the trainer asks what a fit starts with, and says how it
ended.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from lottery_ticket.arms import TICKET
from lottery_ticket.errors import UsageError
from lottery_ticket.finder._arguments import whole_number
from lottery_ticket.finder._levels_state import saved_search, search_in
from lottery_ticket.finder._method import Method, schedule_of_levels
from lottery_ticket.finder._packed import PackedMasks
from lottery_ticket.finder._problems import training_problems
from lottery_ticket.finder._results import TicketResults
from lottery_ticket.finder._search import Row, Search
from lottery_ticket.finder._training import state_on_cpu
from lottery_ticket.masks import (
    Attachment,
    Budget,
    MaskPolicy,
    PruningMask,
    copied_to_cpu,
    warn_on_collapse,
)
from lottery_ticket.metric_names import mode_of
from lottery_ticket.names import named_state, near
from lottery_ticket.pruning import Schedule, rewind_
from lottery_ticket.tensor_files import made_sense_of
from lottery_ticket.tickets import Ticket, WeightsOrigin, versions

__all__ = ["FitStart", "Levels"]


@dataclass(frozen=True)
class FitStart:
    """What a fit starts with.

    Args:
        mask: what is kept.
        step: optimiser steps that lie before it.
        rewind_step: keep θ_k of it, after so many steps.
        optimizer_state: of step `step`; None for a fresh one.
        policy: what moves the mask.
        seed: of what that draws.
    """

    mask: PruningMask
    step: int = 0
    rewind_step: int | None = None
    optimizer_state: Mapping[int, Any] | None = None
    policy: MaskPolicy | None = None
    seed: int = 0


@dataclass
class Levels:
    """What a search over several fits has found, and what its next fit trains.

    Args:
        method: how masks are made.
        schedule: how many weights each level keeps.
        prunable: `targets`, `ignore` and `min_size`, as in `PruningMask`.
        monitor: the metric that a level is judged by, as it was logged; None for none.
        mode: `"max"` if a higher value of it is better, else `"min"`.
        name: what results call the search; by default as its model.

    >>> levels, model = Levels.checked(target_sparsity=0.5, pruning_rounds=1), nn.Linear(4, 2)
    >>> while not levels.is_done:
    ...     start = levels.begin(model)
    ...     with start.mask.attach(model) as attached:
    ...         pass  # the trainer's fit
    ...     levels.finish(model, attached)
    >>> [row.num_kept for row in levels.results.rows]
    [8, 4]
    """

    method: Method
    schedule: Schedule
    prunable: Mapping[str, Any]
    monitor: str | None = None
    mode: str = "max"
    name: str | None = None
    search: Search | None = None
    metric: float = math.nan  # of the fit under way, as last seen
    budgets: Sequence[Budget] = field(default_factory=list)
    _is_logged: bool = False
    _names_logged: set[str] = field(default_factory=set)
    _is_loaded: bool = False  # from a checkpoint, whose layers are not compared yet

    @classmethod
    def checked(
        cls,
        *,
        target_sparsity: float | None = None,
        pruning_rounds: int | None = None,
        schedule: Schedule | None = None,
        amount: float | None = None,
        rewind_step: int | None = None,
        prunable: Mapping[str, Any] | None = None,
        monitor: str | None = None,
        mode: str | None = None,
        name: str | None = None,
        **method: Any,
    ) -> "Levels":
        """The levels, once their arguments are known to fit.

        Args:
            target_sparsity, pruning_rounds, schedule: as in `find_winning_ticket`.
            amount: in place of `target_sparsity`, the fraction of what *remains* that each level
                prunes.
            rewind_step: k; None for θ₀.
            prunable, monitor, mode, name: as in the record.
            method: `criterion`, `scope`, `structure`, `min_layer_density`, `batches`, `loss`,
                `batch_loss`, `seed`, as in `find_winning_ticket`.

        Raises:
            UsageError: they do not.
        """
        mode = mode_of(monitor, mode)
        usual = {
            "scope": "global", "structure": "unstructured", "min_layer_density": 0.0, "seed": 0,
            "loss": None, "batch_loss": None,
        }  # fmt: skip
        given = {**usual, **method}
        whole_number("seed", given["seed"])
        criterion, batches = given.pop("criterion", "magnitude"), given.pop("batches", None)
        pipeline = "lth" if rewind_step is None else "rewind"
        return cls(
            Method.checked(criterion, pipeline, rewind_step, batches, **given),
            schedule_of_levels(schedule, target_sparsity, pruning_rounds, amount),
            prunable or {},
            monitor,
            mode,
            name,
        )

    @property
    def num_finished(self) -> int:
        """Levels that are trained."""
        return 0 if self.search is None else len(self.search.rows)

    @property
    def is_done(self) -> bool:
        """Whether every level is trained."""
        return self.search is not None and self.num_finished == len(self.budgets)

    @property
    def results(self) -> TicketResults:
        """The trainings so far.

        Raises:
            UsageError: none is finished.
        """
        return TicketResults(self._found())

    def begin(self, model: nn.Module, *, is_continued: bool = False) -> FitStart:
        """What the next level starts with, in the model unless a fit is continued.

        The first one takes the weights that the model has as θ₀.

        Raises:
            UsageError: every level is trained, or the model is another one.
        """
        if self.is_done:
            raise UsageError(
                f"all {len(self.budgets)} levels are trained (is_done); make a new callback for "
                "another search"
            )
        if self.search is None:
            self._start_search(model)
        self._check_layers(model)
        level, k, search = self.num_finished, self.method.rewind_step, self.search
        assert search is not None
        mask = search.masks[level].to(_device_of(model))
        if not is_continued:
            self._rewind(model, mask)
        if not level:
            return FitStart(mask, rewind_step=k)
        point = search.rewind_point
        if point is None:
            return FitStart(mask)
        return FitStart(mask, point.step, optimizer_state=point.optimizer_state)

    def finish(
        self,
        model: nn.Module,
        attached: Attachment,
        seconds: float = 0.0,
    ) -> None:
        """Note that the level of a model is trained, and make the mask of the next one.

        Raises:
            UsageError: it ended before the rewind step, logged no metric of that name in the first
                fit, or left weights of which no mask can be made. Then nothing is noted.
        """
        search, level = self.search, self.num_finished
        assert search is not None
        if not level:
            self._check_was_reached(attached)
            self._check_was_logged()
        problems = self._training_problems(model, attached)
        is_last = level + 1 == len(self.budgets)
        made = None if is_last else self._next_mask(model, attached.mask)
        if not level:
            search.rewind_point = attached.rewind_point
        search.trained = copied_to_cpu(named_state(model))
        search.add(
            Row(
                arm=TICKET,
                level=level,
                draw=0,
                num_kept=attached.mask.num_kept,
                metric=self.metric,
                num_steps=attached.num_steps,
                seconds=seconds,
                criterion=self.method.criterion.name,
                scope=self.method.scope,
                device=_device_of(model).type,
                problems=(*problems, *self._metric_problems()),
            )
        )
        self.metric, self._is_logged, self._names_logged = math.nan, False, set()
        if made is not None:
            search.masks.append(made)

    def ticket(self, *, trained: bool = True) -> Ticket:
        """The ticket that was trained last.

        Raises:
            UsageError: none was, or its results are invalid.
        """
        search = self._found()
        if problems := self.results.problems:
            raise UsageError(f"ticket: the results are invalid: {problems[0]}")
        point, row = search.rewind_point, search.rows[-1]
        is_rewound = point is not None and row.level > 0
        return Ticket(
            mask=search.masks[row.level],
            origin=WeightsOrigin(point.weights, point.step)
            if is_rewound and point is not None
            else WeightsOrigin(search.initial),
            metrics=self._metrics(row, search.rows[0]),
            provenance={**versions(), "level": row.level, **self.method.settings},
            trained=search.trained if trained and search.trained else None,
        )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of it: tensors and plain values."""
        if self.search is None:
            return {}
        return {**saved_search(self.search), "metric": self.metric}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` said.

        Raises:
            DataError: it is something else.
            UsageError: it is of another search.
        """
        if not state:  # of before its first fit
            self.search, self.metric = None, math.nan
            return
        with made_sense_of("checkpoint", "state of a search over several fits", "; it is another"):
            search = search_in(state)
        dense, settings = search.masks[0], search.settings
        wanted = json.loads(json.dumps(self._settings(dense, settings["name"]), default=repr))
        for key in ("schedule", *self.method.settings, "mode", "monitor"):
            if settings.get(key) != wanted[key]:
                raise UsageError(
                    f"checkpoint: it is of a search with {key} {settings.get(key)!r}, and this "
                    f"one has {wanted[key]!r}; choose another checkpoint, or the same arguments"
                )
        self.budgets, self.search = self._budgets(dense), search
        self.metric, self._is_loaded = float(state["metric"]), True

    def note_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Take the metric that the level will be judged by, if it was logged by now."""
        self._names_logged |= set(metrics)
        if self.monitor is not None and self.monitor in metrics:
            self.metric, self._is_logged = float(metrics[self.monitor]), True

    def _check_layers(self, model: nn.Module) -> None:
        """That a search from a checkpoint prunes what this one does."""
        if not self._is_loaded or self.search is None:
            return
        here, there = set(self._dense(model)), set(self.search.settings["layers"])
        if others := sorted(here ^ there):
            raise UsageError(
                f"checkpoint: it is of a search that prunes other parameters ({others[0]!r} is in "
                "one of the two); pass the same targets, ignore and min_size, or choose another "
                "checkpoint"
            )
        self._is_loaded = False

    def _dense(self, model: nn.Module) -> PruningMask:
        return self.method.layers(model, PruningMask(model, **self.prunable), lambda: None)

    def _start_search(self, model: nn.Module) -> None:
        dense = self._dense(model)
        self.budgets = self._budgets(dense)
        self.method.check_structure(model, dense, self.budgets)
        self.method.check_batches(model, dense)
        initial = copied_to_cpu(named_state(model))
        settings = self._settings(dense, type(model).__name__)
        self.search = Search(settings, initial, masks=PackedMasks([dense]))

    def _rewind(self, model: nn.Module, mask: PruningMask) -> None:
        """Put θ₀, or from level 1 on θ_k, into the model."""
        search = self.search
        assert search is not None
        point = search.rewind_point if self.num_finished else None
        try:
            rewind_(model, search.initial if point is None else point.weights, mask)
        except RuntimeError as error:
            raise UsageError(
                "the model is not the one that the search began with; give each fit that one, or "
                f"one made like it ({error})"
            ) from None

    def _found(self) -> Search:
        if self.search is None or not self.search.rows:
            raise UsageError("nothing was found yet: no fit was finished")
        return self.search

    def _budgets(self, dense: PruningMask) -> list[Budget]:
        shapes = {name: tuple(kept.shape) for name, kept in dense.items()}
        floor = 0.0 if self.method.has_channels else self.method.min_layer_density
        return self.schedule.budgets(shapes, scope=self.method.scope, min_layer_density=floor)

    def _settings(self, dense: PruningMask, model: str) -> dict[str, Any]:
        return {
            "name": self.name or model,
            "model": {"name": model},
            "mode": self.mode,
            "monitor": self.monitor,
            "replicate": 0,
            "layers": {name: list(kept.shape) for name, kept in dense.items()},
            "schedule": repr(self.schedule),
            "max_drop": None,
            "origin": None,
            **self.method.settings,
        }

    def _next_mask(self, model: nn.Module, mask: PruningMask) -> PruningMask:
        search = self.search
        assert search is not None
        keep = self.budgets[self.num_finished + 1]
        made = self.method.next_mask(model, mask.to(_device_of(model)), keep, search.initial)
        warn_on_collapse(made)
        return made

    def _check_was_reached(self, attached: Attachment) -> None:
        k = self.method.rewind_step
        if k is not None and attached.rewind_point is None:
            raise UsageError(
                f"rewind_step {k} was not reached: the fit made {attached.num_steps} optimizer "
                "steps"
            )

    def _check_was_logged(self) -> None:
        """Before the other levels are trained for a metric that there is not."""
        if self.monitor is None or self._is_logged or not math.isnan(self.metric):
            return
        names = sorted(self._names_logged)
        raise UsageError(
            f"monitor: the fit logged no {self.monitor!r}: self.log(…) in validation_step, and "
            f"validation data; it logged {', '.join(names) or 'nothing'}"
            f"{near(self.monitor, names)}"
        )

    def _training_problems(self, model: nn.Module, attached: Attachment) -> list[str]:
        """Those of a training by `train_fn`, and whether it trained at all."""
        search, level = self.search, self.num_finished
        assert search is not None
        point = search.rewind_point if level else None
        start = search.initial if point is None else point.weights
        before = _masked(start, search.masks[level])
        after = {name: v for name, v in state_on_cpu(model).items() if name in before}
        found = training_problems(
            model, attached, start=start, before=before, after=after, returned=None, who="the fit"
        )
        num_before = 0 if point is None else point.step
        stood = [] if attached.num_steps > num_before else ["the fit made no optimizer step"]
        return [*stood, *found]

    def _metric_problems(self) -> list[str]:
        if self.monitor is None or math.isfinite(self.metric):
            return []
        if math.isnan(self.metric) and not self._is_logged:
            return [f"the fit logged no {self.monitor!r}"]
        return [f"{self.monitor!r} is {self.metric}"]

    def _metrics(self, row: Row, dense: Row) -> dict[str, Any]:
        if self.monitor is None or math.isnan(row.metric):
            return {}
        return {"metric": row.metric, "dense": dense.metric, "mode": self.mode}


def _masked(
    weights: Mapping[str, torch.Tensor], mask: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    return {
        name: value.masked_fill(~mask[name].to(value.device), 0) if name in mask else value
        for name, value in weights.items()
    }


def _device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
