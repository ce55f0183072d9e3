"""How a search makes its masks."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from lottery_ticket.criteria import CRITERIA, Criterion, CriterionLike, as_criterion, score
from lottery_ticket.errors import UsageError
from lottery_ticket.finder._arguments import (
    as_batches,
    as_pipeline,
    check_optional_call,
    whole_number,
    within,
)
from lottery_ticket.masks import (
    Asked,
    Budget,
    PruningMask,
    Structure,
    check_fraction,
    input_dims,
    select_at,
    warn_if_missed,
)
from lottery_ticket.pruning import (
    PIPELINES,
    Pipeline,
    Schedule,
    channel_layers,
    example_of_given,
    inputs_seen,
    iterative,
    next_mask,
    target_sparsity,
)
from lottery_ticket.seeds import generator

__all__ = ["Method", "chosen_schedule", "schedule_of_levels"]

_DEFAULT_SPARSITY = 0.9
_DEFAULT_RATE = 0.2


@dataclass(frozen=True)
class Method:
    """How masks are made, and by which pipeline; the arguments of `find_winning_ticket`."""

    criterion: Criterion
    scope: str = "global"
    structure: str = "unstructured"
    min_layer_density: float = 0.0
    pipeline: Pipeline = PIPELINES["lth"]
    rewind_step: int | None = None
    seed: int = 0
    batches: Sequence[Any] | None = None
    loss: Callable[..., torch.Tensor] | None = None
    batch_loss: Callable[..., torch.Tensor] | None = None

    @classmethod
    def checked(
        cls,
        criterion: CriterionLike,
        pipeline: str | Pipeline,
        rewind_step: int | None,
        batches: Iterable[Any] | None,
        *,
        min_layer_density: float,
        **others: Any,
    ) -> "Method":
        """The method, once its parts are known to fit.

        Raises:
            UsageError: an unknown criterion or pipeline; a rewind step without effect, or none
                where one is wanted; a criterion that lacks what it needs; a value of another kind.
        """
        pipeline = as_pipeline(pipeline)
        if pipeline.has_rewind_step != (rewind_step is not None):
            raise UsageError(
                "this pipeline rewinds to step k; pass rewind_step=k (optimiser steps)"
                if rewind_step is None
                else 'rewind_step has no effect on this pipeline; use pipeline="rewind"'
            )
        if rewind_step is not None:
            rewind_step = whole_number("rewind_step", rewind_step, least=0)
        Structure.parse(others["structure"])
        check_optional_call("loss", "loss(output, target)", others["loss"], 2)
        check_optional_call("batch_loss", "batch_loss(model, batch)", others["batch_loss"], 2)
        if others["loss"] is not None and others["batch_loss"] is not None:
            raise UsageError("loss and batch_loss say the same thing; pass one of them")
        entry = as_criterion(criterion)
        made = cls(
            criterion=entry,
            pipeline=pipeline,
            rewind_step=rewind_step,
            batches=as_batches(batches),
            min_layer_density=within("min_layer_density", min_layer_density, 1.0),
            **others,
        )
        made.check_has_batches(entry)
        return made

    def check_has_batches(self, criterion: Criterion) -> None:
        """Raises `UsageError` if the criterion needs data and there are none."""
        if self.batches is None and (criterion.needs_data or "input_shape" in criterion.needs):
            raise UsageError(
                f"criterion {criterion.name!r} needs data; pass batches=[(x, y), …] or a loader to "
                "find_winning_ticket"
            )

    @property
    def starts_later(self) -> bool:
        """Whether pruned trainings start elsewhere than at step 0 of the schedule."""
        return self.pipeline.first_step(rewind=self.rewind_step or 0, end=1) > 0

    @property
    def has_channels(self) -> bool:
        """Whether whole channels are pruned."""
        return Structure.parse(self.structure).kind == "channel"

    def layers(
        self, model: nn.Module, dense: PruningMask, evaluate: Callable[[], object]
    ) -> PruningMask:
        """The dense mask of what is pruned; with channels some layers stay out of it.

        Args:
            evaluate: runs the model on the user's data; called only to see what that is.
        """
        if not self.has_channels:
            return dense
        given = {"batches": self.batches, "batch_loss": self.batch_loss}
        example = example_of_given(model, given) or inputs_seen(model, evaluate)
        return channel_layers(model, dense, example, is_guess=True).cut

    def check_batches(self, model: nn.Module, dense: PruningMask) -> None:
        """Raises `UsageError` if the criterion could not take the loss of the first batch."""
        if self.batches is not None and "batch_loss" in self.criterion.needs:
            given: dict[str, Any] = {"loss": self.loss, "batch_loss": self.batch_loss}
            score("saliency", model=model, mask=dense, batches=self.batches[:1], **given)

    def check_structure(
        self, model: nn.Module, dense: PruningMask, budgets: Sequence[Budget]
    ) -> None:
        """Raises `UsageError` if the structure does not fit the layers or the first level.

        Warns:
            MissedDensityWarning: channels do not allow for the last level.
        """
        if Structure.parse(self.structure).kind == "unstructured":
            return
        scores = {name: torch.ones(kept.shape) for name, kept in dense.items()}
        mask, dims = dense.to("cpu"), input_dims(model, dense)
        how: dict[str, Any] = {"scope": self.scope, "min_layer_density": self.min_layer_density}
        keep = budgets[-1] if self.has_channels else budgets[1]
        made = select_at(
            scores, mask, budget=keep, structure=self.structure, input_dims=dims, **how
        )
        if self.has_channels:
            warn_if_missed(mask, made, Asked(keep, **how), input_dims=dims)

    @property
    def settings(self) -> dict[str, Any]:
        """What is saved of it, as plain values."""
        return {
            "criterion": self.criterion.name,
            "scope": self.scope,
            "structure": self.structure,
            "min_layer_density": self.min_layer_density,
            "pipeline": asdict(self.pipeline),
            "rewind_step": self.rewind_step,
            "seed": self.seed,
        }

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> "Method":
        """The method of a search that was saved; data, loss and the user's own code are not."""
        name = settings["criterion"]
        names = ("scope", "structure", "min_layer_density", "rewind_step", "seed")
        return cls(
            criterion=CRITERIA[name] if name in CRITERIA else _not_saved(name),
            pipeline=Pipeline(**settings["pipeline"]),
            **{name: settings[name] for name in names},
        )

    def next_mask(
        self,
        model: nn.Module,
        mask: PruningMask,
        keep: Budget,
        initial: Mapping[str, torch.Tensor],
    ) -> PruningMask:
        """The best of what `mask` keeps, by the weights that `model` holds now."""
        device = next(iter(mask.values())).device
        return next_mask(
            self.criterion,
            mask,
            keep,
            scope=self.scope,
            structure=self.structure,
            min_layer_density=self.min_layer_density,
            input_dims=input_dims(model, mask),
            model=model,
            initial={name: initial[name].to(device) for name in mask},
            batches=self.batches,
            loss=self.loss,
            batch_loss=self.batch_loss,
            generator=generator(self.seed, "mask"),
        )


