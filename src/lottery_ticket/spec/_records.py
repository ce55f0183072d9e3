"""Data, model and recipe of a spec."""

import inspect
import math
from collections.abc import Sequence
from typing import Annotated, Any, Self, get_args, get_origin

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from lottery_ticket.data import AUGMENTATIONS, dataset_options
from lottery_ticket.errors import nearest
from lottery_ticket.models import model_options
from lottery_ticket.spec._base import DurationText, Float, Record, flushes, one_of, shown
from lottery_ticket.spec._lengths import check_lengths
from lottery_ticket.steps import Duration
from lottery_ticket.train import LOSSES, OPTIMIZERS, SCHEDULES

__all__ = ["DataSpec", "ModelSpec", "TrainSpec"]

# auto is fp32: no preset asks for another
PRECISIONS = ("fp32", "bf16", "auto")


def _plain(value: Any) -> bool:
    """Whether JSON can say it."""
    if isinstance(value, list | tuple):
        return all(_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _plain(item) for key, item in value.items())
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


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
        _check_options(f"data set {self.name!r}", self.options, dataset_options(self.name))
        return self


class ModelSpec(_Open):
    """Which architecture; further keys are the model's own options (`hidden`, …)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_options(f"model {self.name!r}", self.options, model_options(self.name))
        return self


# annotation → what is taken, in Python and in words
_SCALARS: dict[str, tuple[Any, str]] = {
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "str": (str, "text"),
    "bool": (bool, "true or false"),
}


def _check_options(
    owner: str, options: dict[str, Any], known: dict[str, inspect.Parameter]
) -> None:
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
    for name, value in options.items():
        if not _plain(value):
            raise ValueError(
                f"option {name!r}: got {_shown(value)}, wanted a number, text, true, false, null, "
                "or lists and mappings of these"
            )
        if isinstance(value, float) and flushes(value):
            raise ValueError(f"option {name!r}: {value:g} is 0 in float32; write 0 if it is meant")
        if name not in known:
            if takes_any:
                continue
            hint = nearest(name, known) if known else "; it takes none"
            raise ValueError(f"{owner} has no option {name!r}{hint}")
        wanted = known[name].annotation
        if get_origin(wanted) in (Sequence, list):
            if not isinstance(value, list | tuple):
                raise ValueError(f"option {name!r}: got {_shown(value)}, wanted a list")
            for item in value:
                _check_scalar(name, item, *get_args(wanted))
        else:
            _check_scalar(name, value, wanted)


def _check_scalar(name: str, value: object, wanted: Any) -> None:
    wanted = wanted if isinstance(wanted, str) else getattr(wanted, "__name__", str(wanted))
    if wanted not in _SCALARS:
        return
    kind, words = _SCALARS[wanted]
    is_wrong_bool = isinstance(value, bool) and wanted != "bool"
    if is_wrong_bool or not isinstance(value, kind):
        raise ValueError(f"option {name!r}: got {_shown(value)}, wanted {words}")


def _shown(value: object) -> str:
    return f"{shown(value)} ({type(value).__name__})"


class TrainSpec(Record):
    """The recipe: how every cell of the run trains."""

    optimizer: Annotated[str, one_of("optimizer", OPTIMIZERS)] = "sgd"
    lr: Float = Field(gt=0)
    momentum: Float = Field(0.0, ge=0, lt=1)
    nesterov: bool = False
    betas: Annotated[tuple[Beta, Beta], Field(strict=False)] | None = None
    weight_decay: Float = Field(0.0, ge=0)
    clip_norm: Annotated[Float, Field(gt=0)] | None = None
    batch_size: int = Field(gt=0, le=2**31)
    duration: DurationText
    loss: Annotated[str, one_of("loss", LOSSES)] = "cross_entropy"
    schedule: Annotated[str, one_of("schedule", SCHEDULES)] = "constant"
    milestones: Annotated[tuple[DurationText, ...], Field(strict=False)] = ()
    gamma: Annotated[Float, Field(gt=0)] | None = None
    warmup: DurationText | None = None
    augment: Annotated[str, one_of("augmentation", AUGMENTATIONS)] | None = None
    eval_every: DurationText = "1ep"
    precision: Annotated[str | None, BeforeValidator(_precision)] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        known = OPTIMIZERS[self.optimizer][1]
        for option in ("momentum", "nesterov", "betas", "weight_decay"):
            if getattr(self, option) and option not in known:
                raise ValueError(f"{option} has no effect with {self.optimizer}; leave it out")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov has no effect without momentum")
        if self.schedule == "step" and not self.milestones:
            raise ValueError("schedule 'step' wants milestones, such as [10ep, 15ep]")
        if self.schedule != "step" and (self.milestones or self.gamma is not None):
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
    def optimizer_options(self) -> dict[str, Any]:
        """What the optimiser is built with, beside lr."""
        names = OPTIMIZERS[self.optimizer][1] & set(type(self).model_fields)
        return {name: getattr(self, name) for name in sorted(names) if getattr(self, name)}
