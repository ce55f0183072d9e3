"""A graph over standard layers as one safetensors file, and back without running code of the file.

The metadata is JSON: nodes in order, operations by the names they have in torch, options of layers.
A tensor is stored as it is, or by rows where that is smaller.
"""

import inspect
import json
import keyword
import math
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import fx, nn

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.export.sparse_nets.sizes import check_sizes
from lottery_ticket.export.sparse_nets.tensor_rows import from_rows, to_rows
from lottery_ticket.files import write_file
from lottery_ticket.graphs.vocabulary import (
    BETWEEN,
    BY_VALUE,
    BY_VALUE_MODULES,
    CAT,
    CONVOLUTIONS,
    DROPOUTS,
    NORMS,
    OVER_POSITIONS,
    POOL_MODULES,
    POOLS,
    RESHAPES,
)
from lottery_ticket.tensor_files import check_claim, claimed_shape, made_sense_of, read_tensors

__all__ = ["read_graph", "write_graph"]

_FORMAT = "lottery_ticket.graph/1"
_OTHERS = (torch.index_select, operator.getitem, F.pad, F.softmax, F.log_softmax, torch.softmax)
_TARGETS = {*BY_VALUE, *BETWEEN, *OVER_POSITIONS, *RESHAPES, *CAT, *POOLS, *DROPOUTS, *_OTHERS}
_ROOMS = {"torch": torch, "torch.nn.functional": F, "operator": operator}
_FUNCTIONS = {
    f"{room}.{name}": value
    for room, module in _ROOMS.items()
    for name, value in vars(module).items()
    if callable(value) and value in _TARGETS
}
_METHODS = {target for target in _TARGETS if isinstance(target, str)} | {"size", "softmax"}
_MODULES: dict[str, type[nn.Module]] = {
    kind.__name__: kind
    for kind in (
        *(nn.Linear, nn.Flatten, nn.Softmax, nn.LogSoftmax),
        *(*CONVOLUTIONS, *NORMS, *BY_VALUE_MODULES, *POOL_MODULES),
    )
}

Inputs = tuple[torch.Tensor, ...]


def write_graph(
    path: Path, module: fx.GraphModule, example: Inputs, notes: Mapping[str, Any]
) -> None:
    """Write a graph, the shapes of an example, and notes that are plain JSON.

    Raises:
        UsageError: an operation or module that has no name in the file.
    """
    tensors, by_rows = {}, {}
    for name, value in sorted(module.state_dict().items()):
        if parts := to_rows(value):
            by_rows[name] = list(value.shape)
            tensors |= {f"{name}.{part}": kept for part, kept in parts.items()}
        else:
            whole = value.int() if _is_index(value) else value
            # a copy: tied weights share their memory, which safetensors refuses
            tensors[name] = whole.clone(memory_format=torch.contiguous_format)
    content = {
        "format": _FORMAT,
        "notes": dict(notes),
        "inputs": [[str(x.dtype).removeprefix("torch."), *x.shape[1:]] for x in example],
        "nodes": [_described(node) for node in module.graph.nodes],
        "modules": {
            node.target: _options(module.get_submodule(str(node.target)))
            for node in module.graph.nodes
            if node.op == "call_module"
        },
        "by_rows": by_rows,
    }
    write_file(path, save(tensors, {"graph": json.dumps(content, allow_nan=False)}))


def read_graph(path: Path, max_weights: int | None) -> tuple[fx.GraphModule, Inputs, Any]:
    """The graph, an example of zeros, and the notes.

    Raises:
        DataError: the file is missing, damaged, of something else, or claims too much.
    """
    with made_sense_of(path, "file of Sparse.save"):
        data = path.read_bytes()
        tensors, content = read_tensors(data, "graph")
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']!r}, wanted {_FORMAT!r}")
        shapes = {name: claimed_shape(shape) for name, shape in content["by_rows"].items()}
        _check_weights(path, shapes, tensors, len(data), max_weights)
        for name, shape in shapes.items():
            parts = {
                part: tensors.pop(f"{name}.{part}") for part in ("values", "columns", "counts")
            }
            tensors[name] = from_rows(parts, shape)
        module = _module(content, tensors)
        example = tuple(_input(given, path, len(data)) for given in content["inputs"])
        check_sizes(module, example, path, len(data))
        return module, example, content["notes"]


def _check_weights(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    tensors: Mapping[str, torch.Tensor],
    num_bytes: int,
    max_weights: int | None,
) -> None:
    """Before anything is unpacked: rows can claim any width."""
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    if max_weights is None:
        claimed = sum(
            size * tensors[f"{name}.values"].element_size() for name, size in sizes.items()
        )
        remedy = f"if that is true, load it with max_weights={sum(sizes.values())}"
        check_claim(path, claimed, num_bytes, remedy)
    elif sum(sizes.values()) > max_weights:
        raise DataError(
            f"{path}: claims {sum(sizes.values()):,} weights, more than {max_weights:,}"
        )