def _not_saved(name: str) -> Criterion:
    def score(mask: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        raise UsageError(
            f"criterion {name!r} is your own code, which is not saved with a search; continue it "
            "with find_winning_ticket(criterion=…, resume=…) instead"
        )

    score.__name__ = name
    return Criterion(score)


def chosen_schedule(
    schedule: Schedule | None, sparsity: float | None, rounds: int | None, pipeline: Pipeline
) -> Schedule:
    """The schedule that the arguments of `find_winning_ticket` mean.

    Raises:
        UsageError: a schedule is given beside the arguments that it replaces, or is none.
    """
    if schedule is not None:
        if not isinstance(schedule, Schedule):
            raise UsageError(
                f"schedule: got {schedule!r}, wanted one such as iterative(0.2, levels=10), "
                "densities(0.5, 0.1) or one_shot(0.9) of lottery_ticket.pruning"
            )
        if sparsity is not None or rounds is not None:
            raise UsageError("give either schedule, or target_sparsity and pruning_rounds")
        return schedule
    sparsity = check_fraction(
        "target_sparsity", _DEFAULT_SPARSITY if sparsity is None else sparsity
    )
    if rounds is None:
        each = math.ceil(math.log(1 - sparsity) / math.log(1 - _DEFAULT_RATE))
        rounds = 1 if pipeline.masks_change == "never" else max(1, each)
    return target_sparsity(sparsity, rounds)


def schedule_of_levels(
    schedule: Schedule | None, sparsity: float | None, rounds: int | None, amount: float | None
) -> Schedule:
    """`chosen_schedule`, or by the fraction of what remains that each level prunes.

    Raises:
        UsageError: more than one is given, or an amount without the number of levels.
    """
    if amount is None:
        return chosen_schedule(schedule, sparsity, rounds, PIPELINES["lth"])
    if schedule is not None or sparsity is not None:
        raise UsageError("give amount (of what remains), or target_sparsity, or schedule")
    if rounds is None:
        raise UsageError(
            f"amount={amount!r} of what remains is pruned by each level; pass pruning_rounds, how "
            "many there are"
        )
    return iterative(amount, rounds)
