"""LoRA on a pruned model: the zeros stay through training and merging, W + m ⊙ (BA) · scaling.

Two factors of low rank know nothing of a mask: their product is dense, and merged into a pruned
layer it fills the zeros. Here the layers of `peft` compute with the product times the mask, in
training and when they are merged, so that what is trained is what is merged.

`peft` dispatches to a variant of LoRA wherever a layer computes, merges or unmerges, and asks the
layer's class which variant an adapter is. So a masked layer is of a subclass, and adapters that are
added later are masked too.
"""

import functools
import importlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.masks import Attachment, PruningMask, check_can_be_held, is_zero_where_pruned
from lottery_ticket.names import check_shape, joined, named_modules, near
from lottery_ticket.process import random_state_kept

__all__ = ["MaskedLora", "attach_lora"]

_OLDEST = (0, 18)  # earlier ones ask no variant where a batch mixes adapters
_LAYERS = ("Linear", "Conv1d", "Conv2d", "Conv3d")
_INSIDE = ("base_layer", "lora_", "original_module", "modules_to_save")


def attach_lora(model: nn.Module, mask: Mapping[str, torch.Tensor]) -> "MaskedLora":
    """Hold a mask while LoRA adapters train, and when they are merged: W + m ⊙ (BA) · scaling.

    Pruned weights of the base model are zero from now on, and each adapter adds to kept weights
    only; adapters that these layers get later do too. What is saved by `save_pretrained` is as
    ever: call this again on a model that was loaded, or got adapters on further layers. Parameters
    that are trained as they are (`modules_to_save`, biases) are held as by `PruningMask.attach`.

    A forward pass makes the product BA, of the size of the layer's weight, which LoRA without a
    mask does not.

    Args:
        model: from `peft.get_peft_model`, or with `add_adapter` of transformers.
        mask: what is kept of the base model, by its own names, as before it had adapters.

    Returns:
        What is held, with `revived()` and `detach()`. It need not be kept.

    Raises:
        LotteryError: peft is not installed, or not of a version that this works with.
        UsageError: mask and model do not belong together; a masked layer has adapters that cannot
            be masked (DoRA, embeddings, quantised weights, other tuners), or merged ones. Nothing
            has changed then.

    Example:
        base = AutoModelForCausalLM.from_pretrained("a-pruned-model")
        mask = PruningMask.from_state_dict(base.state_dict())
        model = get_peft_model(base, LoraConfig(target_modules=["c_attn"]))
        attach_lora(model, mask)
        …                                   # train it as you like
        sparse = model.merge_and_unload()   # zeros where the mask prunes

    Source: LoRA, Hu et al. 2022, with the product masked.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"attach_lora: got a {type(model).__name__}, wanted a model")
    made = PruningMask.from_tensors(mask)
    _check_works()
    found = dict(_places(model, made))
    for name, module in found.items():
        _check_place(name, module, made[name])
    held = [each for name, module in found.items() for each in _held(name, module, made[name])]
    layers = {name: module for name, module in found.items() if _has_factors(name, module)}
    for name, layer in layers.items():
        _mask_layer_(layer, made[name])
    return MaskedLora(layers, held, made)


class MaskedLora:
    """A mask at work on a model with LoRA; `attach_lora` makes it.

    Used as a context manager it ends with the block; else `detach()` ends it.
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        attached: list[Attachment],
        mask: PruningMask,
    ) -> None:
        self._layers, self._attached, self._mask = dict(layers), attached, mask

    def __enter__(self) -> "MaskedLora":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.detach()

    def __repr__(self) -> str:
        mask = self._mask
        return (
            f"MaskedLora({mask.num_kept:,} of {mask.num_prunable:,} weights kept, "
            f"{len(self._layers)} of {len(mask)} layers have adapters)"
        )

    @property
    def layers(self) -> list[str]:
        """The masked parameters whose layers have adapters, by the base model's names."""
        return list(self._layers)

    def revived(self) -> list[str]:
        """The parameters in which some pruned weight is not exactly zero, as they would be merged.

        Those of the base model, with all adapters that are in use.
        """
        lost = [
            name
            for name, layer in self._layers.items()
            if not is_zero_where_pruned(_effective(layer), self._mask[name])
        ]
        return lost + [name for each in self._attached for name in each.revived()]

    def detach(self) -> None:
        """Leave layers and adapters to peft alone; the base model keeps its zeros."""
        for layer in self._layers.values():
            _unmask_layer_(layer)
        for each in self._attached:
            each.release()
        self._attached = []


