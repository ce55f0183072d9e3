"""What each operation of a graph does to channels: units of a layer, channels of an image.

Channels lie along dimension 1. An operation *mixes* them by weights, *moves* each to a known place
(activations, norms, pooling, additions, flattening, padding, concatenation), or is *opaque*: it
may do anything, so that all that it touches stays as it is.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from lottery_ticket.export._moves import Moving, each_to_itself, flattened, moving
from lottery_ticket.export._trace import Trace, has_hooks
from lottery_ticket.export._vocabulary import (
    BY_VALUE_MODULES,
    CONVOLUTIONS,
    NORMS,
    POOL_MODULES,
    RESHAPES,
)

__all__ = ["Mixing", "Moving", "Opaque", "Operation", "operations_of"]


@dataclass(frozen=True)
class Mixing:
    """A linear layer or convolution.

    Args:
        source: what it reads.
        reads: `(outputs, inputs)` bool, where some weight is not zero.
    """

    source: fx.Node
    reads: torch.Tensor


@dataclass(frozen=True)
class Opaque:
    """Anything else.

    Args:
        reason: why it is not followed; None for the inputs and outputs of the net.
    """

    reason: str | None = None


Operation = Mixing | Moving | Opaque


def operations_of(trace: Trace) -> dict[fx.Node, Operation]:
    """The operation of every node."""
    reader = _Reader(trace)
    return {node: reader.operation(node) for node in trace.module.graph.nodes}


class _Reader:
    """Tells operations apart by the modules and values of a trace."""

    def __init__(self, trace: Trace) -> None:
        self._trace, self._values = trace, trace.values
        nodes, module = trace.module.graph.nodes, trace.module
        held = [parameter for _, parameter in module.named_parameters(remove_duplicate=False)]
        self._num_uses = Counter(n.target for n in nodes if n.op in ("call_module", "get_attr"))
        self._num_holders = Counter(map(id, held))

    def operation(self, node: fx.Node) -> Operation:
        if node in self._trace.not_followed:
            return Opaque(self._trace.not_followed[node])
        if node.op in ("placeholder", "output"):
            return Opaque()
        if node.op == "get_attr":
            return self._tensor(node)
        if node.target == "size":  # of the batch: when traced, the others became constants
            return Moving({})
        sources = [n for n in node.all_input_nodes if self._has_channels(n)]
        if node.target is torch.index_select:
            return self._picked(node, sources) or Opaque("it picks by an index that is not fixed")
        others = set(node.all_input_nodes) - set(sources)
        if node.target in RESHAPES:  # these alone may ask for the size of the batch
            others = {n for n in others if n.target != "size"}
        is_followed = self._has_channels(node) and sources and not others
        if is_followed and node.op == "call_module":
            found = self._module(node, sources)
        else:
            found = moving(node, sources, self._values) if is_followed else None
        return found or Opaque(f"{self._kind(node)} is not followed")

    def _has_channels(self, node: fx.Node) -> bool:
        value = self._values[node]
        return isinstance(value, torch.Tensor) and value.ndim >= 2 and value.shape[0] == 1

    def _tensor(self, node: fx.Node) -> Operation:
        """A parameter or buffer that the model's own code reads."""
        if not self._has_channels(node):
            return Opaque()
        is_its_own = self._num_uses[node.target] == 1 == len(node.users)
        return Moving({}) if is_its_own else Opaque("it is used more than once")

    def _picked(self, node: fx.Node, sources: list[fx.Node]) -> Moving | None:
        match node.args:
            case (source, 1, fx.Node(op="get_attr") as index) if sources == [source]:
                return Moving({sources[0]: self._values[index].cpu()})
        return None

    def _module(self, node: fx.Node, sources: list[fx.Node]) -> Operation | None:
        module: Any = self._trace.module.get_submodule(str(node.target))
        if len(sources) > 1 or module.training:
            return None
        if reason := self._why_shared(node, module):
            return Opaque(reason)
        kind, source, value = type(module), sources[0], self._values[node]
        num_dims = self._values[source].ndim - 2
        if kind in BY_VALUE_MODULES or POOL_MODULES.get(kind) == num_dims:
            return each_to_itself(source, self._values, value)
        if kind is nn.Flatten:
            return flattened(source, self._values, value)
        if kind in NORMS and module.running_mean is not None:
            cut = None if module.weight is None else module.weight.detach().cpu() == 0
            return each_to_itself(source, self._values, value, cut)
        if (kind is nn.Linear and num_dims == 0) or CONVOLUTIONS.get(kind) == num_dims:
            return self._layer(source, module, value)
        return None

    def _layer(self, source: fx.Node, layer: Any, value: torch.Tensor) -> Operation | None:
        weight = layer.weight.detach().cpu() != 0
        reads = weight if weight.ndim == 2 else weight.flatten(2).any(2)
        groups = getattr(layer, "groups", 1)
        if groups == 1:
            return Mixing(source, reads)
        if groups == layer.in_channels == layer.out_channels:
            return each_to_itself(source, self._values, value, ~reads[:, 0])
        return Opaque(f"a convolution of {groups} groups is not followed")

    def _why_shared(self, node: fx.Node, module: nn.Module) -> str | None:
        """Why a module cannot be changed for this call alone."""
        if has_hooks(module):
            return "it has hooks (of torch.nn.utils.prune? then prune.remove first)"
        parameters = dict(module.named_parameters())
        holds = parameters or dict(module.named_buffers())
        if holds and self._num_uses[node.target] > 1:
            return "it is called more than once"
        is_shared = any(self._num_holders[id(p)] > 1 for p in parameters.values())
        if is_shared or any(self._num_uses[f"{node.target}.{name}"] for name in parameters):
            return "its parameters are also used elsewhere"
        return None

    def _kind(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self._trace.module.get_submodule(str(node.target))).__name__
        return str(getattr(node.target, "__name__", node.target))
