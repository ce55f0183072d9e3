"""What an attachment is at a step, as plain values that any checkpoint can carry."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, SupportsIndex

import torch

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.masks._mask import PruningMask
from lottery_ticket.names import check_shape
from lottery_ticket.notebook_html import notebook_html

__all__ = ["AttachmentState", "RewindPoint", "check_same_reference", "check_seed", "copied_to_cpu"]

_FORMAT = "lottery_ticket.attachment/1"


@dataclass(frozen=True)
class RewindPoint:
    """θ_k: what training can be rewound to.

    Args:
        step: k, optimiser steps done.
        weights: the model's state at that step (buffers too), on the CPU.
        optimizer_state: the optimiser's `state_dict()["state"]` then; empty without an optimiser.
    """

    step: int
    weights: Mapping[str, torch.Tensor]
    optimizer_state: Mapping[int, Any]

    _repr_html_ = notebook_html


@dataclass(frozen=True)
class AttachmentState:
    """An attachment between two steps.

    Args:
        mask: what is kept now.
        num_steps: optimiser steps counted.
        rewind_step: k, if θ_k is asked for.
        rewind_point: θ_k, once it has been reached.
        policy: the class of what changes the mask: what it says next follows from the mask, the
            step, the seed and what it remembers.
        seed: of what it draws.
        freeze_to: a hash of what each parameter is frozen to; None for zeros.
        memory: what the policy remembers.
    """

    mask: PruningMask
    num_steps: int
    rewind_step: int | None
    rewind_point: RewindPoint | None
    policy: str | None
    seed: int
    freeze_to: Mapping[str, str] | None
    memory: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Tensors, numbers, texts and dicts of them: `torch.load(weights_only=True)` reads it."""
        point = self.rewind_point
        return {
            "format": _FORMAT,
            "mask": torch.frombuffer(bytearray(self.mask.to_bytes()), dtype=torch.uint8),
            "num_steps": self.num_steps,
            "rewind_step": self.rewind_step,
            "rewind_point": None if point is None else dict(vars(point)),
            "policy": self.policy,
            "seed": self.seed,
            "freeze_to": self.freeze_to,
            **({"memory": copied_to_cpu(self.memory)} if self.memory else {}),
        }

    @classmethod
    def read(cls, state: object) -> "AttachmentState":
        """What `plain` made.

        Raises:
            UsageError: it is something else.
        """
        if not isinstance(state, Mapping) or state.get("format") != _FORMAT:
            got = f"a {type(state).__name__}"
            if isinstance(state, Mapping):
                got = f"a mapping of {', '.join(map(repr, list(state)[:3])) or 'nothing'}"
            raise UsageError(
                f"load_state_dict: got {got}, wanted what Attachment.state_dict() made"
            )
        # what a policy remembers is there only if it remembers anything
        wanted = [key for key in cls.__dataclass_fields__ if key != "memory"]
        missing = [key for key in wanted if key not in state]
        if missing:
            raise UsageError(f"load_state_dict: the state has no {missing[0]!r}; it is damaged")
        return cls(
            _mask_in(state["mask"]),
            _count("num_steps", state["num_steps"]),
            None if state["rewind_step"] is None else _count("rewind_step", state["rewind_step"]),
            None if state["rewind_point"] is None else _point_in(state["rewind_point"]),
            _text_or_none("policy", state["policy"]),
            check_seed(state["seed"]),
            _hashes_in(state["freeze_to"]),
            _tensors_in(state.get("memory", {})),
        )

    def check_continues(
        self, other: "AttachmentState", weights: Mapping[str, torch.Tensor]
    ) -> None:
        """See that a saved state is one of the training that `self` begins.

        Args:
            other: the saved one.
            weights: the model's state, for names and shapes.

        Raises:
            UsageError: it is of another model, policy, seed or rewind point.
        """
        _check_same_layers(self.mask, other.mask)
        for what, now, then in (
            ("policy", self.policy, other.policy),
            ("seed", self.seed if self.policy else None, other.seed if other.policy else None),
            ("rewind_step", self.rewind_step, other.rewind_step),
        ):
            if now != then and not (what == "rewind_step" and now is None):
                raise UsageError(
                    f"load_state_dict: the state was saved under {what}={then!r}, the mask is "
                    f"attached with {what}={now!r}; attach it as it was: attach(…, {what}=…)"
                )
        if other.rewind_point is not None:
            _check_same_names(weights, other.rewind_point.weights)