def __getattr__(name: str) -> Any:
    """The classes that are made of peft's, by name, as pickle looks them up."""
    if name == "_MaskedVariant":
        return _variant_class()
    if name.startswith("Masked") and name.removeprefix("Masked") in _LAYERS:
        return _masked(getattr(_lora(), name.removeprefix("Masked")))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Variant:
    """How a layer computes and merges: with the product of the factors times the mask.

    `peft` wants its methods static, and hands the layer over.
    """

    @staticmethod
    def init(module: Any, adapter_name: str, **kwargs: Any) -> None:
        """Factors are as those of plain LoRA."""

    @staticmethod
    def forward(
        module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **kwargs: Any
    ) -> torch.Tensor:
        """result + dropout(x) (m ⊙ BA · scaling)ᵀ."""
        x = module.lora_dropout[active_adapter](x)
        delta = module.get_delta_weight(active_adapter)
        bias = module.lora_B[active_adapter].bias
        bias = None if bias is None else bias * module.scaling[active_adapter]
        base = module.get_base_layer()
        if hasattr(base, "_conv_forward"):
            return result + base._conv_forward(x, delta, bias)
        return result + F.linear(x, delta.T if module.fan_in_fan_out else delta, bias)

    @staticmethod
    def merge_safe(module: Any, active_adapter: str, orig_weight: torch.Tensor) -> torch.Tensor:
        """A new tensor, W + m ⊙ BA · scaling."""
        delta = module.get_delta_weight(active_adapter).detach()
        merged = orig_weight + delta.to(orig_weight.dtype)
        return merged.masked_fill(module.kept_weights == 0, 0.0)

    @staticmethod
    def merge_unsafe(module: Any, active_adapter: str, orig_weight: torch.Tensor) -> None:
        """The same in place; what is not finite is zero where it is pruned."""
        delta = module.get_delta_weight(active_adapter).detach()
        orig_weight.data += delta.to(orig_weight.dtype)
        orig_weight.data.masked_fill_(module.kept_weights == 0, 0.0)

    @staticmethod
    def unmerge(module: Any, active_adapter: str, orig_weight: torch.Tensor) -> torch.Tensor:
        """W again, in place."""
        delta = module.get_delta_weight(active_adapter).detach()
        orig_weight.data -= delta.to(orig_weight.dtype)
        return orig_weight.data.masked_fill_(module.kept_weights == 0, 0.0)


