"""Layers of peft that compute and merge with the product of the factors times a mask."""

import functools
import importlib
import importlib.metadata
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.integrations.peft._library import HERE, LAYERS, lora, masked_class
from lottery_ticket.process import random_state_kept

__all__ = [
    "MaskedLayer",
    "check_works",
    "effective",
    "is_known",
    "mask_layer_",
    "unmask_layer_",
    "variant_class",
    "why_no_variant",
]


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


class MaskedLayer:
    """What a masked layer does otherwise than peft's own."""

    kept_weights: torch.Tensor  # 1 and 0, in the weight's precision
    is_plain_product: bool  # of the base layer: nothing else is done to what goes through it

    def resolve_lora_variant(self, **options: Any) -> Any:
        """The masked variant for each adapter, also for those that come later."""
        other = super().resolve_lora_variant(**options)  # type: ignore[misc]
        if other is not None and not isinstance(other, _Variant):
            raise UsageError(why_no_variant("the new adapter", other))
        return variant_class()()

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


@functools.cache
def variant_class() -> type:
    """The variant of LoRA that masks, of the class that peft asks for."""
    return type("_MaskedVariant", (_Variant, lora().LoraVariant), {"__module__": HERE})


@functools.cache
def check_works() -> None:
    """See, on a layer of four weights, that peft computes and merges by the variant.

    Its methods are said to be prone to change.

    Raises:
        LotteryError: it does not, or is missing.
    """
    lora()
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
    mask_layer_(layer, kept)
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


def why_no_variant(what: str, variant: object) -> str:
    return (
        f"attach_lora: {what} is a {type(variant).__name__}, which does not add m ⊙ BA; use plain "
        "LoRA (no use_dora, …)"
    )


def is_known(layer: nn.Module) -> bool:
    """Whether it is plain LoRA on plain weights, masked or not."""
    kind: Any = type(layer)
    plain = kind.__mro__[2] if issubclass(kind, MaskedLayer) else kind
    return plain in [getattr(lora(), each) for each in LAYERS]


def mask_layer_(layer: Any, kept: torch.Tensor) -> None:
    """Mask the adapters of a layer, those too that come later."""
    known = (nn.Linear, importlib.import_module("transformers.pytorch_utils").Conv1D)
    # as numbers: a product with truth values is a hundred times as slow on some CPUs
    kept_weights = kept.to(layer.get_base_layer().weight)
    layer.__class__ = masked_class(MaskedLayer, type(layer))
    layer.register_buffer("kept_weights", kept_weights, persistent=False)
    layer.is_plain_product = type(layer.base_layer) in known
    for adapter in layer.lora_A:
        layer.lora_variant[adapter] = variant_class()()


def unmask_layer_(layer: Any) -> None:
    """Plain LoRA again."""
    kind: Any = type(layer)
    if issubclass(kind, MaskedLayer):
        layer.__class__ = kind.__mro__[2]
        del layer.kept_weights, layer.is_plain_product
        for adapter in list(layer.lora_variant):
            del layer.lora_variant[adapter]


@torch.no_grad()
def effective(layer: Any, leaf: str) -> torch.Tensor:
    """The weight, or the bias, that a layer computes with, and would be merged to."""
    value = getattr(layer.get_base_layer(), leaf).detach().clone()
    for adapter in [] if layer.merged else layer.active_adapters:
        if adapter not in layer.lora_A:
            continue
        if leaf == "weight":
            value += layer.get_delta_weight(adapter)
        elif leaf == "bias" and (own := layer.lora_B[adapter].bias) is not None:
            value += own * layer.scaling[adapter]
    return value
