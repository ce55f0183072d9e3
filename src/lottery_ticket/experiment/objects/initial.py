"""What a training starts from: drawn weights, or those of another cell."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from lottery_ticket.arms import ARMS
from lottery_ticket.errors import DamagedError, LotteryError, UsageError
from lottery_ticket.masks import layer_weights
from lottery_ticket.models import build
from lottery_ticket.names import find_parameters
from lottery_ticket.seeds import generator
from lottery_ticket.store import CellRecord

__all__ = [
    "WAYS",
    "Described",
    "Initial",
    "change_initial_",
    "drawn_model",
    "initial_model",
    "recorded_initial",
    "recorded_model",
]

Masks = Mapping[str, torch.Tensor]
Drawn = Callable[[int], nn.Module]


@dataclass(frozen=True)
class Described:
    """A model or a data set as a cell's name has it.

    Args:
        name: the registered name.
        options: its own options, those that are off left out.
        source: hash of the code that defines it, if that is a user's.
        digest: of the decoded data; None of a model.
    """

    name: str
    options: Mapping[str, Any]
    source: str | None = None
    digest: str | None = None

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> "Described":
        """What `inputs()` gave."""
        options = {key: inputs[key] for key in inputs if key not in ("name", "source", "digest")}
        return cls(inputs["name"], options, inputs.get("source"), inputs.get("digest"))

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs."""
        more = {"source": self.source, "digest": self.digest}
        known = {key: value for key, value in more.items() if value is not None}
        return {"name": self.name, **self.options, **known}


@dataclass(frozen=True)
class Initial:
    """How the weights that a seed draws are changed before a training starts.

    Args:
        how: a name in `WAYS`.
        options: of that way.
        numerics: raised when it gives other weights.
    """

    how: str
    options: Mapping[str, Any] = field(default_factory=dict)
    numerics: int = 1

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> "Initial":
        """What `inputs()` gave."""
        options = {key: inputs[key] for key in inputs if key not in ("how", "numerics")}
        return cls(inputs["how"], options, inputs["numerics"])

    def inputs(self) -> dict[str, Any]:
        """Its part of a cell's inputs."""
        return {"how": self.how, **self.options, "numerics": self.numerics}


def drawn_model(model: Described, seed: int) -> nn.Module:
    """The model with the weights that a seed draws."""
    return build(model.name, seed, **model.options)


def recorded_model(record: CellRecord) -> nn.Module:
    """The model of a finished training, with the weights that its seed draws.

    Raises:
        UsageError: it is not registered here.
        DamagedError: no model can be built of what the record says.
    """
    return _recorded(record, lambda model, seed: drawn_model(model, seed))


def recorded_initial(
    record: CellRecord,
    mask: Masks | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
) -> nn.Module:
    """The model of a finished training with its initial weights; as `recorded_model`."""
    how = record.inputs.get("initial")
    initial = None if how is None else Initial.of(how)
    return _recorded(record, lambda model, seed: initial_model(model, seed, initial, mask, start))


def _recorded(record: CellRecord, made: Callable[[Described, int], nn.Module]) -> nn.Module:
    model, seeds = record.input("model"), record.input("seeds")
    try:
        seed = 0 if "search" in record.inputs else seeds["init"]  # a search tells none
        return made(Described.of(model), seed)
    except LotteryError:
        raise
    except Exception as error:  # a user's own model may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise DamagedError(
            f"cell {record.name}: no model {model['name']!r} can be built of what its record says "
            f"({reason}); its code may have changed, or the record is damaged"
        ) from error


def initial_model(
    model: Described,
    seed: int,
    initial: Initial | None = None,
    mask: Masks | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
) -> nn.Module:
    """The model of a training with its initial weights, before they are masked.

    Args:
        model, seed: as in `drawn_model`.
        initial: how they are changed; None for not at all.
        mask: what the training keeps; None where nothing is pruned. Some weights depend on it.
        start: θ₀ where a file holds it: what is changed, or whose signs are taken.
    """
    drawn = functools.partial(_started, model, start=start)
    if initial is None:
        return drawn_model(model, seed)
    made = drawn_model(model, seed) if initial.how in FRESH else drawn(seed)
    change_initial_(initial.how, made, mask, drawn, **initial.options)
    return made


def change_initial_(
    how: str, model: nn.Module, mask: Masks | None, drawn: Drawn, **options: Any
) -> None:
    """Change initial weights in place, before they are masked.

    Args:
        how: a name in `WAYS`.
        model: with the weights that were drawn.
        mask: what the training keeps; None where nothing is pruned.
        drawn: seed → the model as that draws it.
        options: of that way.

    Raises:
        UsageError: the function of a user's arm fails.
    """
    WAYS[how](model, mask, drawn, **options)


def _started(model: Described, seed: int, *, start: Mapping[str, torch.Tensor] | None) -> nn.Module:
    """The model at θ₀: as it is drawn, or as a file has it."""
    made = drawn_model(model, seed)
    if start is not None:
        made.load_state_dict(dict(start))
    return made


