"""Cutting a graph's layers down to the channels that stay."""

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from lottery_ticket.export.compaction.flow import Flow
from lottery_ticket.graphs.operations import Mixing, Moving, OnTheWay, Picking
from lottery_ticket.graphs.vocabulary import CONVOLUTIONS, NORMS

__all__ = ["narrow_"]


def narrow_(module: fx.GraphModule, flow: Flow, *, gather_inputs: bool) -> None:
    """Cut layers and rewrite what names a number of channels, in place.

    Args:
        module: the graph, over layers that may be changed.
        flow: what stays of each value.
        gather_inputs: whether layers pick the inputs that they read.
    """
    for node, operation in flow.operations.items():
        if node not in flow.is_kept:
            continue
        kept = flow.is_kept[node]
        if isinstance(operation, Mixing):
            _narrow_layer_(module, node, operation, flow, gather_inputs)
        elif isinstance(operation, Picking):
            if not flow.is_kept[operation.source].all():
                _narrow_pick_(module, node, operation, flow)
        elif isinstance(operation, Moving) and not kept.all():
            if node.op == "call_module":
                _narrow_each_(module.get_submodule(str(node.target)), kept)
            elif node.op == "get_attr":
                owner, _, name = str(node.target).rpartition(".")
                _narrow_tensors_(module.get_submodule(owner), (name,), kept, dim=1)
            elif node.target is F.pad:
                _narrow_pad_(node, operation, kept)
            elif node.target in ("view", "reshape", torch.reshape):
                _reshape_instead_(node, kept, flow.constants[node].shape[2:])
    _drop_unread_(module, flow)
    module.graph.lint()
    module.recompile()


def _narrow_layer_(
    module: fx.GraphModule, node: fx.Node, operation: Mixing, flow: Flow, gather_inputs: bool
) -> None:
    layer: Any = module.get_submodule(str(node.target))
    source = operation.source
    outputs, inputs = flow.is_kept[node], flow.is_kept[source]
    extra = _folded(layer, flow.constants[source], ~inputs)
    if gather_inputs and flow.is_input[source].any():
        read = operation.reads[outputs].any(0) & inputs
        read[inputs.nonzero()[0]] |= not read.any()
        if not read[inputs].all():
            _gather_(module, node, read[inputs])
            inputs = read
    device = layer.weight.device
    weight = layer.weight.detach()[outputs.to(device)][:, inputs.to(device)]
    layer.weight = _parameter(weight, layer.weight)
    _set_widths_(layer, int(inputs.sum()), int(outputs.sum()))
    if layer.bias is not None:
        layer.bias = _parameter(layer.bias.detach()[outputs.to(device)], layer.bias)
    if extra is not None:
        _add_(module, node, layer, extra[:, outputs])


def _folded(layer: Any, constants: torch.Tensor, goes: torch.Tensor) -> torch.Tensor | None:
    """What the inputs that go have added to the outputs: `(1, outputs, …)` float64."""
    gone = torch.where(goes.view(1, -1, *[1] * (constants.ndim - 2)), constants, 0.0)
    if not gone.any():
        return None
    weight = layer.weight.detach().to("cpu", torch.float64)
    if type(layer) is nn.Linear:
        return F.linear(gone, weight)
    if layer.padding_mode != "zeros":
        gone = F.pad(gone, layer._reversed_padding_repeated_twice, mode=layer.padding_mode)
    padding = layer.padding if layer.padding_mode == "zeros" else 0
    convolve: Any = (F.conv1d, F.conv2d, F.conv3d)[CONVOLUTIONS[type(layer)] - 1]
    return convolve(gone, weight, None, layer.stride, padding, layer.dilation)


def _add_(module: fx.GraphModule, node: fx.Node, layer: Any, extra: torch.Tensor) -> None:
    """Add a constant to a layer's output: to its bias, or where it differs at the border a map."""
    flat = extra.flatten(2) if extra.ndim > 2 else extra.unsqueeze(2)
    mean = flat.mean(2, keepdim=True)
    if ((flat - mean).abs() <= 1e-9 * flat.abs().amax()).all():
        old = torch.zeros(()) if layer.bias is None else layer.bias.detach()
        bias = old.to("cpu", torch.float64) + mean.flatten()
        layer.bias = _parameter(bias.to(layer.weight), layer.weight)
        return
    name = _hold_(module, f"{node.name}_constants", extra.to(layer.weight))
    with module.graph.inserting_after(node):
        constants = module.graph.get_attr(name)
    with module.graph.inserting_after(constants):
        total = module.graph.call_function(torch.add, (node, constants))
    node.replace_all_uses_with(total, delete_user_cb=lambda user: user is not total)


def _gather_(module: fx.GraphModule, node: fx.Node, read: torch.Tensor) -> None:
    (source,) = node.all_input_nodes
    layer: Any = module.get_submodule(str(node.target))
    index = read.nonzero().flatten().to(layer.weight.device)
    with module.graph.inserting_before(node):
        held = module.graph.get_attr(_hold_(module, f"{node.name}_inputs", index))
        gathered = module.graph.call_function(torch.index_select, (source, 1, held))
    node.replace_input_with(source, gathered)


