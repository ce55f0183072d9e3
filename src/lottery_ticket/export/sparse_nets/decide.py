"""Which linear layers are executed on kept weights alone, and putting that into the graph."""

import copy
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import fx, nn

from lottery_ticket.export.sparse_nets.chains import Link, SparseChain, chains_of
from lottery_ticket.graphs.trace import Trace, trace

__all__ = ["converted", "measured"]

_REPETITIONS = 9
Ways = Mapping[str, str]
Run = Callable[[torch.Tensor], torch.Tensor]


def converted(module: nn.Module, inputs: tuple[torch.Tensor, ...], ways: Ways) -> fx.GraphModule:
    """The graph with its sparse layers as `SparseChain`s."""
    followed = trace(copy.deepcopy(module), inputs)
    result = followed.module
    for links in (part for chain in chains_of(followed) for part in _parts(chain, ways)):
        if ways[links[0].name] == "sparse":
            _replace_(result, links)
    result.graph.lint()
    result.delete_all_unused_submodules()
    result.recompile()
    return result


def measured(
    followed: Trace, inputs: tuple[torch.Tensor, ...], batch_size: int, forced: Ways
) -> tuple[dict[str, str], dict[str, float]]:
    """The faster way of each layer that is not forced, and the seconds that were seen.

    Layer by layer from the better of all dense and all sparse: a layer is turned where that was
    faster. Ways are timed in turns, and compared by their medians.
    """
    batch = tuple(
        x.repeat(-(-batch_size // len(x)), *[1] * (x.ndim - 1))[:batch_size] for x in inputs
    )
    chains = chains_of(followed)
    recorder = _Recorder(followed.module, {chain[0].source for chain in chains})
    with torch.no_grad():
        recorder.run(*batch)
    ways: dict[str, str] = {}
    seconds: dict[str, float] = {"dense": 0.0, "sparse": 0.0, "chosen": 0.0}
    for chain in chains:
        found, times = _chosen(chain, recorder.seen[chain[0].source], forced)
        ways |= found
        for key, value in times.items():
            seconds[key] += value
    return ways, seconds


def _chosen(
    chain: Sequence[Link], x: torch.Tensor, forced: Ways
) -> tuple[dict[str, str], dict[str, float]]:
    names = [link.name for link in chain]
    ends = {way: dict.fromkeys(names, way) for way in ("dense", "sparse")}
    starts = {
        way: {**end, **{n: forced[n] for n in names if n in forced}} for way, end in ends.items()
    }
    times = dict(zip(ends, _medians([_run(chain, end) for end in ends.values()], x), strict=True))
    best = starts[min(times, key=times.__getitem__)]
    for name in names:
        if name not in forced and len(names) > 1:
            turned = {**best, name: "sparse" if best[name] == "dense" else "dense"}
            old, new = _medians([_run(chain, best), _run(chain, turned)], x)
            best = turned if new < old else best
    (chosen,) = _medians([_run(chain, best)], x)
    return best, {**times, "chosen": chosen}


def _medians(runs: Sequence[Run], x: torch.Tensor) -> list[float]:
    times: list[list[float]] = [[] for _ in runs]
    with torch.inference_mode():
        for repetition in range(_REPETITIONS + 1):
            for run, seen in zip(runs, times, strict=True):
                start = time.perf_counter()
                run(x)
                if repetition:  # the first one compiles, and fills caches
                    seen.append(time.perf_counter() - start)
    return [statistics.median(seen) for seen in times]


def _run(chain: Sequence[Link], ways: Ways) -> Run:
    steps: list[Run] = []
    for links in _parts(chain, ways):
        steps += [SparseChain(links)] if ways[links[0].name] == "sparse" else links

    def run(x: torch.Tensor) -> torch.Tensor:
        for step in steps:
            x = step(x)
        return x

    return run


def _parts(chain: Sequence[Link], ways: Ways) -> list[list[Link]]:
    """Neighbours that are executed alike."""
    return [list(links) for _, links in groupby(chain, lambda link: ways[link.name])]


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps what some of its nodes gave."""

    def __init__(self, module: fx.GraphModule, nodes: set[fx.Node]) -> None:
        super().__init__(module)
        self.seen: dict[fx.Node, Any] = {}
        self._nodes = nodes

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n in self._nodes:
            self.seen[n] = value.clone()  # others may write to it
        return value


def _replace_(module: fx.GraphModule, links: Sequence[Link]) -> None:
    graph, end = module.graph, links[-1].end
    # where it was read: what writes in place may follow
    start = links[0].node if links[0].picked is None else links[0].node.all_input_nodes[0]
    name = "sparse_" + "_".join(link.name.replace(".", "_") for link in links)
    while hasattr(module, name):  # of another call of the same layer, or `a.b` beside `a_b`
        name += "_"
    module.add_submodule(name, SparseChain(links))
    with graph.inserting_before(start):
        new = graph.call_module(name, (start.all_input_nodes[0],))
    end.replace_all_uses_with(new)
    for node in reversed(list(graph.nodes)):
        is_done = any(node in (link.node, link.end) for link in links)
        is_picked = node.op in ("call_function", "get_attr") and links[0].picked is not None
        if not node.users and (is_done or (is_picked and _picks(node))):
            graph.erase_node(node)


def _picks(node: fx.Node) -> bool:
    return node.target is torch.index_select or node.op == "get_attr"
