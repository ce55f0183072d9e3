"""What a run is judged by beside accuracy and loss: metrics that users register."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch

from lottery_ticket.errors import TrainingError
from lottery_ticket.process import random_state_kept
from lottery_ticket.registry import Registry

__all__ = ["METRICS", "Measured", "Metric", "MetricKind", "measured", "register_metric"]

Metric = Callable[..., torch.Tensor | float]


class MetricKind(NamedTuple):
    """A metric.

    Args:
        function: (outputs, targets, **options) of a whole split → a value for each example, whose
            mean counts, or one number.
        higher_is_better: its direction.
    """

    function: Metric
    higher_is_better: bool


METRICS: Registry[MetricKind] = Registry(
    "metric", "; register your own with register_metric", code=lambda kind: (kind.function,)
)
"""The metrics by name; there is none but those that users register."""

_Made = TypeVar("_Made", bound=Metric)


def register_metric(name: str, *, higher_is_better: bool = True) -> Callable[[_Made], _Made]:
    """Decorator that lets specs say `metric: name`: trainings are measured by it, and judged.

    Args:
        name: what specs and tables call it.
        higher_is_better: its direction.

    Returns:
        A decorator for a function `(outputs, targets, …)` of a whole split, on the CPU. It returns
        a value for each example `(N,)`, so that nets can be compared example by example, or one
        number where there is no such value. What it takes beside these two are its options.

    Raises:
        UsageError: the name is taken.

    >>> @register_metric("top3")
    ... def top3(outputs, targets):
    ...     return (outputs.topk(3, dim=1).indices == targets[:, None]).any(1).float()
    """

    def file(function: _Made) -> _Made:
        METRICS.add(name, MetricKind(function, higher_is_better), is_user=True)
        return function

    return file


class Measured(NamedTuple):
    """A metric's value on a split, and of each example where it has one, float32 (N,)."""

    value: float
    examples: torch.Tensor | None


def measured(metric: Metric, outputs: torch.Tensor, targets: torch.Tensor) -> Measured:
    """The value of a metric on a whole split.

    Args:
        metric: (outputs, targets) → a value for each example, or one number.
        outputs, targets: of all examples, on the CPU.

    Raises:
        TrainingError: it fails, or returns something else.
    """
    try:
        with random_state_kept():
            found = torch.as_tensor(metric(outputs, targets)).detach().float().cpu()
    except Exception as error:  # a user's own may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise TrainingError(f"the metric {_name(metric)!r} failed: {reason}") from error
    if found.ndim == 0 or (found.ndim == 1 and len(found) == 1 != len(targets)):
        return Measured(float(found), None)
    if found.shape != (len(targets),):
        raise TrainingError(
            f"the metric {_name(metric)!r} returned the shape {tuple(found.shape)}; wanted a value "
            f"for each of {len(targets)} examples, or one number"
        )
    return Measured(float(found.double().mean()), found)


def _name(metric: Metric) -> str:
    return getattr(getattr(metric, "func", metric), "__name__", type(metric).__name__)
