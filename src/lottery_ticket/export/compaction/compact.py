"""A masked net as a smaller plain one with the same outputs."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from lottery_ticket.errors import LotteryError
from lottery_ticket.export._copies import eval_copy, plain_weights_
from lottery_ticket.export._difference import largest_difference
from lottery_ticket.export.compaction.flow import Flow, flow_of
from lottery_ticket.export.compaction.narrow import narrow_
from lottery_ticket.graphs.operations import Mixing, Opaque
from lottery_ticket.graphs.trace import Example, Trace, inputs_of, outputs_of, trace
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.process import alone

__all__ = ["Compacted", "Widths", "compact"]


@dataclass(frozen=True)
class Widths:
    """The units or channels of a layer, (before, after).

    Args:
        inputs: what it reads.
        outputs: what it computes.
    """

    inputs: tuple[int, int]
    outputs: tuple[int, int]

    def __str__(self) -> str:
        return "inputs {} → {}, outputs {} → {}".format(*self.inputs, *self.outputs)


@dataclass(frozen=True)
class Compacted:
    """A net without what does nothing; see `compact`.

    Args:
        model: the smaller net, in eval mode. A `torch.fx.GraphModule` over standard torch layers
            (`print(model.code)` shows its forward) with the layer names of the original.
        removed: name of a layer → its widths, where they changed.
        left_alone: name of a layer or operation → why something that may do nothing is still there.
        max_difference: the largest absolute difference of the outputs on the example.
    """

    model: fx.GraphModule
    removed: Mapping[str, Widths]
    left_alone: Mapping[str, str]
    max_difference: float

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        num_kept = sum(p.numel() for p in self.model.parameters())
        return (
            f"Compacted({type(self.model).__name__} of {num_kept:,} parameters: "
            f"{len(self.removed)} layers smaller, {len(self.left_alone)} left alone, "
            f"max_difference {self.max_difference:.2g})"
        )


@alone()
def compact(model: nn.Module, example: Example, *, gather_inputs: bool = True) -> Compacted:
    """Remove dead units and channels, and inputs that nothing reads. Weights of 0 decide.

    A unit that nothing reads goes, and so does one that reads nothing: its constant, through norms,
    activations and pools, is added to the biases of those who read it. Where it differs at the
    border of an image (a convolution pads with zeros), a map of constants is added behind the
    convolution; such a net takes images of the example's size only. Channels that an addition joins
    go together or not at all. What cannot be followed stays as it is and is named.

    Args:
        model: the pruned net; it stays as it is.
        example: a batch of inputs, a tuple for several; its sizes but the first are those of the
            smaller net too. The difference is measured on it, so take real ones.
        gather_inputs: whether the first layers pick the inputs that they read, so that their
            weights for others go. The net takes whole inputs either way.

    Raises:
        UsageError: the model does not run on the example, or its forward cannot be followed.
        LotteryError: the smaller net's outputs differ by more than rounding explains, or there is
            none.

    >>> import torch
    >>> net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)).eval()
    >>> _ = net[0].weight.data.copy_(torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]]))
    >>> smaller = compact(net, torch.randn(8, 3))
    >>> print(smaller.removed["0"])  # the second input and the second unit
    inputs 3 → 2, outputs 2 → 1
    >>> torch.allclose(smaller.model(torch.ones(1, 3)), net(torch.ones(1, 3)))
    True
    """
    inputs = inputs_of(example)
    dense = plain_weights_(eval_copy(model))
    wanted = outputs_of(dense, inputs)
    followed = trace(copy.deepcopy(dense), example)
    try:
        flow = flow_of(followed)
        before = _widths(followed, flow)
        narrow_(followed.module, flow, gather_inputs=gather_inputs)
        after = _widths(followed, flow)
        with torch.no_grad():
            found = followed.module.eval()(*inputs)
    except Exception as error:  # somebody's operations in an order that nobody has thought of
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise LotteryError(
            f"{type(model).__name__}: no smaller net can be made of it ({reason}); this is a fault "
            "of lottery_ticket, which we would like to hear of. Other formats do without"
        ) from error
    difference = largest_difference(wanted, found)
    removed = {
        name: Widths(*zip(before[name], after[name], strict=True))
        for name in before
        if before[name] != after[name]
    }
    return Compacted(followed.module, removed, _left_alone(flow), difference)


def _widths(followed: Trace, flow: Flow) -> dict[str, tuple[int, int]]:
    """Layer → what it reads and what it computes."""
    found = {}
    for node, operation in flow.operations.items():
        if isinstance(operation, Mixing):
            layer: Any = followed.module.get_submodule(str(node.target))
            found[str(node.target)] = tuple(reversed(layer.weight.shape[:2]))
    return found


def _left_alone(flow: Flow) -> dict[str, str]:
    reasons = {
        node: operation.reason
        for node, operation in flow.operations.items()
        if isinstance(operation, Opaque) and operation.reason
    }
    return {
        str(node.target) if node.op == "call_module" else node.name: reason
        for node, reason in (reasons | dict(flow.stuck)).items()
    }
