"""Which layers give a model's output: their channels reach it, and no other layer mixes them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import nn

from lottery_ticket.criteria import unchanged, unchanged_random_state
from lottery_ticket.errors import UsageError
from lottery_ticket.names import named_modules

__all__ = ["Example", "example_of", "inputs_seen", "output_parameters"]

# nodes of autograd whose outputs are sums over channels, weighted by a parameter
_MIXING = re.compile(r"\w*(Convolution|[Mm]m|[Mm]v|Linear|Trilinear|Rnn|Lstm|Gru)\w*Backward\w*")
# where numbers become channels: what comes before is an index, without a gradient
_LOOK_UPS = re.compile(r"(Embedding|EmbeddingBag|Index|IndexSelect|Gather)Backward\d*")

Node = Any  # torch.autograd.graph.Node, whose leaves and saved values torch does not declare


@dataclass(frozen=True)
class Example:
    """What a model is called with."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] | None = None


def example_of(value: object) -> Example:
    """An example as users give it: a batch of inputs, a tuple of them, or a dict of them by name.

    Raises:
        UsageError: it is something else.
    """
    if isinstance(value, Example):
        return value
    if isinstance(value, torch.Tensor):
        return Example((value,))
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return Example((), dict(value))
    if isinstance(value, tuple | list) and value:
        return Example(tuple(value))
    raise UsageError(
        f"example: got {type(value).__name__}, wanted a batch of inputs as a tensor, a tuple of "
        "them, or a dict of them by name"
    )


def inputs_seen(model: nn.Module, run: Callable[[], object]) -> tuple[Example | None, object]:
    """What `model` is called with first while `run` runs, and what `run` returns."""
    seen: list[Example] = []

    def see(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not seen:
            seen.append(_few(Example(args, kwargs)))

    hook = model.register_forward_pre_hook(see, with_kwargs=True)
    try:
        result = run()
    finally:
        hook.remove()
    return (seen[0] if seen else None), result


def output_parameters(model: nn.Module, example: Example) -> set[int]:
    """The ids of the parameters of layers whose channels reach an output unmixed.

    From the outputs of one forward pass in evaluation mode autograd's graph is followed back:
    through activations, norms, pooling, additions, concatenation, reshaping and the like, up to
    the layers that weigh and sum channels. A depthwise convolution moves each channel to one: it
    is the output, and so is the layer before it.

    Args:
        model: it is left as it is.
        example: what it is called with.

    Raises:
        UsageError: the model does not run on the example, or its outputs have no gradient.
    """
    root = named_modules(model)[""]  # what a compiled or parallel model wraps
    first = next(root.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(unchanged_random_state([device]))
        stack.enter_context(unchanged(root))
        for parameter in root.parameters():
            if parameter.is_floating_point() or parameter.is_complex():
                parameter.requires_grad_(True)
        for module in root.modules():
            module.training = False
        leaves: list[torch.Tensor] = []
        args = _tracked(_few(example).args, device, leaves)
        kwargs = _tracked(dict(_few(example).kwargs or {}), device, leaves)
        try:
            outputs = root(*args, **kwargs)
        except Exception as error:  # it is the user's code, and the user's example
            raise UsageError(
                f"example: {type(root).__name__} does not run on it: "
                f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
            ) from error
        ends = [value.grad_fn for value in _tensors(outputs) if value.grad_fn is not None]
        found = _Graph(ends, {id(leaf) for leaf in leaves}).outputs()
    if not found:
        raise UsageError(
            f"example: no layer of {type(root).__name__} was found behind its output; does its "
            "forward return tensors with gradients?"
        )
    return found


class _Graph:
    """Autograd's graph behind some outputs.

    Args:
        ends: the nodes of the outputs.
        inputs: ids of the tensors that are the model's inputs.
    """

    def __init__(self, ends: Sequence[Node], inputs: set[int]) -> None:
        self._ends = ends
        self._is_of_input: dict[Node, bool] = {}
        for node in _upwards(ends):
            self._is_of_input[node] = (
                id(_leaf(node)) in inputs
                or _LOOK_UPS.fullmatch(node.name()) is not None
                or any(self._is_of_input[source] for source in _sources(node))
            )

    def outputs(self) -> set[int]:
        """The parameters of the layers that are met first."""
        if not any(self._is_of_input.values()):
            return set()  # weights and values cannot be told apart
        found: set[int] = set()
        seen: set[Node] = set()
        todo = list(self._ends)
        while todo:
            node = todo.pop()
            if node in seen:
                continue
            seen.add(node)
            weights = self._weights(node)
            # what meets the values elsewhere, in a product say, may make weights of them
            met = [_leaf(source) for source in _sources(node) if not self._is_of_input[source]]
            found |= {id(leaf) for leaf in (*weights, *met) if leaf is not None and leaf.ndim > 1}
            if not weights or _is_depthwise(node):
                todo += [source for source in _sources(node) if self._is_of_input[source]]
        return found

    def _weights(self, node: Node) -> list[torch.Tensor]:
        """The parameters that the node weighs and sums channels by; none if it does not."""
        if _MIXING.fullmatch(node.name()) is None:
            return []
        branches = [source for source in _sources(node) if not self._is_of_input[source]]
        leaves = [_leaf(below) for below in _upwards(branches)]
        return [leaf for leaf in leaves if leaf is not None and leaf.ndim > 1]


def _is_depthwise(node: Node) -> bool:
    """Whether each channel comes from one alone."""
    groups = getattr(node, "_saved_groups", 1)
    if groups == 1:
        return False
    shape = node._saved_weight.shape
    return shape[0] == groups if node._saved_transposed else shape[1] == 1


def _leaf(node: Node) -> torch.Tensor | None:
    return getattr(node, "variable", None)


def _sources(node: Node) -> list[Node]:
    return [source for source, _ in node.next_functions if source is not None]


def _upwards(ends: Sequence[Node]) -> list[Node]:
    """All nodes behind some, each after those that it reads; without recursion, nets are deep."""
    order: list[Node] = []
    seen: set[Node] = set()
    todo: list[tuple[Node, bool]] = [(end, False) for end in ends]
    while todo:
        node, is_done = todo.pop()
        if is_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            todo.append((node, True))
            todo += [(source, False) for source in _sources(node) if source not in seen]
    return order


def _few(example: Example) -> Example:
    """The first two of a batch: enough to see the graph."""
    values = [*example.args, *(example.kwargs or {}).values()]
    sizes = {len(value) for value in _tensors(values) if value.ndim}
    if len(sizes) != 1 or sizes == {1}:
        return example

    def cut(value: torch.Tensor) -> torch.Tensor:
        return value[:2] if value.ndim else value

    return Example(_mapped(example.args, cut), _mapped(dict(example.kwargs or {}), cut))


def _tracked(value: Any, device: torch.device, leaves: list[torch.Tensor]) -> Any:
    """The same on a device, its tensors of numbers tracked by autograd, as non-leaf copies."""

    def track(tensor: torch.Tensor) -> torch.Tensor:
        moved = tensor.detach().to(device)
        if not moved.is_floating_point():
            return moved
        leaves.append(moved.clone().requires_grad_(True))
        return leaves[-1].clone()  # the model may write into what it is given

    return _mapped(value, track)


def _mapped(value: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return function(value)
    if type(value) is dict:
        return {key: _mapped(part, function) for key, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_mapped(part, function) for part in value)
    return value


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in whatever a model takes or returns."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name))