class _MaskedLayer:
    """What a masked layer does otherwise than peft's own."""

    kept_weights: torch.Tensor  # 1 and 0, in the weight's precision
    is_plain_product: bool  # of the base layer: nothing else is done to what goes through it

    def resolve_lora_variant(self, **options: Any) -> Any:
        """The masked variant for each adapter, also for those that come later."""
        other = super().resolve_lora_variant(**options)  # type: ignore[misc]
        if other is not None and not isinstance(other, _Variant):
            raise UsageError(_why_no_variant("the new adapter", other))
        return _variant()

    def forward(self, x: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        """As ever; with the sum of weight and products where that is the same, as it is quicker."""
        adapters = _summed(self, x) if not args and not options else []
        if not adapters:
            return super().forward(x, *args, **options)  # type: ignore[misc]
        base: Any = self.get_base_layer()  # type: ignore[attr-defined]
        weight, bias = base.weight, base.bias
        for adapter in adapters:
            weight = weight + self.get_delta_weight(adapter)
            if (own := self.lora_B[adapter].bias) is not None:  # type: ignore[attr-defined]
                own = own * self.scaling[adapter]  # type: ignore[attr-defined]
                bias = own if bias is None else bias + own
        is_turned = self.fan_in_fan_out  # type: ignore[attr-defined]
        return F.linear(x, weight.T if is_turned else weight, bias)

    def get_delta_weight(self, adapter: str) -> torch.Tensor:
        """m ⊙ BA · scaling, in the layout of the layer's weight."""
        delta = super().get_delta_weight(adapter)  # type: ignore[misc]
        return delta * self.kept_weights.to(delta.dtype)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """As ever, but that the weight stays the tensor that it is: a mask is held on it."""
        weight = self.get_base_layer().weight  # type: ignore[attr-defined]
        before = weight.data
        super().merge(safe_merge=safe_merge, adapter_names=adapter_names)  # type: ignore[misc]
        if weight.data_ptr() != before.data_ptr():
            weight.data = before.copy_(weight.data)


def _summed(layer: Any, x: torch.Tensor) -> list[str]:
    """The adapters that may be added to the weight before a batch goes through it; else none.

    Not so where a batch goes into them through dropout or in another precision, where the base
    layer does more than its product (hooks, another `forward`), or is of another kind.
    """
    base = layer.base_layer
    hooks = len(base._forward_hooks) + len(base._forward_pre_hooks) + len(base._backward_hooks)
    if layer.disable_adapters or layer.merged or not layer.is_plain_product or hooks:
        return []
    adapters = [each for each in layer.active_adapters if each in layer.lora_A]
    is_same = all(
        (not layer.training or isinstance(layer.lora_dropout[each], nn.Identity))
        and layer.lora_A[each].weight.dtype == base.weight.dtype == x.dtype
        for each in adapters
    )
    return adapters if is_same and "forward" not in base.__dict__ else []


def _lora() -> Any:
    """peft's layers.

    Raises:
        LotteryError: it is not there, or too old.
    """
    try:
        layers = importlib.import_module("peft.tuners.lora.layer")
    except ImportError as error:
        raise LotteryError(
            f"attach_lora needs peft, not installed here ({error}): "
            "pip install 'lottery-ticket[hf]'"
        ) from None
    version = importlib.metadata.version("peft")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST or not hasattr(layers, "LoraVariant"):
        wanted = ".".join(map(str, _OLDEST))
        raise LotteryError(
            f"attach_lora: this is peft {version}, wanted {wanted} or later: "
            "pip install -U 'lottery-ticket[hf]'"
        )
    return layers


@functools.cache
def _masked(kind: type) -> type:
    """The masked class of a layer's class; pickle finds it in this module."""
    return type(f"Masked{kind.__name__}", (_MaskedLayer, kind), {"__module__": __name__})


@functools.cache
def _variant_class() -> type:
    return type("_MaskedVariant", (_Variant, _lora().LoraVariant), {"__module__": __name__})


def _variant() -> Any:
    return _variant_class()()


@functools.cache
def _check_works() -> None:
    """See, on a layer of four weights, that peft computes and merges by the variant.

    Its methods are said to be prone to change.

    Raises:
        LotteryError: it does not, or is missing.
    """
    _lora()
    peft, version = importlib.import_module("peft"), importlib.metadata.version("peft")
    config = peft.LoraConfig(r=1, lora_alpha=1, target_modules=["0"])
    with random_state_kept():
        base = nn.Linear(2, 2)
        layer = peft.get_peft_model(nn.Sequential(base), config).base_model.model[0]
    for parameter in base.parameters():
        nn.init.zeros_(parameter)
    for factor in (layer.lora_A, layer.lora_B):
        nn.init.ones_(factor["default"].weight)
    kept = torch.tensor([[True, False], [False, False]])
    _mask_layer_(layer, kept)
    try:
        computed, mixed = (
            layer(torch.eye(2), **options).T
            for options in ({}, {"adapter_names": ["default", "default"]})
        )
        layer.merge()
        merged = base.weight.detach().clone()
        layer.unmerge()
    except Exception as error:
        raise LotteryError(f"attach_lora: peft {version} fails with it: {error}") from error
    if not all(torch.equal(each, kept.float()) for each in (computed, mixed, merged)):
        raise LotteryError(
            f"attach_lora: peft {version} computes or merges in a way that is not known here; use "
            "an earlier one"
        )


def _places(model: nn.Module, mask: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, nn.Module]]:
    """Each name of the mask, and the module that stands at its place in the base model."""
    owner = next((m for m in model.modules() if hasattr(m, "get_base_model")), None)
    base = model if owner is None else owner.get_base_model()  # type: ignore[operator]
    modules = named_modules(base)
    for name in mask:
        path = name.rpartition(".")[0]
        if any(part.startswith(_INSIDE) for part in name.split(".")):
            raise UsageError(
                f"attach_lora: the mask names {name!r}, which is peft's own: make the mask of the "
                "base model, before get_peft_model"
            )
        module = modules.get(path)
        if module is None or not _tensors(name, module):
            hint = _around(path, modules) or near(name, _parameter_names(modules))
            raise UsageError(
                f"attach_lora: the base model has no parameter {name!r}, which the mask names{hint}"
            )
        yield name, module


def _around(path: str, modules: Mapping[str, nn.Module]) -> str:
    """Whether another adapter's layer stands around a place."""
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        module = modules.get(".".join(parts[:end]))
        if module is not None and hasattr(module, "base_layer"):
            return f"; it is inside a {type(module).__name__} of peft, which cannot be masked"
    return ""


def _parameter_names(modules: Mapping[str, nn.Module]) -> list[str]:
    return [
        joined(path, leaf)
        for path, module in modules.items()
        if not any(part.startswith(_INSIDE) for part in path.split("."))
        for leaf in getattr(module, "base_layer", module)._parameters
    ]


