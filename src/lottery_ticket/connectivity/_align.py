"""Alignment: the hidden units of one net put into the order of another's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from lottery_ticket.connectivity._matching import matched_by_activations, matched_by_weights
from lottery_ticket.connectivity._path import check_alike
from lottery_ticket.connectivity._units import Units, units_of
from lottery_ticket.errors import UsageError, known_keywords, nearest
from lottery_ticket.masks import PruningMask, copied_model
from lottery_ticket.names import check_shape, named_modules
from lottery_ticket.process import random_state_kept

if TYPE_CHECKING:
    from lottery_ticket.graphs.trace import Trace

__all__ = ["BY", "Alignment", "align", "hidden_units"]

State = Mapping[str, torch.Tensor]
Tensors = TypeVar("Tensors", bound=Mapping[str, torch.Tensor])

BY = ("weights", "activations")
"""What units are told by."""


@dataclass(frozen=True)
class Alignment:
    """A permutation of hidden units that leaves what a net computes as it is.

    Args:
        units: the groups of units, and where each is written.
        moved: `(units,)` int64: unit u of the aligned net is unit `moved[u]` of the net.
        shapes: of the tensors that units are written in.
    """

    units: Units
    moved: torch.Tensor
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def permutations(self) -> dict[str, torch.Tensor]:
        """Group → `(units,)` int64: which of the net's comes first, second, …

        A group is called by the first layer that writes it. The layers of a residual stream share
        one.
        """
        return {
            group.name: torch.searchsorted(group.units, self.moved[group.units])
            for group in self.units.groups
        }

    @property
    def fixed(self) -> dict[str, str]:
        """Layer or operation → why units that it meets stay: those of the net's output do."""
        return dict(self.units.fixed)

    @property
    def num_moved(self) -> int:
        """How many hidden units take another place."""
        return int((self.moved != torch.arange(len(self.moved))).sum())

    @property
    def inverse(self) -> "Alignment":
        """The way back: `found.inverse.apply(found.apply(state))` is `state` bit for bit."""
        return Alignment(self.units, torch.argsort(self.moved), self.shapes)

    def apply(self, tensors: Tensors) -> Tensors:
        """Weights, a mask or anything else by the names of the net's tensors, with units moved.

        Args:
            tensors: a `state_dict()`, or some of it: name → tensor of the net's shapes. A
                `PruningMask` gives one; its counts per layer stay. Names of tensors that no unit is
                written in stay as they are.

        Raises:
            UsageError: it is no mapping, or a shape is another one.
        """
        if not isinstance(tensors, Mapping):
            raise UsageError(
                f"apply: got {type(tensors).__name__}, wanted tensors by name: a mask, or "
                "model.state_dict()"
            )
        made: Any = {name: self._applied(name, value) for name, value in tensors.items()}
        if isinstance(tensors, PruningMask):
            return PruningMask.from_tensors(made).told_by(tensors)  # type: ignore[return-value]
        return made

    def _applied(self, name: str, value: torch.Tensor) -> torch.Tensor:
        if name not in self.shapes:
            return value
        check_shape(f"apply: {name!r}", value.shape, self.shapes[name], "the aligned net")
        for dim, axis in self.units.axes[name].items():
            value = value.index_select(dim, axis.index(self.moved).to(value.device))
        return value

    def __repr__(self) -> str:
        free = sum(len(group.units) for group in self.units.groups)
        return (
            f"Alignment({self.num_moved:,} of {free:,} hidden units moved, "
            f"in {len(self.units.groups)} groups)"
        )


