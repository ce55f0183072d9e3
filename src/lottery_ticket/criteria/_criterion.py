"""What a criterion is: a function whose parameter names say what it needs."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from lottery_ticket.errors import UsageError, nearest

__all__ = ["INPUTS", "Criterion", "ScoreFunction"]

ScoreFunction = Callable[..., Mapping[str, torch.Tensor]]

INPUTS = {
    "weights": "weights={name: tensor}, or model=",
    "initial": "initial={name: tensor}, the weights at initialisation",
    "mask": "mask=PruningMask(model), which says what is scored",
    "kept": "kept={name: bool tensor}, what the round before kept",
    "generator": "generator=torch.Generator().manual_seed(0)",
    "model": "model=, an nn.Module",
    "batches": "batches=[(x, y), …], a DataLoader or another iterable of batches",
    "batch": "batches=[(x, y), …], of which it sees the first",
    "loss": "loss=, a function (output, target) → scalar",
    "batch_loss": "batch_loss=, a function (model, batch) → scalar",
    "input_shape": "input_shape=(3, 32, 32), the shape of one example, or batches= of (x, y)",
}
"""What a criterion can ask for, and how a caller of `score` passes it."""

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Criterion:
    """How weights are scored (higher is kept).

    Args:
        function: returns scores by parameter name. Its parameters without a default are filled in
            by name, see `score`; those with a default are its own options and keep it, unless
            `with_options` says otherwise.
        numerics: raised when the scores of the same inputs change, so that masks get new names.
        rounds: how many times its paper scores and prunes on the way to one mask.

    Raises:
        UsageError: the function wants something that no criterion can have.

    >>> sorted(Criterion(lambda weights, initial, power=2: weights).needs)
    ['initial', 'weights']
    """

    function: ScoreFunction
    numerics: int = 1
    rounds: int = 1

    def __post_init__(self) -> None:
        _ = self.needs  # refused here rather than in the middle of a run

    @property
    def name(self) -> str:
        """What error messages call it."""
        function = self.function
        while isinstance(function, functools.partial):
            function = function.func
        return getattr(function, "__name__", type(function).__name__)

    @functools.cached_property
    def needs(self) -> frozenset[str]:
        """The inputs its function is given: the names of its parameters without a default."""
        needs = {
            name
            for name, parameter in self._signature.parameters.items()
            if parameter.default is parameter.empty and parameter.kind not in _VARIADIC
        }
        for name in sorted(needs - set(INPUTS)):
            raise UsageError(
                f"criterion {self.name!r} has a parameter {name!r} that nothing is known to fill"
                f"{_did_you_mean(name)}; parameters without a default are among: "
                f"{', '.join(INPUTS)}"
            )
        return frozenset(needs)

    @property
    def regrows(self) -> bool:
        """Whether what one round left out may come back in the next."""
        return "kept" in self.needs

    @property
    def needs_data(self) -> bool:
        """Whether it looks at examples."""
        return not self.needs.isdisjoint({"batches", "batch"})

    @property
    def needs_weights(self) -> bool:
        """Whether it looks at the weights as they are now."""
        return not self.needs.isdisjoint({"weights", "model"})

    @functools.cached_property
    def options(self) -> Mapping[str, inspect.Parameter]:
        """What its function takes beside what it is given: the parameters with a default."""
        return {
            name: parameter
            for name, parameter in self._signature.parameters.items()
            if parameter.default is not parameter.empty
        }

    def with_options(self, options: Mapping[str, Any]) -> "Criterion":
        """The same, with other values of its options.

        Args:
            options: names of `options` → values.

        >>> Criterion(lambda weights, power=2: weights).with_options({"power": 3}).needs
        frozenset({'weights'})
        """
        if not options:
            return self
        return replace(self, function=functools.partial(self.function, **options))

    def call(self, inputs: Mapping[str, Any]) -> Any:
        """What the function returns for the inputs that it needs."""
        arguments = self._signature.bind_partial()  # knows which of them go by position
        arguments.arguments = {
            name: inputs[name] for name in self._signature.parameters if name in self.needs
        }
        return self.function(*arguments.args, **arguments.kwargs)

    @functools.cached_property
    def _signature(self) -> inspect.Signature:
        try:
            return inspect.signature(self.function)
        except (TypeError, ValueError):
            raise UsageError(
                f"criterion {self.name!r}: its parameters cannot be read; pass a Python function "
                f"with parameters among: {', '.join(INPUTS)}"
            ) from None


def _did_you_mean(name: str) -> str:
    hint = nearest(name, INPUTS)
    return hint if "did you mean" in hint else ""
