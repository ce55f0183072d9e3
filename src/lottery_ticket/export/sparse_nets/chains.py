"""Runs of linear layers in a graph, and their execution on kept weights alone."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from lottery_ticket.errors import UsageError
from lottery_ticket.graphs.trace import Trace, has_hooks

__all__ = ["Link", "SparseChain", "chains_of", "links_of"]

_PER_THREAD = 2_000_000  # products; fewer are done before they are handed over
_ACTIVATIONS: dict[Any, str] = {
    **dict.fromkeys((nn.ReLU, F.relu, torch.relu, "relu"), "relu"),
    **dict.fromkeys((nn.Tanh, F.tanh, torch.tanh, "tanh"), "tanh"),
}
_FUNCTIONS = {None: lambda x: x, "relu": torch.relu, "tanh": torch.tanh}


@dataclass(frozen=True)
class Link:
    """A linear layer and what follows it.

    Args:
        node: the call of the layer.
        end: the node that gives the output: of its activation if it has one.
        layer: the layer.
        activation: `"relu"`, `"tanh"` or None.
        picked: the features of `source` that it reads, by number; None for all of them.
        source: what it reads; with `picked`, what is picked from.
        num_inputs: the features of `source`.
    """

    node: fx.Node
    end: fx.Node
    layer: nn.Linear
    activation: str | None
    picked: torch.Tensor | None
    source: fx.Node
    num_inputs: int

    @property
    def name(self) -> str:
        return str(self.node.target)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Dense execution."""
        x = x if self.picked is None else x.index_select(1, self.picked)
        return _FUNCTIONS[self.activation](self.layer(x))


def chains_of(trace: Trace) -> list[list[Link]]:
    """The links of a graph; those of a list feed one another and nobody else."""
    chains: list[list[Link]] = []
    for link in links_of(trace):
        is_next = bool(chains) and link.picked is None and link.source is chains[-1][-1].end
        if is_next and len(link.source.users) == 1:
            chains[-1].append(link)
        else:
            chains.append([link])
    return chains


def links_of(trace: Trace) -> list[Link]:
    """The layers that can be executed on kept weights alone: of single rows, in float32."""
    nodes = [node for node in trace.module.graph.nodes if node.op == "call_module"]
    links = (_link(node, trace) for node in nodes)
    return [link for link in links if link is not None]


def _link(node: fx.Node, trace: Trace) -> Link | None:
    layer = trace.module.get_submodule(str(node.target))
    if type(layer) is not nn.Linear or trace.values[node].ndim != 2 or node in trace.not_followed:
        return None
    if has_hooks(layer) or layer.weight.dtype != torch.float32 or layer.weight.device.type != "cpu":
        return None
    (source,), picked = node.all_input_nodes, None
    index = _index(source)
    if index is not None and _is_list(trace.values[index]):
        source, picked = source.all_input_nodes[0], trace.values[index]
    after = list(node.users)
    activation = _activation(after[0], trace) if len(after) == 1 else None
    end = after[0] if activation else node
    num_inputs = trace.values[source].shape[1]
    return Link(node, end, layer, activation, picked, source, num_inputs)


def _index(node: fx.Node) -> fx.Node | None:
    """The fixed index of a node that picks features."""
    match node.args:
        case (fx.Node(), 1, fx.Node(op="get_attr") as index) if node.target is torch.index_select:
            return index
    return None


def _is_list(index: torch.Tensor) -> bool:
    """Whether it is one as compiled code takes it."""
    return index.ndim == 1 and index.dtype == torch.int64


def _activation(node: fx.Node, trace: Trace) -> str | None:
    if node.op == "call_module":
        module = trace.module.get_submodule(str(node.target))
        return None if has_hooks(module) else _ACTIVATIONS.get(type(module))
    is_plain = len(node.args) == 1 and not set(node.kwargs) - {"inplace"}
    return _ACTIVATIONS.get(node.target) if is_plain else None


class SparseChain(nn.Module):
    """Linear layers with their activations in one call, executed on what is kept.

    On the CPU, in float32, without gradients. A batch is read feature-major, and of it only the
    features that some kept weight reads.

    Args:
        links: the layers, each feeding the next.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        super().__init__()
        self.names = [link.name for link in links]
        self._width = links[-1].layer.out_features
        first, *others = (link.layer.weight.detach() for link in links)
        read = first.any(0).nonzero().flatten()
        matrices = [first[:, read], *others]
        kept = [matrix != 0 for matrix in matrices]
        # a layer's starts go on where those of the layer before end
        counts = torch.cat(
            [part for k in kept for part in (torch.zeros(1, dtype=torch.int64), k.sum(1))]
        )
        picked = links[0].picked
        biases = [_bias(link.layer) for link in links]
        self._arrays = tuple(
            array.contiguous().numpy()
            for array in (
                read if picked is None else picked[read],
                counts.cumsum(0).int(),
                torch.cat([k.nonzero()[:, 1] for k in kept]).int(),
                torch.cat([m[k] for m, k in zip(matrices, kept, strict=True)]),
                torch.cat(biases),
                torch.tensor([len(bias) for bias in biases]),
                torch.tensor([_codes()[link.activation] for link in links]),
            )
        )
        self._num_inputs = links[0].num_inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs) → (B, outputs)."""
        # compiled code checks nothing
        if x.dtype != torch.float32 or x.device.type != "cpu" or x.ndim != 2:
            raise UsageError(
                f"{', '.join(self.names)}: sparse execution takes a batch of rows in float32 on "
                f"the CPU, got {x.dtype} of shape {tuple(x.shape)} on {x.device}"
            )
        if x.shape[1] != self._num_inputs:
            raise UsageError(
                f"{self.names[0]}: wanted {self._num_inputs} features, got {x.shape[1]}"
            )
        out = torch.empty(len(x), self._width)
        _in_threads(x.detach().contiguous().numpy(), self._arrays, out.numpy())
        return out

    def extra_repr(self) -> str:
        return ", ".join(self.names)


def _in_threads(x: np.ndarray, arrays: tuple[np.ndarray, ...], out: np.ndarray) -> None:
    """As many as torch has; each takes some examples, which know nothing of one another."""
    from lottery_ticket import kernels

    values = arrays[3]
    num_products = len(x) * len(values)
    num_threads = min(torch.get_num_threads(), len(x), num_products // _PER_THREAD)
    if num_threads < 2:
        kernels.linear_chain(x, *arrays, out)
        return
    # a process that was forked has none of the threads of the one before
    pool = _pool(os.getpid(), num_threads - 1)
    (own_x, own_out), *others = zip(
        np.array_split(x, num_threads), np.array_split(out, num_threads), strict=True
    )
    waiting = [pool.submit(kernels.linear_chain, some, *arrays, part) for some, part in others]
    kernels.linear_chain(own_x, *arrays, own_out)
    for done in waiting:
        done.result()


@lru_cache(maxsize=1)
def _pool(_process: int, num_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads)


def _bias(layer: nn.Linear) -> torch.Tensor:
    return torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach()


def _codes() -> dict[str | None, int]:
    from lottery_ticket import kernels

    return {None: kernels.IDENTITY, "relu": kernels.RELU, "tanh": kernels.TANH}