@torch.no_grad()
def signs_of_(model: nn.Module, other: nn.Module) -> None:
    """Give each parameter of `model` the sign it has in `other`, in place; magnitudes stay."""
    for parameter, signed in zip(model.parameters(), other.parameters(), strict=True):
        parameter.copy_(torch.copysign(parameter, signed))


@torch.no_grad()
def signed_constant_(model: nn.Module, names: Iterable[str] | None = None) -> None:
    """Set each prunable weight to ±σ by its sign, σ the standard deviation of its layer.

    Args:
        names: which parameters; by default all that can be pruned.

    σ is that of all the layer's weights as they were drawn, as in the code of Zhou et al. 2019:
    their paper's is that of the distribution, which a model does not tell. Biases and norms stay.
    """
    found = layer_weights(model) if names is None else find_parameters(model, names)
    for parameter in found.values():
        deviation = parameter.double().std(correction=0).to(parameter)
        parameter.copy_(torch.copysign(deviation, parameter))


@torch.no_grad()
def permute_kept_(
    model: nn.Module, mask: Mapping[str, torch.Tensor] | None, draws: torch.Generator
) -> None:
    """Shuffle the kept values of each layer among its kept places; the others stay.

    The layer keeps its distribution, of signs too; which weight has which value is lost.

    Args:
        mask: parameter → kept; None for all weights of every layer.
        draws: which permutation.
    """
    weights = layer_weights(model)
    kept = {n: torch.ones_like(w, dtype=torch.bool) for n, w in weights.items()}
    for name, places in (kept if mask is None else mask).items():
        parameter = find_parameters(model, [name])[name]
        values = parameter[places]
        parameter[places] = values[torch.randperm(len(values), generator=draws)]


@torch.no_grad()
def scale_to_kept_inputs_(
    model: nn.Module, mask: Mapping[str, torch.Tensor], input_dims: Mapping[str, int]
) -> None:
    """Scale the weights of each output by √(inputs / kept inputs).

    Initial weights are drawn with a variance that falls with the number of inputs; of a pruned
    layer fewer are left, so that its outputs start smaller than they should.

    Args:
        mask: parameter → kept.
        input_dims: as `lottery_ticket.masks.input_dims` gives it; 1 where not named.

    Source: Evci et al. 2022 ("Gradient flow in sparse neural networks and how lottery tickets
    win"), sparsity-aware initialisation: each output by its own number of inputs.
    """
    for name, parameter in find_parameters(model, mask).items():
        inputs = _input_axes(parameter.ndim, input_dims.get(name, 1))
        kept = mask[name].sum(dim=inputs, keepdim=True).clamp(min=1)
        count = math.prod(parameter.shape[axis] for axis in inputs)
        parameter.mul_((count / kept.to(torch.float64)).sqrt().to(parameter.dtype))


def _input_axes(ndim: int, input_dim: int) -> tuple[int, ...]:
    """The axes that one output sums over: its inputs and, of a convolution, the kernel's."""
    if input_dim not in (0, 1):  # experts, whose number is in front
        return (input_dim % ndim,)
    return (input_dim, *range(2, ndim)) if ndim > 1 else (0,)


def _signs(model: nn.Module, mask: Masks | None, drawn: Drawn, *, init: int) -> None:
    signs_of_(model, drawn(init))


def _signed_constant(
    model: nn.Module, mask: Masks | None, drawn: Drawn, *, names: Iterable[str] | None = None
) -> None:
    signed_constant_(model, names)


def _permuted(model: nn.Module, mask: Masks | None, drawn: Drawn, *, seed: int) -> None:
    permute_kept_(model, mask, generator(seed))


def _scaled(
    model: nn.Module,
    mask: Masks | None,
    drawn: Drawn,
    *,
    input_dims: Mapping[str, int] | None = None,
) -> None:
    scale_to_kept_inputs_(model, mask or {}, input_dims or {})


def _by_arm(
    model: nn.Module, mask: Masks | None, drawn: Drawn, *, arm: str, seed: int, source: str = ""
) -> None:
    if mask is None:
        weights = layer_weights(model)
        mask = {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights.items()}
    function = ARMS[arm].weights
    assert callable(function)
    try:
        function(model, {name: kept.clone() for name, kept in mask.items()}, generator(seed))
    except Exception as error:  # a user's own may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UsageError(f"arm {arm!r}: its weights cannot be made: {reason}") from error


FRESH = frozenset({"signs", "scaled"})
"""The ways that change freshly drawn weights, and not θ₀."""

WAYS: dict[str, Callable[..., None]] = {
    "signs": _signs,
    "signed_constant": _signed_constant,
    "permuted": _permuted,
    "scaled": _scaled,
    "arm": _by_arm,
}
"""How initial weights are changed in place: (model, mask, seed → model as drawn, **options)."""
