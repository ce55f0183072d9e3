"""Data, model and recipe of a spec."""

import inspect
from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from lottery_ticket.data import AUGMENTATIONS, dataset_options
from lottery_ticket.errors import nearest
from lottery_ticket.models import model_options
from lottery_ticket.registry import options_of
from lottery_ticket.spec._base import DurationText, Float, Record, flushes, one_of
from lottery_ticket.spec._lengths import check_lengths
from lottery_ticket.spec._options import check_given, with_options
from lottery_ticket.steps import Duration
from lottery_ticket.train import LOSSES, METRICS, OPTIMIZERS, SCHEDULES, schedule_options

__all__ = ["CHOICES", "DataSpec", "ModelSpec", "TrainSpec"]

# auto is fp32: no preset asks for another
PRECISIONS = ("fp32", "bf16", "auto")


def _precision(value: object) -> object:
    if isinstance(value, str) and value not in PRECISIONS:
        raise ValueError(f"unknown precision {value!r}{nearest(value, PRECISIONS)}")
    # what is said and what is left out are the same recipe, and have the same name
    return None if value in ("fp32", "auto") else value


Beta = Annotated[Float, Field(ge=0.0, lt=1.0)]


class _Open(Record):
    """A name, and whatever options the thing of that name takes."""

    model_config = ConfigDict(extra="allow")
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The options that were given."""
        return dict(self.model_extra or {})


class DataSpec(_Open):
    """Which data; further keys are the data set's own options (`validation`, `path`, …)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_given(f"data set {self.name!r}", self.options, dataset_options(self.name))
        return self


class ModelSpec(_Open):
    """Which architecture; further keys are the model's own options (`hidden`, …).

    `init` is the name of an initialiser, or `{path: FILE}`: weights to start from.
    """

    @property
    def options(self) -> dict[str, Any]:
        """The options that were given, but for the file to start from."""
        given = super().options
        return given if self.start is None else {n: v for n, v in given.items() if n != "init"}

    @property
    def start(self) -> str | None:
        """The file of the weights to start from, if there is one."""
        init = (self.model_extra or {}).get("init")
        return init["path"] if isinstance(init, dict) and "path" in init else None

    @model_validator(mode="after")
    def _check(self) -> Self:
        init = (self.model_extra or {}).get("init")
        if self.start is not None and (set(init or ()) != {"path"} or type(self.start) is not str):
            raise ValueError("init: write {path: FILE}, or the name of an initialiser")
        check_given(f"model {self.name!r}", self.options, model_options(self.name))
        return self


CHOICES = {
    "optimizer": OPTIMIZERS,
    "loss": LOSSES,
    "schedule": SCHEDULES,
    "augment": AUGMENTATIONS,
    "metric": METRICS,
}
"""What a recipe chooses by name → the table of what there is."""

# options that are keys of the recipe itself
_OF_OPTIMIZERS = ("momentum", "nesterov", "betas", "weight_decay")
_OF_SCHEDULES = ("milestones", "gamma")