def _input(described: Any, path: Path, num_bytes: int) -> torch.Tensor:
    kind, *sides = described
    shape, dtype = claimed_shape(sides), getattr(torch, kind)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"an input of type {kind!r}")
    check_claim(path, math.prod(shape) * dtype.itemsize, num_bytes, "save it again")
    return torch.zeros(1, *shape, dtype=dtype)


def _module(content: Mapping[str, Any], tensors: dict[str, torch.Tensor]) -> fx.GraphModule:
    parts: dict[str, Any] = {}
    for name, options in content["modules"].items():
        kind = _MODULES[options.pop("type")]
        with torch.device("meta"):  # its values are the file's, and its sizes must be theirs
            parts[name] = kind(**options)
    graph, nodes = fx.Graph(), {}
    for described in content["nodes"]:
        nodes[described["name"]] = node = _node(graph, described, nodes)
        if node.op == "get_attr":
            value = tensors[str(node.target)]
            tensors[str(node.target)] = value.long() if value.dtype == torch.int32 else value
            parts[str(node.target)] = tensors[str(node.target)]
    module = fx.GraphModule(parts, graph)
    module.load_state_dict(tensors, assign=True)  # in their own dtypes
    module.graph.lint()
    return module.eval()


def _is_index(value: torch.Tensor) -> bool:
    """Whether it is stored in int32: as an index into features it fits."""
    return value.dtype == torch.int64 and value.ndim == 1


def _node(graph: fx.Graph, described: Mapping[str, Any], nodes: Mapping[str, fx.Node]) -> fx.Node:
    op, target = described["op"], described["target"]
    if op == "call_function":
        target = _FUNCTIONS[target]
    if op == "call_method" and target not in _METHODS:
        raise ValueError(f"unknown method {target!r}")
    args, kwargs = (_decoded(described[key], nodes) for key in ("args", "kwargs"))
    _check_names(op, target, kwargs)
    return graph.create_node(op, target, tuple(args), kwargs, described["name"])


def _check_names(op: str, target: Any, kwargs: Mapping[str, Any]) -> None:
    """Before torch writes a graph as Python, as it does to run it: a name may hold no code.

    Raises:
        ValueError: it may.
    """
    names = [*kwargs, target] if op == "placeholder" else list(kwargs)
    for name in names:
        if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
            raise ValueError(f"{name!r} is no name of an argument")
    # it is put between quotation marks as it is
    if op in ("get_attr", "call_module") and set(target) & {'"', "\\", "\n", "\r", "\0"}:
        raise ValueError(f"{target!r} is no name of a module or tensor")


def _described(node: fx.Node) -> dict[str, Any]:
    names: dict[Any, str] = {function: name for name, function in _FUNCTIONS.items()}
    target = names.get(node.target) if node.op == "call_function" else node.target
    if target is None or (node.op == "call_method" and target not in _METHODS):
        raise UsageError(
            f"{node.name}: {node.target} cannot be saved; only torch's usual operations"
        )
    args, kwargs = _encoded(node.args), _encoded(node.kwargs)
    return {"name": node.name, "op": node.op, "target": target, "args": args, "kwargs": kwargs}


def _options(module: nn.Module) -> dict[str, Any]:
    """What a standard module is made with."""
    if type(module) not in _MODULES.values():
        raise UsageError(
            f"a {type(module).__name__} cannot be saved; only torch's usual layers can. Save the "
            "model's own state_dict, or export the program"
        )
    options: dict[str, Any] = {"type": type(module).__name__}
    for name in inspect.signature(type(module)).parameters:
        if name not in ("device", "dtype") and hasattr(module, name):
            value = getattr(module, name)
            options[name] = value is not None if name == "bias" else value
    return options


def _encoded(value: Any) -> Any:
    """Arguments as JSON: a list is a list, everything that JSON has not is a tagged object."""
    if isinstance(value, fx.Node):
        return {"node": value.name}
    if isinstance(value, slice):
        return {"slice": [_encoded(part) for part in (value.start, value.stop, value.step)]}
    if isinstance(value, tuple):
        return {"tuple": [_encoded(part) for part in value]}
    if isinstance(value, list):
        return [_encoded(part) for part in value]
    if isinstance(value, dict):
        return {"dict": {key: _encoded(part) for key, part in value.items()}}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise UsageError(f"an argument of type {type(value).__name__} cannot be saved: {value!r}")


def _decoded(value: Any, nodes: Mapping[str, fx.Node]) -> Any:
    if isinstance(value, list):
        return [_decoded(part, nodes) for part in value]
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    if tag == "node":
        return nodes[content]
    if tag == "dict":
        return {key: _decoded(part, nodes) for key, part in content.items()}
    parts = [_decoded(part, nodes) for part in content]
    return slice(*parts) if tag == "slice" else tuple(parts)
