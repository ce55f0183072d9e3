"""Recognising a plain chain of linear layers, by following the model's own code."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from lottery_ticket.process import alone

__all__ = ["ChainLayer", "chain_of"]

_ACTIVATIONS: dict[Any, str] = {
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    F.relu: "relu",
    F.tanh: "tanh",
    torch.relu: "relu",
    torch.tanh: "tanh",
    "relu": "relu",
    "tanh": "tanh",
}


@dataclass(frozen=True)
class ChainLayer:
    """A linear layer of a chain, and what follows it.

    Args:
        weight: name of the `(outputs, inputs)` parameter.
        bias: name of the `(outputs,)` parameter; None without one.
        activation: `"relu"`, `"tanh"`, or None.
    """

    weight: str
    bias: str | None
    activation: str | None


def chain_of(model: nn.Module) -> list[ChainLayer] | None:
    """The layers of a model that does nothing but flatten, then linear layers and activations.

    None for every other model: one with other modules, branches, hooks, tied or frozen parameters,
    or that computes something else in eval mode.

    >>> chain_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    [ChainLayer(weight='1.weight', bias='1.bias', activation=None)]
    >>> chain_of(nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Linear(4, 2))) is None
    True
    """
    parameters = list(model.named_parameters(remove_duplicate=False))
    is_plain = all(_is_plain(parameter) for _, parameter in parameters)
    if not is_plain or len({id(p) for _, p in parameters}) < len(parameters):
        return None
    if any(_is_watched(module) for module in model.modules()) or list(model.buffers()):
        return None
    chains = [_traced(model, mode) for mode in (True, False)]
    if chains[0] is None or chains[0] != chains[1]:
        return None
    # each layer once: one that is called twice has gradients from both calls
    used = [name for layer in chains[0] for name in (layer.weight, layer.bias) if name]
    return chains[0] if sorted(used) == sorted(name for name, _ in parameters) else None


def _is_plain(parameter: nn.Parameter) -> bool:
    """Whether a parameter is trained, and nothing but the optimiser looks at its gradient."""
    kinds = ("_backward_hooks", "_post_accumulate_grad_hooks")
    is_watched = any(getattr(parameter, kind, None) for kind in kinds)
    return parameter.requires_grad and type(parameter) is nn.Parameter and not is_watched


def _is_watched(module: nn.Module) -> bool:
    """Whether hooks look at what a module does, or something replaced its code or parameters."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    is_changed = "forward" in vars(module) or hasattr(module, "parametrizations")
    return is_changed or any(getattr(module, kind) for kind in kinds)


def _traced(model: nn.Module, is_training: bool) -> list[ChainLayer] | None:
    modes = {module: module.training for module in model.modules()}
    try:
        model.train(is_training)
        with alone():  # tracing changes what calling a module means, in all threads
            graph = fx.Tracer().trace(model)
    except Exception:  # the code of a model that cannot be followed may raise anything
        return None
    finally:
        for module, mode in modes.items():
            module.training = mode
    layers: list[ChainLayer] = []
    previous: fx.Node | None = None
    for node in graph.nodes:
        if node.op == "output":
            return layers if layers and node.args == (previous,) else None
        if not _follow(node, previous, model, layers):
            return None
        previous = node
    return None


def _follow(
    node: fx.Node, previous: fx.Node | None, model: nn.Module, layers: list[ChainLayer]
) -> bool:
    """Whether a node goes on with the chain; its layer or activation is noted in `layers`."""
    if node.op == "placeholder":
        return previous is None
    if node.args[:1] != (previous,):
        return False
    if node.op == "call_module":
        return _follow_module(str(node.target), model, layers, node)
    if node.op not in ("call_method", "call_function"):
        return False
    if node.target in ("flatten", torch.flatten):
        return not layers and node.args[1:] == (1,) and not node.kwargs
    has_options = len(node.args) > 1 or set(node.kwargs) - {"inplace"}
    return not has_options and _activate(layers, node.target)


def _follow_module(name: str, model: nn.Module, layers: list[ChainLayer], node: fx.Node) -> bool:
    module = model.get_submodule(name)
    if len(node.args) != 1 or node.kwargs:
        return False
    if type(module) is nn.Flatten:
        return not layers and (module.start_dim, module.end_dim) == (1, -1)
    if type(module) is nn.Identity:
        return True
    if type(module) is nn.Linear:
        bias = None if module.bias is None else f"{name}.bias"
        layers.append(ChainLayer(f"{name}.weight", bias, None))
        return True
    return _activate(layers, type(module))


def _activate(layers: list[ChainLayer], what: Any) -> bool:
    if what not in _ACTIVATIONS or not layers or layers[-1].activation is not None:
        return False
    last = layers.pop()
    layers.append(ChainLayer(last.weight, last.bias, _ACTIVATIONS[what]))
    return True