class TrainSpec(Record):
    """The recipe: how every cell of the run trains.

    `optimizer`, `loss`, `schedule`, `augment` and `metric` are names; with options of their own
    `{name: …, option: …}` or `{name: {option: …}}`.
    """

    optimizer: Annotated[str, one_of(OPTIMIZERS)] = "sgd"
    lr: Float = Field(gt=0)
    momentum: Float = Field(0.0, ge=0, lt=1)
    nesterov: bool = False
    betas: Annotated[tuple[Beta, Beta], Field(strict=False)] | None = None
    weight_decay: Float = Field(0.0, ge=0)
    clip_norm: Annotated[Float, Field(gt=0)] | None = None
    batch_size: int = Field(gt=0, le=2**31)
    duration: DurationText
    loss: Annotated[str, one_of(LOSSES)] = "cross_entropy"
    schedule: Annotated[str, one_of(SCHEDULES)] = "constant"
    milestones: Annotated[tuple[DurationText, ...], Field(strict=False)] = ()
    gamma: Annotated[Float, Field(gt=0)] | None = None
    warmup: DurationText | None = None
    augment: Annotated[str, one_of(AUGMENTATIONS)] | None = None
    eval_every: DurationText = "1ep"
    precision: Annotated[str | None, BeforeValidator(_precision)] = None
    metric: Annotated[str, one_of(METRICS)] | None = None
    optimizer_options: dict[str, Any] = Field({})
    loss_options: dict[str, Any] = Field({})
    schedule_options: dict[str, Any] = Field({})
    augment_options: dict[str, Any] = Field({})
    metric_options: dict[str, Any] = Field({})

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return with_options(value, CHOICES) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        known = OPTIMIZERS[self.optimizer].options
        self._check_options()
        for option in ("momentum", "nesterov", "betas", "weight_decay"):
            if getattr(self, option) and option not in known:
                raise ValueError(f"{option} has no effect with {self.optimizer}; leave it out")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov has no effect without momentum")
        if self.schedule == "step" and not self.milestones:
            raise ValueError("schedule 'step' wants milestones, such as [10ep, 15ep]")
        if not {"milestones", "gamma"} & schedule_options(self.schedule) and (
            self.milestones or self.gamma is not None
        ):
            raise ValueError("milestones and gamma have no effect unless schedule is 'step'")
        if flushes(self.lr * self.step_gamma ** len(self.milestones)):
            raise ValueError("lr falls to 0 in float32 by gamma at the milestones; use fewer")
        for name in ("duration", "eval_every", "warmup"):
            length = getattr(self, name)
            if length is not None and Duration.parse(length).count == 0:
                raise ValueError(f"{name} must be longer than nothing")
        return self

    def check_lengths(self, steps_per_epoch: int | None = None) -> None:
        """Refuse milestones, a warm-up or an interval that the training is too short for.

        Without `steps_per_epoch`, only lengths in one unit are compared.

        Raises:
            UsageError: names the key, what it got and what it wants.
        """
        # the default is no wish: a training shorter than an epoch is evaluated at its end
        is_default = self.eval_every == type(self).model_fields["eval_every"].default
        check_lengths(
            duration=self.duration,
            milestones=self.milestones,
            warmup=self.warmup,
            eval_every=None if is_default else self.eval_every,
            steps_per_epoch=steps_per_epoch,
        )

    @property
    def step_gamma(self) -> float:
        """What the learning rate is multiplied with at each milestone; 0.1 unless given."""
        return 0.1 if self.gamma is None else self.gamma

    @property
    def optimizer_arguments(self) -> dict[str, Any]:
        """What the optimiser is built with, beside lr."""
        names = OPTIMIZERS[self.optimizer].options & set(_OF_OPTIMIZERS)
        given = {name: getattr(self, name) for name in sorted(names) if getattr(self, name)}
        return given | self.optimizer_options

    def code(self) -> Iterator[tuple[str, str]]:
        """The names in it that users can register, by what they are of."""
        for kind in CHOICES:
            if (name := getattr(self, kind)) is not None:
                yield kind, name

    def _check_options(self) -> None:
        """See that the options of each choice are its own, and said in one place."""
        kind = OPTIMIZERS[self.optimizer]
        further = kind.options - {*_OF_OPTIMIZERS}
        known = {
            "optimizer": {
                name: option
                for name, option in options_of(kind.make, given=1).items()
                if name in further and option.kind is not option.VAR_KEYWORD
            },
            "loss": options_of(LOSSES[self.loss], given=2),
            "schedule": dict.fromkeys(schedule_options(self.schedule) - {*_OF_SCHEDULES}),
            "augment": {} if self.augment is None else options_of(AUGMENTATIONS[self.augment]),
            "metric": {}
            if self.metric is None
            else options_of(METRICS[self.metric].function, given=2),
        }
        for kind, own in known.items():
            options = getattr(self, f"{kind}_options")
            if options and getattr(self, kind) is None:
                raise ValueError(f"{kind}_options has no effect without {kind}; leave it out")
            for name in options:
                if name in (*_OF_OPTIMIZERS, *_OF_SCHEDULES) and name not in own:
                    raise ValueError(f"{name} of {kind} is a key of train itself; write it there")
            parameters = {
                name: parameter or inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
                for name, parameter in own.items()
            }
            owner = f"{kind} {getattr(self, kind)!r}"  # a recipe has options of several things
            try:
                check_given(owner, options, parameters)
            except ValueError as error:
                said = str(error)
                raise ValueError(said if owner in said else f"{owner}: {said}") from None