@known_keywords("align")
def align(
    net: nn.Module | State,
    *,
    to: nn.Module,
    by: str = "weights",
    example: Any = None,
    batches: Iterable[Any] | None = None,
    seed: int = 0,
) -> Alignment:
    """The permutation of a net's hidden units under which it is most like another net.

    Hidden units have no order: two nets may have learnt the same, each in its own. Units that are
    tied move together: a layer's outputs, its norm's parameters and statistics, its channel's block
    behind a flatten, all that writes to or reads from a residual stream. Where channels of zeros
    are added to a stream (shortcuts of type A), those that were there and those that come are two
    groups. What is computed stays the same but for the order of summation.

    | by | what is made as large as it gets |
    |---|---|
    | `"weights"` | Σ ⟨weights of `to`, weights of `net`⟩, with biases and norms, no statistics |
    | `"activations"` | the sum of the correlations of what layers read, over `batches` |

    Equal inputs give equal permutations. Units that cannot be told apart, as dead ones, stay where
    nothing is gained by moving them.

    Args:
        net: the net that is permuted, as a model or by its `state_dict()`; it stays as it is.
        to: the other, as a model of the same architecture, which is run to see how it is built.
        by: `"weights"` or `"activations"`.
        example: a batch of inputs, a tuple for several; the first of `batches` unless given.
        batches: inputs, or tuples `(inputs, …)`, that activations are compared on.
        seed: of the order in which groups are looked at.

    Raises:
        UsageError: the nets differ in names, shapes or types; what the model does cannot be
            followed; no units can be permuted; there is no example, or weights are no numbers.

    >>> from lottery_ticket.models import LeNet300
    >>> one, other = LeNet300(), LeNet300()
    >>> found = align(other, to=one, example=torch.zeros(1, 784))
    >>> {name: len(order) for name, order in found.permutations.items()}
    {'fc1': 300, 'fc2': 100}
    >>> aligned = found.apply(other.state_dict())

    Source: by weights Ainsworth et al. 2023 ("Git Re-Basin"), by activations Li et al. 2016
    ("Convergent Learning").
    """
    if by not in BY:
        raise UsageError(f"align: by: got {by!r}{nearest(by, BY)}")
    model, other = _copy("to", to), _named(net)
    state = model.state_dict()
    check_alike("align", state, other)
    inputs = [_inputs(batch) for batch in batches or ()]
    if by == "activations" and not inputs:
        raise UsageError("align: by 'activations' wants batches= of inputs to compare them on")
    if example is None and not inputs:
        raise UsageError(
            "align: wants to run the model to see how it is built: example= or batches= of inputs"
        )
    shown = inputs[0] if example is None else _inputs(example, is_example=True)
    with random_state_kept(_devices(model)):
        followed = _followed(model, shown)
        units = units_of(followed, state)
        shapes = {name: tuple(state[name].shape) for name in units.axes}
        if by == "weights":
            names = [n for n, _ in model.named_parameters(remove_duplicate=False) if n in shapes]
            one, two = ({n: _finite(side[n], n) for n in names} for side in (state, other))
            return Alignment(units, matched_by_weights(units, one, two, seed), shapes)
        permuted = copied_model(model)
        permuted.load_state_dict(dict(other))
        there = _followed(permuted, shown).module
        device = next(iter(_devices(model)), torch.device("cpu"))
        placed = (tuple(x.to(device) for x in batch) for batch in inputs)
        found = matched_by_activations(units, followed.module, there, placed)
    return Alignment(units, found, shapes)


def hidden_units(model: nn.Module, example: Any) -> Units:
    """The hidden units of a model that can be permuted; the model stays as it is.

    Args:
        model: any.
        example: a batch of inputs, a tuple for several.

    Raises:
        UsageError: what it does cannot be followed, or no units can be permuted.

    >>> found = hidden_units(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)), torch.zeros(1, 4))
    >>> [(group.name, len(group.units)) for group in found.groups]
    [('0', 3)]
    """
    copied = _copy("model", model)
    with random_state_kept(_devices(copied)):
        return units_of(_followed(copied, _inputs(example, is_example=True)), copied.state_dict())


def _copy(what: str, model: object) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"align: {what}: got {type(model).__name__}, wanted a model; of a state_dict alone "
            "nobody sees which units are tied"
        )
    return copied_model(named_modules(model)[""]).eval()


def _named(net: nn.Module | State) -> State:
    if isinstance(net, nn.Module):
        return named_modules(net)[""].state_dict()
    if not isinstance(net, Mapping):
        raise UsageError(f"align: got {type(net).__name__}, wanted a model or its state_dict()")
    return net


def _inputs(value: Any, *, is_example: bool = False) -> tuple[torch.Tensor, ...]:
    """What the model is called with: of a batch its inputs, of an example all of it."""
    if isinstance(value, tuple | list) and value:
        value = tuple(value) if is_example else value[:1]
    values = value if isinstance(value, tuple | list) else (value,)
    if not all(isinstance(each, torch.Tensor) and each.ndim and len(each) for each in values):
        what = "example" if is_example else "batches"
        raise UsageError(f"align: {what}: got {type(value).__name__}, wanted inputs as a tensor")
    return tuple(values)


def _followed(model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> "Trace":
    from lottery_ticket.graphs.trace import trace

    device = next(iter(_devices(model)), torch.device("cpu"))
    try:
        return trace(model, tuple(x.to(device) for x in inputs))
    except UsageError as error:
        raise UsageError(f"align: {error}") from error


def _devices(model: nn.Module) -> list[torch.device]:
    return list(dict.fromkeys(parameter.device for parameter in model.parameters()))


def _finite(value: torch.Tensor, name: str) -> torch.Tensor:
    if not value.isfinite().all():
        raise UsageError(f"align: {name!r} has values that are no finite numbers")
    return value
