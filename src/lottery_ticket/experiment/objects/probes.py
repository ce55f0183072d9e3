"""Probes: what is measured on stored trainings, without training anything."""

import contextlib
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import nn

from lottery_ticket.data import DataSet
from lottery_ticket.errors import LotteryError, TrainingError, UsageError
from lottery_ticket.experiment.objects.travel import travel
from lottery_ticket.registry import Registry, check_options
from lottery_ticket.train import Loss, evaluate

__all__ = ["PROBES", "Probe", "Row", "probe_rows", "register_probe"]

Row = dict[str, Any]
ProbeFunction = Callable[..., Iterable[Mapping[str, Any]]]

GIVEN = ("model", "mask", "data", "loss", "generator", "points")
"""What a probe can ask for by the name of a parameter without a default."""

_PLACE = ("run", "probe", "arm", "level", "replicate", "draw", "density", "cell")


@dataclass(frozen=True)
class Probe:
    """What is measured.

    Args:
        function: its parameters without a default are filled in by name: `model` (trained, in
            eval mode, pruned weights zero), `mask` (what it keeps; of a dense net, everything),
            `data` (a `DataSet`: the run's own, or the one that is asked for), `loss` (the
            recipe's), `generator`, `points` (moment → the whole state then: `"initial"` (θ₀),
            `"rewind"` (θ_k) or `"start"` (of another net) where a training has such a moment,
            `"trained"`). Those with a default are its options. It returns rows: mappings
            of texts and numbers, with a number under `value`.
        numerics: raised when it measures other values of the same.

    Raises:
        UsageError: the function wants something that no probe can have.
    """

    function: ProbeFunction
    numerics: int = 1

    def __post_init__(self) -> None:
        for name in self.needs:
            if name not in GIVEN:
                raise UsageError(
                    f"probe {self.function.__name__!r} has a parameter {name!r} that nothing is "
                    f"known to fill; parameters without a default are among: {', '.join(GIVEN)}"
                )

    @cached_property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.function).parameters

    @property
    def needs(self) -> list[str]:
        """What it is given."""
        return [name for name, p in self._parameters.items() if p.default is p.empty]

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """What a user may say."""
        return {n: p for n, p in self._parameters.items() if p.default is not p.empty}

    def check_options(self, name: str, options: Mapping[str, Any]) -> None:
        """Raise `UsageError` for an option that it does not have, or of another type."""
        check_options(f"probe {name!r}", options, self.options)


PROBES: Registry[Probe] = Registry(
    "probe",
    "; one of your own is registered with --import FILE.py",
    code=lambda probe: (probe.function,),
)
"""The probes by name."""

_Made = TypeVar("_Made", bound=ProbeFunction)


def register_probe(name: str) -> Callable[[_Made], _Made]:
    """Decorator that files a function of one's own as the probe `name`.

    Args:
        name: what `lottery probe RUN name` calls it.

    Returns:
        A decorator for a function as `Probe` describes it.

    Raises:
        UsageError: the name is taken, or it wants something that no probe can have.

    >>> @register_probe("norm")
    ... def norm(model):
    ...     for name, parameter in model.named_parameters():
    ...         yield {"layer": name, "value": float(parameter.norm())}
    """

    def file(function: _Made) -> _Made:
        PROBES.add(name, Probe(function), is_user=True)
        return function

    return file


def probe_rows(
    name: str,
    *,
    model: nn.Module,
    mask: Mapping[str, torch.Tensor],
    data: DataSet | None,
    loss: Loss,
    generator: torch.Generator,
    options: Mapping[str, Any],
    points: Mapping[str, Mapping[str, torch.Tensor]] | None = None,
) -> list[Row]:
    """What a probe measures of a net.

    Raises:
        LotteryError: it fails, or its rows are no rows.
    """
    probe = PROBES[name]
    given = {
        "model": model, "mask": mask, "data": data, "loss": loss, "generator": generator,
        "points": points,
    }  # fmt: skip
    try:
        found = list(probe.function(**{n: given[n] for n in probe.needs}, **options))
    except LotteryError:
        raise
    except Exception as error:  # a user's own may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise TrainingError(f"the probe {name!r} failed: {reason}") from error
    return [_checked(name, row) for row in found]


def _checked(name: str, row: object) -> Row:
    if not isinstance(row, Mapping) or "value" not in row:
        raise TrainingError(f"the probe {name!r} gave {row!r:.80}, wanted a mapping with a value")
    if taken := sorted(set(row) & set(_PLACE)):
        raise TrainingError(f"the probe {name!r} gave {taken[0]!r}, which the run says itself")
    plain = {str(key): _plain(name, key, value) for key, value in row.items()}
    if not isinstance(plain["value"], int | float | None):
        raise TrainingError(f"the probe {name!r} gave the value {row['value']!r:.80}, no number")
    return plain


def _plain(name: str, key: object, value: object) -> Any:
    """As JSON has it; a number that is none is None."""
    if hasattr(value, "item"):  # of torch, of NumPy
        with contextlib.suppress(ValueError, RuntimeError):  # it holds several
            value = value.item()  # pyright: ignore[reportAttributeAccessIssue]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    raise TrainingError(
        f"the probe {name!r} gave {value!r:.80} under {key!r}, wanted a number or a text"
    )


def _evaluate(model: nn.Module, data: DataSet, loss: Loss, split: str = "test") -> Iterator[Row]:
    """The loss, and the accuracy of a classifier, on a split of a data set."""
    chosen = getattr(data, split, None) if split in ("train", "validation", "test") else None
    if chosen is None:
        raise UsageError(f"split: got {split!r}, which {data.name!r} does not have")
    found = evaluate(model, chosen, loss)
    for metric, value in (("accuracy", found.accuracy), ("loss", found.loss)):
        if value is not None:
            yield {"data": data.name, "split": split, "metric": metric, "value": value}


PROBES.add("evaluate", Probe(_evaluate))
PROBES.add("travel", Probe(travel))
