"""LoRA on a pruned model: the zeros stay through training and merging, W + m ⊙ (BA) · scaling.

Two factors of low rank know nothing of a mask: their product is dense, and merged into a pruned
layer it fills the zeros. Here the layers of `peft` compute with the product times the mask, in
training and when they are merged, so that what is trained is what is merged.

`peft` dispatches to a variant of LoRA wherever a layer computes, merges or unmerges, and asks the
layer's class which variant an adapter is. So a masked layer is of a subclass, and adapters that are
added later are masked too.
"""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.integrations.peft._copies import (
    MaskedCopies,
    held_in,
    mask_copies_,
    unmask_copies_,
)
from lottery_ticket.integrations.peft._layers import (
    MaskedLayer,
    check_works,
    effective,
    is_known,
    mask_layer_,
    unmask_layer_,
    variant_class,
)
from lottery_ticket.integrations.peft._library import LAYERS, copies_class, lora, masked_class
from lottery_ticket.integrations.peft._places import (
    Place,
    check_place,
    has_adapters,
    kept_before,
    places,
)
from lottery_ticket.masks import Attachment, PruningMask, Undo, is_zero_where_pruned

__all__ = ["MaskedLora", "attach_lora"]


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
        UsageError: mask and model do not belong together; no masked layer has an adapter; one has
            adapters that cannot be masked (DoRA, embeddings, quantised weights, other tuners), or
            merged ones. Nothing has changed then.

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
    check_works()
    found = places(model, made)
    for place in found:
        check_place(place)
    if not any(place.has_factors or place.has_copies for place in found):
        raise UsageError(
            f"attach_lora: none of the {len(found)} masked layers has an adapter, so nothing would "
            "be masked: call peft.get_peft_model first, with target_modules that the mask names"
        )
    held = MaskedLora(model, made, found)
    tensors, kept = {}, {}
    for place in found:
        for number, tensor in enumerate(place.tensors):
            key = f"{place.name} {number}"
            tensors[key], kept[key] = tensor, place.kept
    undo = Undo(tensors, kept, None, is_whole=False)
    try:
        held._begin()
    except BaseException:
        held.detach()
        undo()
        raise
    return held


class MaskedLora:
    """A mask at work on a model with LoRA; `attach_lora` makes it.

    Used as a context manager it ends with the block; else `detach()` ends it.
    """

    def __init__(self, model: nn.Module, mask: PruningMask, found: list[Place]) -> None:
        self._model, self._mask, self._places = model, mask, found
        self._attached: list[Attachment] = []
        self._own: list[Place] = []  # which were not masked before

    def _begin(self) -> None:
        """Change the model: `attach_lora` has seen that it can be."""
        for place in self._places:
            is_new = kept_before(place) is None
            if is_new and (place.has_factors or place.has_copies):
                self._own.append(place)
                _mask_(place)
            self._attached += [held_in(each, place.leaf, place.kept) for each in place.holders]

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
        mask, adapted = self._mask, {place.of for place in self._places if place.has_factors}
        return (
            f"MaskedLora({mask.num_kept:,} of {mask.num_prunable:,} weights kept, "
            f"{len(adapted)} of {len(mask)} layers have adapters)"
        )

    @property
    def layers(self) -> list[str]:
        """The masked parameters whose layers had adapters, by the base model's names."""
        return [place.name for place in self._places if place.has_factors]

    def revived(self) -> list[str]:
        """The parameters in which some pruned weight is not exactly zero, as they would be merged.

        Those of the base model, with all adapters that are in use; and the copies of them that
        adapters train. It looks at the model as it is now, with adapters that came later.
        """
        lost = [
            place.name
            for place in places(self._model, self._mask)
            if not all(is_zero_where_pruned(value, place.kept) for value in _computed_with(place))
        ]
        return list(dict.fromkeys(lost))

    def detach(self) -> None:
        """Leave to peft alone what was not masked before; the base model keeps its zeros."""
        while self._own:
            place = self._own.pop()
            if isinstance(place.module, MaskedCopies):
                unmask_copies_(place.module, place.leaf)
            else:
                unmask_layer_(place.module)
        while self._attached:
            self._attached.pop().release()


def _mask_(place: Place) -> None:
    if place.has_copies:
        mask_copies_(place.module, place.leaf, place.kept)
    else:
        mask_layer_(place.module, place.kept)


def _computed_with(place: Place) -> Iterator[torch.Tensor]:
    """What is at a place, with the adapters that add to it; what these do not say is dense."""
    if not has_adapters(place.module):
        yield from place.tensors
    elif is_known(place.module):
        yield effective(place.module, place.leaf)
    else:
        yield torch.ones_like(place.kept)


def __getattr__(name: str) -> Any:
    """The classes that are made of peft's, by name, as pickle looks them up."""
    kind = name.removeprefix("Masked")
    if name == "_MaskedVariant":
        return variant_class()
    if name == "MaskedModulesToSaveWrapper":
        return masked_class(MaskedCopies, copies_class())
    if kind != name and kind in LAYERS:
        return masked_class(MaskedLayer, getattr(lora(), kind))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
