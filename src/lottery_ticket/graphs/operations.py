"""What each operation of a graph does to channels: units of a layer, channels of an image.

Channels lie along dimension 1. An operation *mixes* them by weights, *moves* each to a known place
(activations, norms, pooling, additions, flattening, padding, concatenation, picks), is *on the way*
to a pick, or is *opaque*: it may do anything, so that all that it touches stays as it is.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.fx.node import map_arg

from lottery_ticket.graphs.moves import Moving, each_to_itself, flattened, moving
from lottery_ticket.graphs.picks import OnTheWay, Path, Picking, followed, path_of
from lottery_ticket.graphs.trace import Trace, has_hooks, target_name
from lottery_ticket.graphs.vocabulary import (
    BY_VALUE_MODULES,
    CONVOLUTIONS,
    NORMS,
    PICK_MODULES,
    PICKS,
    POOL_MODULES,
    RESHAPES,
)

__all__ = ["Mixing", "Moving", "OnTheWay", "Opaque", "Operation", "Picking", "operations_of"]


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


Operation = Mixing | Moving | OnTheWay | Opaque


def operations_of(trace: Trace) -> dict[fx.Node, Operation]:
    """The operation of every node."""
    reader = _Reader(trace)
    found = {node: reader.operation(node) for node in trace.module.graph.nodes}
    for node in reversed(found):
        # of what picks nothing, or is read by something else too
        if isinstance(found[node], OnTheWay) and not all(
            isinstance(found[user], OnTheWay | Picking) or reader.is_batch(user)
            for user in node.users
        ):
            found[node] = Opaque(f"{reader.kind(node)} is not followed")
    return found


class _Reader:
    """Tells operations apart by the modules and values of a trace."""

    def __init__(self, trace: Trace) -> None:
        self._trace, self._values = trace, trace.values
        nodes, module = trace.module.graph.nodes, trace.module
        held = [value for _, value in module.named_parameters(remove_duplicate=False)]
        held += [value for _, value in module.named_buffers(remove_duplicate=False)]
        self._num_uses = Counter(n.target for n in nodes if n.op in ("call_module", "get_attr"))
        self._num_holders = Counter(map(id, held))
        self._called = {n.target for n in nodes if n.op == "call_module"}
        self._is_fixed: dict[fx.Node, bool] = {}
        self._paths: dict[fx.Node, Path] = {}

    def operation(self, node: fx.Node) -> Operation:
        is_function = node.op in ("call_function", "call_method")
        self._is_fixed[node] = node.op == "get_attr" or (
            is_function and all(self._is_fixed[n] for n in node.all_input_nodes)
        )
        if node in self._trace.not_followed:
            return Opaque(self._trace.not_followed[node])
        if node.op in ("placeholder", "output"):
            return Opaque()
        if node.op == "get_attr":
            return self._tensor(node)
        if node.target == "size":  # of the batch: when traced, the others became constants
            return Moving({})
        if self._is_fixed[node] and not self._has_channels(node):
            return Opaque()  # an index, say: the same for all inputs
        found = self._direct(node) or self._picked(node)
        return found or Opaque(f"{self.kind(node)} is not followed")

    def kind(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self._trace.module.get_submodule(str(node.target))).__name__
        return target_name(node)

    def is_batch(self, node: fx.Node) -> bool:
        """Whether it is how many examples there are."""
        is_size = node.target == "size" and self._values[node] == 1
        return is_size and not self._is_fixed[node.all_input_nodes[0]]

    def _has_channels(self, node: fx.Node) -> bool:
        value = self._values[node]
        return isinstance(value, torch.Tensor) and value.ndim >= 2 and value.shape[0] == 1

    def _tensor(self, node: fx.Node) -> Operation:
        """A parameter or buffer that the model's own code reads."""
        if not self._has_channels(node):
            return Opaque()
        is_its_own = self._num_uses[node.target] == 1 == len(node.users)
        is_its_own &= not self._is_within(str(node.target))
        return Moving({}) if is_its_own else Opaque("it is used more than once")

    def _direct(self, node: fx.Node) -> Operation | None:
        """What a node does to channels of its own sources."""
        sources = [n for n in node.all_input_nodes if self._has_channels(n)]
        others = set(node.all_input_nodes) - set(sources)
        if node.target in RESHAPES:  # these alone may ask for the size of the batch
            others = {n for n in others if n.target != "size"}
        is_followed = self._has_channels(node) and sources and not others
        is_further = node.target in PICKS and any(n in self._paths for n in sources)
        if not is_followed or is_further:
            return None
        if node.op == "call_module":
            return self._module(node, sources)
        return moving(node, sources, self._values)

    def _picked(self, node: fx.Node) -> Operation | None:
        """A pick, or an operation that may be on the way to one."""
        module = self._trace.module
        if node.op == "call_module":
            layer = module.get_submodule(str(node.target))
            is_pick = type(layer) in PICK_MODULES and not has_hooks(layer)
        else:
            is_pick = node.target in PICKS
        source = node.args[0] if node.args else node.kwargs.get("input")
        if not is_pick or not isinstance(source, fx.Node) or self._is_fixed[source]:
            return None
        arguments = (node.args[1:], {k: v for k, v in node.kwargs.items() if k != "input"})
        others: list[fx.Node] = []
        map_arg(arguments, others.append)
        if not all(other is not source and self._is_known(other) for other in others):
            return None
        if source not in self._paths and not self._has_channels(source):
            return None
        path = path_of(node, source, self._paths.get(source), module, self._values)
        if path is None:
            return None
        if found := followed(node, path, module, self._values):
            return found
        self._paths[node] = path
        return OnTheWay(path.start)

    def _is_known(self, node: fx.Node) -> bool:
        """Whether a node is the same for all inputs, or is the size of the batch."""
        if node in self._trace.not_followed:
            return False
        is_tensor = isinstance(self._values[node], torch.Tensor)
        return (self._is_fixed[node] and is_tensor) or self.is_batch(node)

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
        held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        if held and self._num_uses[node.target] > 1:
            return "it is called more than once"
        is_shared = any(self._num_holders[id(value)] > 1 for value in held.values())
        is_read = any(self._num_uses[f"{node.target}.{name}"] for name in held)
        if is_shared or is_read or (held and self._is_within(str(node.target))):
            return "its parameters are also used elsewhere"
        return None

    def _is_within(self, name: str) -> bool:
        """Whether it is part of a module that is called as it is, and may use it."""
        parts = name.split(".")
        return any(".".join(parts[:count]) in self._called for count in range(1, len(parts)))