def _holders(module: nn.Module) -> list[nn.Module]:
    """The modules that really have the parameters of one: peft wraps, and copies what it trains."""
    if hasattr(module, "base_layer"):
        return [module.get_base_layer()]  # type: ignore[operator]
    if hasattr(module, "modules_to_save") and hasattr(module, "original_module"):
        copies = module.modules_to_save
        return [module.original_module, *copies.values()]  # type: ignore[operator, union-attr]
    return [module]


def _tensors(name: str, module: nn.Module) -> list[nn.Parameter]:
    leaf = name.rpartition(".")[2]
    found = [getattr(holder, leaf, None) for holder in _holders(module)]
    return [each for each in found if isinstance(each, torch.Tensor)]  # type: ignore[misc]


def _held(name: str, module: nn.Module, kept: torch.Tensor) -> list[Attachment]:
    """A mask on each module for itself: it stays where it is when peft takes itself out."""
    if isinstance(module, _MaskedLayer):  # by an attach_lora before this one
        return []
    leaf = name.rpartition(".")[2]
    mask = PruningMask.from_tensors({leaf: kept})
    return [mask.attach(mask.apply(holder)) for holder in _holders(module)]


def _has_factors(name: str, module: nn.Module) -> bool:
    return hasattr(module, "base_layer") and name.rpartition(".")[2] == "weight"


def _check_place(name: str, module: nn.Module, kept: torch.Tensor) -> None:
    """See that a mask fits what is at its place, and can be held there.

    Raises:
        UsageError: it does not.
    """
    for tensor in _tensors(name, module):
        check_shape(f"the mask of {name!r}", kept.shape, tensor.shape, "the model")
        check_can_be_held({name: tensor})
    if isinstance(module, _MaskedLayer):
        if not torch.equal(module.kept_weights, kept.to(module.kept_weights)):
            raise UsageError(
                f"attach_lora: {name!r} is held to another mask already; detach() that one first"
            )
    elif hasattr(module, "base_layer"):
        _check_layer(name, module)


def _check_layer(name: str, layer: Any) -> None:
    lora, kind = _lora(), type(layer)
    if kind not in [getattr(lora, each) for each in _LAYERS]:
        raise UsageError(
            f"attach_lora: {name!r} has adapters of {kind.__module__}.{kind.__name__}, whose sum "
            "with the weight is not W + BA on plain weights (embeddings, attention in one layer, "
            "quantised or sharded weights, other tuners): take it out of target_modules, or "
            "`ignore` it when making the mask"
        )
    if name.rpartition(".")[2] == "bias" and any(layer.lora_bias.values()):
        raise UsageError(f"attach_lora: {name!r} is masked, and lora_bias=True adds to it")
    for adapter, variant in layer.lora_variant.items():
        raise UsageError(_why_no_variant(f"adapter {adapter!r} of {name!r}", variant))
    if layer.merged:
        raise UsageError(
            f"attach_lora: adapters of {name!r} are merged, without the mask: unmerge_adapter() "
            "first"
        )


def _why_no_variant(what: str, variant: object) -> str:
    return (
        f"attach_lora: {what} is a {type(variant).__name__}, which does not add m ⊙ BA; use plain "
        "LoRA (no use_dora, …)"
    )


def _mask_layer_(layer: Any, kept: torch.Tensor) -> None:
    kind: Any = type(layer)
    if issubclass(kind, _MaskedLayer):
        return
    layer.__class__ = _masked(kind)
    weight = layer.get_base_layer().weight
    # as numbers: a product with truth values is a hundred times as slow on some CPUs
    layer.register_buffer("kept_weights", kept.to(weight), persistent=False)
    known = (nn.Linear, importlib.import_module("transformers.pytorch_utils").Conv1D)
    layer.is_plain_product = type(layer.base_layer) in known
    for adapter in layer.lora_A:
        layer.lora_variant[adapter] = _variant()


def _unmask_layer_(layer: Any) -> None:
    kind: Any = type(layer)
    if issubclass(kind, _MaskedLayer):
        layer.__class__ = kind.__mro__[2]
        del layer.kept_weights, layer.is_plain_product
        for adapter in list(layer.lora_variant):
            del layer.lora_variant[adapter]


@torch.no_grad()
def _effective(layer: Any) -> torch.Tensor:
    """The weight that a layer computes with."""
    weight = layer.get_base_layer().weight.detach().clone()
    for adapter in [] if layer.merged else layer.active_adapters:
        if adapter in layer.lora_A:
            weight += layer.get_delta_weight(adapter)
    return weight