def check_same_reference(now: Mapping[str, str] | None, then: Mapping[str, str] | None) -> None:
    """See that pruned weights are frozen to what they were frozen to when a state was saved.

    Raises:
        UsageError: they are not.
    """
    if now == then:
        return
    if now is None or then is None:
        was, told = ("", "out") if then is None else ("frozen to a reference", "")
        raise UsageError(
            f"load_state_dict: pruned weights were {was or 'at zero'} when the state was saved; "
            f"attach the mask with{told} freeze_to, as it was"
        )
    name = next(name for name in {**now, **then} if now.get(name) != then.get(name))
    raise UsageError(
        f"load_state_dict: {name!r} was frozen to other values when the state was saved; give the "
        "reference itself, freeze_to=state_dict of the weights before that training: True means "
        "those that the model has when the mask is attached, trained ones after a checkpoint was "
        "loaded into it"
    )


def copied_to_cpu(value: Any) -> Any:
    """A deep copy of nested mappings and lists of tensors, on the CPU: training on leaves it be."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: copied_to_cpu(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied_to_cpu(item) for item in value]
    return value


def _mask_in(packed: object) -> PruningMask:
    if not isinstance(packed, torch.Tensor) or packed.dtype != torch.uint8:
        raise UsageError("load_state_dict: the state's 'mask' is no packed mask; it is damaged")
    try:
        return PruningMask.from_bytes(packed.cpu().numpy().tobytes(), "the state's 'mask'")
    except DataError as error:
        raise UsageError(f"load_state_dict: {error}") from error


def _tensors_in(memory: object) -> dict[str, torch.Tensor]:
    found = memory if isinstance(memory, Mapping) else {"": memory}
    if not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise UsageError("load_state_dict: the state's 'memory' is no tensors; it is damaged")
    return dict(found)


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UsageError(f"load_state_dict: {name} is {value!r}, wanted a number, 0 or more")
    return value


def check_seed(seed: object, what: str = "load_state_dict") -> int:
    """A seed, if it is one.

    Raises:
        UsageError: it is no whole number.
    """
    if isinstance(seed, bool) or not isinstance(seed, SupportsIndex):
        raise UsageError(f"{what}: seed is {seed!r}, wanted a whole number")
    return operator.index(seed)


def _text_or_none(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise UsageError(f"load_state_dict: {name} is {value!r}, wanted a text; it is damaged")
    return value


def _hashes_in(value: object) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(
        isinstance(each, str) for pair in value.items() for each in pair
    ):
        raise UsageError("load_state_dict: the state's 'freeze_to' is no hashes; it is damaged")
    return dict(value)


def _point_in(value: object) -> RewindPoint:
    fields = RewindPoint.__dataclass_fields__
    if not isinstance(value, Mapping) or set(value) != set(fields):
        raise UsageError("load_state_dict: the state's 'rewind_point' is none; it is damaged")
    for name in ("weights", "optimizer_state"):
        if not isinstance(value[name], Mapping):
            raise UsageError(f"load_state_dict: the rewind point's {name!r} is no mapping")
    return RewindPoint(
        _count("the rewind point's step", value["step"]),
        *map(copied_to_cpu, (value["weights"], value["optimizer_state"])),
    )


def _check_same_layers(mask: PruningMask, saved: PruningMask) -> None:
    for name in {**mask, **saved}:
        if name not in saved or name not in mask:
            where = "the state" if name not in saved else "the mask that is attached"
            raise UsageError(f"load_state_dict: {where} has no {name!r}; it is of another model")
        check_shape(
            f"load_state_dict: the state's mask of {name!r}",
            saved[name].shape, mask[name].shape, "the model",
        )  # fmt: skip


def _check_same_names(weights: Mapping[str, torch.Tensor], saved: Mapping[str, Any]) -> None:
    for name in {**weights, **saved}:
        if name not in saved or name not in weights:
            where = "rewind point" if name not in saved else "model"
            raise UsageError(
                f"load_state_dict: the {where} has no {name!r}; it is of another model, or of one "
                "that was wrapped otherwise (DDP, torch.compile) when the mask was attached"
            )
        if isinstance(weights[name], torch.Tensor):
            if not isinstance(saved[name], torch.Tensor):
                got = type(saved[name]).__name__
                raise UsageError(
                    f"load_state_dict: the rewind point's {name!r} is a {got}, wanted a tensor"
                )
            check_shape(
                f"load_state_dict: the rewind point's {name!r}",
                saved[name].shape, weights[name].shape, "the model",
            )  # fmt: skip
