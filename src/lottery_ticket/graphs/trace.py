"""A model's graph, followed by running its own code on an example; and where that went wrong."""

import inspect
import linecache
import operator
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.fx.node import map_arg

from lottery_ticket.errors import UsageError
from lottery_ticket.process import alone

__all__ = [
    "Example",
    "Trace",
    "execute",
    "has_hooks",
    "inputs_of",
    "may_be_along_examples",
    "outputs_of",
    "target_name",
    "trace",
    "with_place",
]

Example = torch.Tensor | tuple[torch.Tensor, ...]

# what does to a batch of 1 nothing that it would not do to others: the place of its argument `dim`
_DIMS = {"unbind": 1, "split": 2, "split_with_sizes": 2, "chunk": 2, "tensor_split": 2, "roll": 2}
# code that is not the user's
_OTHERS = (*torch.__path__, str(Path(__file__).parents[1]))


@dataclass(frozen=True)
class Trace:
    """What a model does.

    Args:
        module: the same computation as a graph over the model's own modules, in eval mode.
        values: what each node gave for the first example.
        not_followed: node → why what it does cannot be told from its code.
    """

    module: fx.GraphModule
    values: Mapping[fx.Node, Any]
    not_followed: Mapping[fx.Node, str]


def trace(model: nn.Module, example: Example) -> Trace:
    """Follow a model, which must be in eval mode.

    Sizes are those of the example; the batch stays free. A module whose code cannot be followed is
    called as it is.

    Raises:
        UsageError: the model does not run on the example, or its own `forward` cannot be followed.
    """
    first = tuple(value[:1] for value in inputs_of(example))
    outputs_of(model, first)
    opaque: dict[str, str] = {}
    while True:
        tracer = _Tracer(first, opaque)
        try:
            # tracing changes what calling a module means, in all threads
            with alone(), torch.no_grad():
                graph = tracer.trace(model)
            break
        except Exception as error:  # the code of a model that cannot be followed may raise anything
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            reason = with_place(reason, error)
            if tracer.failed is None:
                raise UsageError(
                    f"{type(model).__name__}: its forward cannot be followed ({reason}); put what "
                    "depends on values into a module of its own, which is then left as it is"
                ) from error
            opaque[tracer.failed] = f"its code cannot be followed ({reason})"
    plain = fx.Graph()  # that remembers no tracer of ours: it must load where this package is not
    plain.output(plain.graph_copy(graph, {}))
    module = fx.GraphModule(model, plain, type(model).__name__)
    by_name = {node.name: node for node in module.graph.nodes}
    values = {by_name[node.name]: value for node, value in tracer.values.items()}
    reasons = {
        node: opaque[str(node.target)]
        for node in by_name.values()
        if node.op == "call_module" and node.target in opaque
    }
    return Trace(module, values, reasons | _changed_in_place(values, tracer.written))


def inputs_of(example: Example) -> tuple[torch.Tensor, ...]:
    """The inputs of an example; raises `UsageError` if it is none."""
    inputs = example if isinstance(example, tuple) else (example,)
    if not inputs or not all(isinstance(x, torch.Tensor) and x.ndim and len(x) for x in inputs):
        raise UsageError(
            "example: wanted a batch of inputs as a tensor, or a tuple of tensors for a model of "
            f"several inputs, got {type(example).__name__}"
        )
    return inputs


