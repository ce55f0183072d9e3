"""Which parameters are the weights of layers, and which dimension of a weight counts inputs.

Most layers are torch's. Two kinds are known by their looks, as they are classes of others: the
linear layer of GPT-2, and the experts of a mixture, one parameter for all of them.
"""

import re
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

__all__ = [
    "EMBEDDINGS",
    "has_experts",
    "input_dim",
    "is_weight_name",
    "is_weight_of_layer",
    "made_weights",
]

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_LAYERS = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase),
)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# weight; in_proj_weight and its like; weight_ih_l0_reverse and its like. No bias, no scale
_WEIGHT = re.compile(r"(\w+_)?weight|weight_(ih|hh|hr)(_l\d+(_reverse)?)?")
_EXPERT = re.compile(r"(gate_up|gate|up|down)_proj(_weight)?")
_EXPERT_IN_ITS_CLASS = re.compile(rf"{_EXPERT.pattern}|w\d|(\w+_)?weight")
_CLASS_OF_EXPERTS = re.compile(r"expert|moe", re.IGNORECASE)


def is_weight_name(leaf: str) -> bool:
    """Whether a parameter is called like a layer's weight."""
    return _WEIGHT.fullmatch(leaf) is not None


def is_weight_of_layer(module: nn.Module, leaf: str, value: torch.Tensor | None) -> bool:
    """Whether a parameter is what a known layer multiplies its inputs with.

    Args:
        module: whose parameter it is.
        leaf: its name there.
        value: the parameter; None where it is made from others.
    """
    if isinstance(module, _LAYERS) or _is_gpt2_linear(module):
        return is_weight_name(leaf)
    return value is not None and _is_experts(module, leaf, value)


def input_dim(module: nn.Module, leaf: str, value: torch.Tensor) -> int:
    """Which dimension of a weight counts inputs; see `lottery_ticket.masks.input_dims`."""
    if isinstance(module, _TRANSPOSED) or _is_gpt2_linear(module):
        return 0
    if isinstance(module, _LAYERS) or not _is_experts(module, leaf, value):
        return 1
    return -2 if _has_inputs_first(module, leaf, value) else 2


def has_experts(dim: int) -> bool:
    """Whether a weight with this input dimension has another in front, that of experts."""
    return dim in (2, -2)


def made_weights(module: nn.Module) -> dict[str, list[str]]:
    """The weights of a known layer that are made from others → the names of those, in the module.

    By `torch.nn.utils.parametrize`, which weight_norm and spectral_norm are built on, or by their
    older forms. The form of torch.nn.utils.prune is left to `PruningMask`, which reads it.
    """
    made = {}
    if parametrize.is_parametrized(module):
        lists = dict(module.parametrizations.named_children())  # type: ignore[union-attr]
        for leaf, list_of in lists.items():
            originals = [n for n, _ in list_of.named_parameters(recurse=False)]
            made[leaf] = [f"parametrizations.{leaf}.{name}" for name in originals]
    own = [name for name, _ in module.named_parameters(recurse=False)]
    for leaf in _names_in_hooks(module):
        made[leaf] = [name for name in own if name in (f"{leaf}_g", f"{leaf}_v", f"{leaf}_orig")]
    if not made and _has_made_weight(module, own):
        made["weight"] = [name for name in own if name != "bias"]
    return {leaf: names for leaf, names in made.items() if is_weight_of_layer(module, leaf, None)}


def _names_in_hooks(module: nn.Module) -> Iterable[str]:
    hooks = module._forward_pre_hooks.values()
    return [hook.name for hook in hooks if isinstance(hook, WeightNorm | SpectralNorm)]


def _has_made_weight(module: nn.Module, own: list[str]) -> bool:
    """Whether somebody's own code makes a layer's weight."""
    is_pruned = "weight_orig" in own and hasattr(module, "weight_mask")
    is_layer = is_weight_of_layer(module, "weight", None)
    return "weight" not in own and is_layer and not is_pruned and hasattr(module, "weight")


def _is_gpt2_linear(module: nn.Module) -> bool:
    """A `Conv1D` as in transformers, or a copy of it: a linear layer with a weight (in, out)."""
    if "Conv1D" not in {kind.__name__ for kind in type(module).__mro__}:
        return False
    own = dict(module.named_parameters(recurse=False))
    if "weight" not in own:
        return hasattr(module, "nf")  # made from others: not looked at, as that may change them
    weight, bias = own["weight"], own.get("bias")
    return weight.ndim == 2 and (bias is None or bias.shape == weight.shape[1:])


def _is_experts(module: nn.Module, leaf: str, value: torch.Tensor) -> bool:
    """The weights of all experts of a mixture as one parameter (experts, …, …)."""
    if is_lazy(value) or value.ndim != 3:
        return False
    is_class_of = _CLASS_OF_EXPERTS.search(type(module).__name__) is not None
    return (_EXPERT_IN_ITS_CLASS if is_class_of else _EXPERT).fullmatch(leaf) is not None


def _has_inputs_first(module: nn.Module, leaf: str, value: torch.Tensor) -> bool:
    """Whether experts' weights are (experts, in, out), told by what the module says of itself.

    That is: `is_transposed` in transformers; else the biases (experts, out); else that the gate and
    what it gates are computed as one, so that down_proj reads half of what gate_up_proj gives.
    Where nothing tells, it is (experts, out, in), as `torch.nn.functional.linear` has it.
    """
    said = getattr(module, "is_transposed", None)
    if isinstance(said, bool):
        return said
    _, rows, columns = value.shape
    bias = getattr(module, f"{leaf}_bias", None)
    if isinstance(bias, torch.Tensor) and rows != columns:
        return bias.shape[-1] == columns
    gates, down = getattr(module, "gate_up_proj", None), getattr(module, "down_proj", None)
    if isinstance(gates, torch.Tensor) and isinstance(down, torch.Tensor):
        return gates.shape[2] == 2 * down.shape[1] and gates.shape[1] == down.shape[2]
    return False
