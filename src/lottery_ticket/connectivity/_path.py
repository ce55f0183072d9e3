"""A straight line between two nets, and what is measured along it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lottery_ticket.connectivity._statistics import refit_statistics_
from lottery_ticket.errors import UsageError
from lottery_ticket.names import check_shape, near

__all__ = ["Along", "LinearPath", "along", "check_alike"]

State = Mapping[str, torch.Tensor]


class LinearPath:
    """The nets (1 − α) a + α b.

    Its ends are `a` and `b` bit for bit. What is no number with a fraction (how many batches a norm
    has seen, indices) is `a`'s all along, but at the end: a count has no middle. Where both nets
    are zero, all are: a path between nets under one mask stays under it, one between two masks has
    the weights of either.

    Args:
        a, b: `state_dict()` of two nets of one architecture.

    Raises:
        UsageError: they differ in names, shapes or types.

    >>> path = LinearPath({"w": torch.zeros(2)}, {"w": torch.ones(2)})
    >>> path.at(0.25)
    {'w': tensor([0.2500, 0.2500])}

    Source: Frankle et al. 2020, "Linear Mode Connectivity and the Lottery Ticket Hypothesis".
    """

    def __init__(self, a: State, b: State) -> None:
        check_alike("path", a, b)
        self.a, self.b = dict(a), dict(b)

    def at(self, alpha: float) -> dict[str, torch.Tensor]:
        """The net at `alpha`: 0 is a, 1 is b.

        Raises:
            UsageError: it lies beyond the ends.
        """
        if not 0 <= alpha <= 1:
            raise UsageError(f"path: alpha is {alpha!r}, wanted 0 to 1")
        if alpha in (0, 1):
            return dict(self.b if alpha else self.a)
        return {name: self._between(name, alpha) for name in self.a}

    def put_(self, model: nn.Module, alpha: float) -> None:
        """Load the net at `alpha` into a model of the architecture."""
        model.load_state_dict(self.at(alpha))

    def _between(self, name: str, alpha: float) -> torch.Tensor:
        a, b = self.a[name], self.b[name]
        if not (a.is_floating_point() or a.is_complex()):
            return a
        return torch.lerp(a, b.to(a.device), alpha)


def check_alike(what: str, a: State, b: State) -> None:
    """See that two nets are of one architecture.

    Args:
        what: wants it, in an error.
        a, b: their `state_dict()`.

    Raises:
        UsageError: they differ in names, shapes or types.
    """
    for name in (*a, *b):
        if name not in a or name not in b:
            other = a if name in b else b
            raise UsageError(
                f"{what}: wants two nets of one architecture, and one of them has no "
                f"{name!r}{near(name, other)}"
            )
        check_shape(f"{what}: {name!r}", b[name].shape, a[name].shape, "the other net")
        if a[name].dtype != b[name].dtype:
            raise UsageError(
                f"{what}: {name!r} is {a[name].dtype} in one net and {b[name].dtype} in the other"
            )


@dataclass(frozen=True)
class Along:
    """What was measured along a line.

    Args:
        alphas: where, from 0 to 1.
        values: of each, less is better.
    """

    alphas: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def barrier(self) -> float:
        """Highest value − mean of those at the ends; 0 for a line that goes nowhere up."""
        return max(self.values) - (self.values[0] + self.values[-1]) / 2


def along(
    model: nn.Module,
    a: State,
    b: State,
    eval_fn: Callable[[nn.Module], float],
    *,
    points: int = 30,
    batches: Iterable[Any] | None = None,
) -> Along:
    """Measure nets on the straight line between two; the model is as before afterwards.

    Args:
        model: of their architecture.
        a, b: their `state_dict()`.
        eval_fn: a model → an error or a loss: less is better.
        points: how many nets, the ends among them, at equal distances.
        batches: training inputs, tensors or `(inputs, …)`, on which the statistics of batch norms
            are estimated anew for each net; None interpolates those of the ends. Without it nets
            of two orders of the data look worse in the middle than they are (Jordan et al. 2023).

    Raises:
        UsageError: fewer than 3 points, the nets do not fit, or a value is no finite number.

    >>> model = nn.Linear(2, 1, bias=False)
    >>> a, b = {"weight": torch.zeros(1, 2)}, {"weight": torch.ones(1, 2)}
    >>> along(model, a, b, lambda m: (m.weight.mean().item() - 0.5) ** 2, points=3).barrier
    0.0

    Source: Frankle et al. 2020.
    """
    if isinstance(points, bool) or not isinstance(points, int) or points < 3:
        raise UsageError(f"points: got {points!r}, wanted 3 or more, the two ends among them")
    path, inputs = LinearPath(a, b), None if batches is None else list(batches)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = {module: module.training for module in model.modules()}
    alphas = tuple(number / (points - 1) for number in range(points))
    try:
        return Along(alphas, tuple(_measured(path, model, alphas, eval_fn, inputs)))
    finally:
        model.load_state_dict(before)
        for module, mode in modes.items():
            module.training = mode


def _measured(
    path: LinearPath,
    model: nn.Module,
    alphas: Iterable[float],
    eval_fn: Callable[[nn.Module], float],
    batches: list[Any] | None,
) -> Iterator[float]:
    for alpha in alphas:
        path.put_(model, alpha)
        if batches is not None:
            refit_statistics_(model, batches)
        model.eval()
        value = float(eval_fn(model))
        if value != value or value in (float("inf"), float("-inf")):
            raise UsageError(f"eval_fn: gave {value} at alpha {alpha:.2f}, wanted a finite number")
        yield value