@torch.no_grad()
def outputs_of(model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Any:
    """What a model gives; raises `UsageError` if it does not take the inputs."""
    try:
        return model(*inputs)
    except Exception as error:  # it is the user's code, and the user's example
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        raise UsageError(
            f"{type(model).__name__} does not run on the example of shape {shapes}: {error}"
        ) from error


def has_hooks(module: nn.Module) -> bool:
    """Whether a call of it does more than its forward says."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def may_be_along_examples(node: fx.Node, ndim: int) -> bool:
    """Whether a split or a roll of a value is, or may be, along the batch.

    Args:
        node: the operation; all others are not.
        ndim: of the value.
    """
    if target_name(node) not in _DIMS:
        return False
    place, named = _DIMS[target_name(node)], node.kwargs.get("dims", node.kwargs.get("dim"))
    dims: Any = node.args[place] if len(node.args) > place else named
    dims = dims if isinstance(dims, Sequence) else (dims,)
    return not all(isinstance(dim, int) and dim % ndim for dim in dims)


def target_name(node: fx.Node) -> str:
    """What it calls, in a word."""
    return str(getattr(node.target, "__name__", node.target))


def execute(node: fx.Node, module: nn.Module, value_of: Callable[[fx.Node], Any]) -> Any:
    """What a node gives for the values of those it reads."""
    args, kwargs = map_arg((node.args, node.kwargs), value_of)
    if node.op == "output":
        return args[0]
    target: Any = node.target
    if node.op == "get_attr":
        owner, _, name = target.rpartition(".")
        return getattr(module.get_submodule(owner), name)
    if node.op == "call_module":
        return module.get_submodule(target)(*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], target)(*args[1:], **kwargs)
    return target(*args, **kwargs)


class _Tracer(fx.Tracer):
    """Records the graph and runs it at once, so that code may ask for sizes.

    Args:
        inputs: the first example.
        opaque: names of modules that are called as they are.
    """

    def __init__(self, inputs: tuple[torch.Tensor, ...], opaque: Mapping[str, str]) -> None:
        super().__init__(param_shapes_constant=False)
        self.values: dict[fx.Node, Any] = {}
        self.written: dict[fx.Node, int] = {}  # nodes that write to storage of others
        self.failed: str | None = None
        self._inputs = list(inputs)
        self._opaque = opaque
        self._is_executing = False

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name in self._opaque or super().is_leaf_module(
            m, module_qualified_name
        )

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple, kwargs: dict
    ) -> Any:
        if self._is_executing:
            return forward(*args, **kwargs)
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            if self.failed is None:  # the innermost one
                self.failed = self.path_of_module(m)
            raise

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict) -> Any:
        if self._is_executing:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def create_args_for_root(
        self, root_fn: Any, is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        """The inputs alone: what else the forward takes has its default."""
        forward = getattr(self.root, "forward", root_fn)
        names = [
            name
            for name, parameter in inspect.signature(forward).parameters.items()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
        names += [f"input_{number}" for number in range(len(names), len(self._inputs))]
        given = [
            self.create_proxy("placeholder", name, (), {}) for name in names[: len(self._inputs)]
        ]
        return root_fn, [self.root, *given]

    def create_node(self, kind: str, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(kind, *args, **kwargs)
        if kind == "placeholder":
            self.values[node] = self._inputs[len(self.values)]
            return node
        read = [self.values[other] for other in node.all_input_nodes]
        versions = [_version(value) for value in read]
        self._is_executing = True
        try:
            self.values[node] = execute(node, self.root, self.values.__getitem__)
        finally:
            self._is_executing = False
        for value, version in zip(read, versions, strict=True):
            if _version(value) != version:
                self.written[node] = value.untyped_storage().data_ptr()
        return node


class _Proxy(fx.Proxy):
    """A value that knows its sizes. The first one, of the batch, is a node of the graph."""

    def __len__(self) -> int:
        if (parts := self._parts()) is not None:
            return len(parts)
        raise TypeError("len() of a value; ask for its shape")

    def __iter__(self) -> Iterator[Any]:
        if (parts := self._parts()) is not None:
            create, target = self.tracer.create_proxy, operator.getitem
            return iter([create("call_function", target, (self, n), {}) for n in range(len(parts))])
        return super().__iter__()  # type: ignore[return-value]  # of fx: an iterator

    @property
    def ndim(self) -> int:
        return self.dim()

    @property
    def shape(self) -> Any:
        return self.size()

    def dim(self) -> int:
        return self._value().ndim

    def size(self, dim: int | None = None) -> Any:
        sizes = tuple(self._value().shape)
        batch = self.tracer.create_proxy("call_method", "size", (self, 0), {}) if sizes else None
        known = (batch, *sizes[1:])[: len(sizes)]
        return known if dim is None else known[dim]

    def _parts(self) -> Any:
        """What it was split into along anything but the batch; None if it is no such split."""
        if not isinstance(self._value(), tuple | list) or target_name(self.node) not in _DIMS:
            return None
        read = self.tracer.values[self.node.all_input_nodes[0]]  # type: ignore[attr-defined]
        return None if may_be_along_examples(self.node, read.ndim) else self._value()

    def _value(self) -> Any:
        tracer = self.tracer
        assert isinstance(tracer, _Tracer)
        return tracer.values[self.node]


def _version(value: Any) -> int | None:
    # inference tensors count no versions, and cannot be traced into either
    return value._version if isinstance(value, torch.Tensor) and not value.is_inference() else None


def _changed_in_place(
    values: Mapping[fx.Node, Any], written: Mapping[fx.Node, int]
) -> dict[fx.Node, str]:
    """Nodes that are read both before and after something writes into their memory."""
    place = {node: number for number, node in enumerate(values)}
    by_name = {node.name: node for node in values}
    found = {}
    for old, storage in written.items():
        writer = by_name[old.name]
        for node, value in values.items():
            parts = value if isinstance(value, (tuple, list)) else (value,)
            shares = any(
                isinstance(part, torch.Tensor) and part.untyped_storage().data_ptr() == storage
                for part in parts
            )
            is_older = shares and place[node] < place[writer]
            if is_older and any(place[user] > place[writer] for user in node.users):
                reason = f"{writer.name} writes into it, and others read it later"
                found |= {node: reason, writer: reason}
    return found


def with_place(reason: str, error: BaseException) -> str:
    """`"REASON; net.py, line 12: if y.sum() > 0:"`: the line of a `forward` that raised it.

    Of several the innermost that is neither torch's nor ours; the reason alone where there is none.
    """
    for frame, number in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = frame.f_code.co_filename
        if frame.f_code.co_name == "forward" and not path.startswith(_OTHERS):
            code = linecache.getline(path, number).strip()
            return f"{reason}; {Path(path).name}, line {number}: {code}" if code else reason
    return reason