def _hold_(module: fx.GraphModule, name: str, value: torch.Tensor) -> str:
    while hasattr(module, name):
        name += "_"
    module.register_buffer(name, value)
    return name


def _narrow_each_(module: Any, kept: torch.Tensor) -> None:
    """A module with parameters per channel: a norm, or a convolution channel by channel."""
    if type(module) not in (*NORMS, *CONVOLUTIONS):
        return
    _narrow_tensors_(module, ("weight", "bias", "running_mean", "running_var"), kept)
    num = int(kept.sum())
    if type(module) in NORMS:
        module.num_features = num
    else:
        module.groups = num
        _set_widths_(module, num, num)


def _narrow_tensors_(module: Any, names: tuple[str, ...], kept: torch.Tensor, dim: int = 0) -> None:
    for name in names:
        old = getattr(module, name, None)
        if old is not None:
            indices = kept.nonzero().flatten().to(old.device)
            new = old.detach().index_select(dim, indices)
            setattr(module, name, _parameter(new, old) if isinstance(old, nn.Parameter) else new)


def _narrow_pick_(module: fx.GraphModule, node: fx.Node, operation: Picking, flow: Flow) -> None:
    """What is picked, counted among what stays of the source, and read where that was read."""
    start, source = operation.start, _read_by(operation.start)
    stays = flow.is_kept[operation.source].repeat_interleave(operation.positions or 1)
    index = (stays.cumsum(0) - 1)[operation.index[flow.is_kept[node]]]
    graph, (low, high) = module.graph, (int(index[0]), int(index[-1]) + 1)
    is_range = bool((index.diff() == 1).all())
    with graph.inserting_before(start):
        if operation.positions is not None:
            source = graph.call_function(torch.flatten, (source, 1))
        if operation.is_view and is_range:  # a copy would cost, and others may write into it
            picked = graph.call_function(
                operator.getitem, (source, (slice(None), slice(low, high)))
            )
        else:
            held = graph.get_attr(_hold_(module, f"{node.name}_picks", index.to(operation.device)))
            picked = graph.call_function(torch.index_select, (source, 1, held))
    node.replace_all_uses_with(picked)


def _narrow_pad_(node: fx.Node, operation: Moving, kept: torch.Tensor) -> None:
    """New channels before and after those that are there: as many as stay."""
    (origin,) = operation.origins.values()
    if (origin >= 0).all():
        return
    old = (origin >= 0).nonzero().flatten()
    counts = (int(kept[: old[0]].sum()), int(kept[old[-1] + 1 :].sum()))
    pads: Any = node.args[1] if len(node.args) > 1 else node.kwargs["pad"]
    pads = (*pads[:-2], *counts)
    if len(node.args) > 1:
        node.update_arg(1, pads)
    else:
        node.update_kwarg("pad", pads)


def _reshape_instead_(node: fx.Node, kept: torch.Tensor, positions: torch.Size) -> None:
    source = _read_by(node)
    node.op, node.kwargs = "call_function", {}
    if positions:
        node.target, node.args = torch.reshape, (source, (-1, int(kept.sum()), *positions))
    else:
        node.target, node.args = torch.flatten, (source, 1)


def _read_by(node: fx.Node) -> Any:
    """What an operation on one value reads."""
    return node.args[0] if node.args else node.kwargs["input"]


def _drop_unread_(module: fx.GraphModule, flow: Flow) -> None:
    """What nothing reads any more: sizes, the way to picks, and the tensors that these read."""
    graph = module.graph
    for node in reversed(graph.nodes):
        operation = flow.operations.get(node)
        is_pick = isinstance(operation, OnTheWay | Picking)
        if isinstance(operation, OnTheWay) and all(user.target == "size" for user in node.users):
            for user in list(node.users):  # the batch is as large as where it began
                user.replace_input_with(node, _read_by(operation.start))
        if not node.users and (is_pick or node.target == "size" or node.op == "get_attr"):
            graph.erase_node(node)
    read = {str(node.target) for node in graph.nodes if node.op in ("get_attr", "call_module")}
    for node in flow.operations:
        name = str(node.target)
        is_called = any(name.startswith(f"{other}.") for other in read)
        if node.op == "get_attr" and name not in read and not is_called:
            owner, _, leaf = name.rpartition(".")
            if hasattr(module.get_submodule(owner), leaf):
                delattr(module.get_submodule(owner), leaf)
    module.delete_all_unused_submodules()


def _set_widths_(layer: Any, inputs: int, outputs: int) -> None:
    kind = "features" if type(layer) is nn.Linear else "channels"
    setattr(layer, f"in_{kind}", inputs)
    setattr(layer, f"out_{kind}", outputs)


def _parameter(value: torch.Tensor, old: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(value.detach().clone(), requires_grad=old.requires_grad)
