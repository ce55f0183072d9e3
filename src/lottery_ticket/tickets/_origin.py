"""Where a ticket's weights come from: a named model under a seed, or stored tensors."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import nn

from lottery_ticket.errors import DataError, LotteryError, UsageError, nearest
from lottery_ticket.masks import PruningMask, canonical_name
from lottery_ticket.models import build, outline
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.tensor_files import check_claim
from lottery_ticket.tickets._canonical import plain, weights_sha256
from lottery_ticket.tickets._kept import check_fits

__all__ = ["ModelOrigin", "WeightsOrigin", "check_model", "checked_tensors", "versions"]

STORED = ("kept", "all")


@dataclass(frozen=True)
class ModelOrigin:
    """θ₀ as a named model draws it under a seed: a few bytes, and no weights.

    Args:
        model: a registered model's name.
        seed: what `lottery_ticket.models.build` is given.
        sha256: `weights_sha256` of θ₀, buffers too; what is drawn elsewhere is held against it.
        options: the model's options; plain JSON values.

    >>> origin = ModelOrigin.of("LeNet300", seed=3, hidden=(30, 10))
    >>> origin.options, len(origin.sha256)
    ({'hidden': [30, 10]}, 64)
    """

    model: str
    seed: int
    sha256: str
    options: Mapping[str, Any] = field(default_factory=dict)

    _repr_html_ = notebook_html

    def __post_init__(self) -> None:
        if type(self.seed) is not int:
            raise UsageError(f"origin.seed: {self.seed!r}, wanted a whole number")
        object.__setattr__(self, "options", plain(self.options, "origin.options"))

    @classmethod
    def of(cls, model: str, seed: int, **options: Any) -> "ModelOrigin":
        """The origin of a model that is drawn now; arguments as `lottery_ticket.models.build`."""
        drawn = build(model, seed, **options).state_dict()
        checked_tensors(drawn, f"model {model!r}")
        return cls(model, seed, weights_sha256(drawn), options)

    def architecture(self) -> nn.Module:
        """The model, with the weights that its seed draws here."""
        return build(self.model, self.seed, **self.options)

    def weights(self, written_with: Mapping[str, Any], *, verify: bool = True) -> dict[str, Any]:
        """θ₀, drawn anew.

        Args:
            written_with: versions to name in the error.
            verify: hold it against `sha256`.

        Raises:
            DataError: other weights are drawn here.
        """
        drawn = self.architecture().state_dict()
        found = weights_sha256(drawn)
        if verify and found != self.sha256:
            here = versions()
            then = {name: written_with.get(name, "unknown") for name in here}
            raise DataError(
                f"model {self.model!r} with seed {self.seed} draws other initial weights here: "
                f"SHA-256 {found}, wanted {self.sha256}. The ticket was made with "
                f"{_listed(then)}; this is {_listed(here)} (or the model's code has changed). "
                "Where it was made, save it with its weights: ticket.with_weights().save(path). "
                "verify=False goes on with the weights drawn here: a re-initialised control, "
                "not the ticket"
            )
        return drawn


@dataclass(frozen=True, eq=False)
class WeightsOrigin:
    """θ₀ or θ_k itself, stored in the file.

    Args:
        tensors: the model's `state_dict()`, buffers too.
        step: k, the optimiser steps it was trained before; 0 for θ₀.
        weights: `"kept"` stores of pruned layers the kept values alone, and reads back as zeros
            elsewhere; `"all"` stores every value, as controls need it that prune otherwise.
        model: a registered model's name, if `Ticket.build` is to make it.
        options: the model's options; plain JSON values.

    Raises:
        UsageError: a tensor is none, or holds no values; an unknown choice.

    >>> origin = WeightsOrigin(nn.Linear(2, 1).state_dict(), step=500)
    >>> origin.weights, list(origin.tensors)
    ('kept', ['weight', 'bias'])
    """

    tensors: Mapping[str, torch.Tensor]
    step: int = 0
    weights: str = "kept"
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    _repr_html_ = notebook_html

    def __post_init__(self) -> None:
        if self.weights not in STORED:
            raise UsageError(
                f"origin.weights: {self.weights!r}{nearest(str(self.weights), STORED)}"
            )
        if type(self.step) is not int or self.step < 0:
            raise UsageError(f"origin.step: {self.step!r}, wanted a number of steps, 0 or more")
        object.__setattr__(self, "tensors", checked_tensors(self.tensors, "origin.tensors"))
        object.__setattr__(self, "options", plain(self.options, "origin.options"))

    def architecture(self) -> nn.Module:
        """The model, with weights of no meaning; raises `UsageError` if the origin names none."""
        if self.model is None:
            raise UsageError(
                "the ticket does not name its model; make it yourself: ticket.apply(model), or, to "
                "export it, PrunedModel.of_ticket(ticket, example, model=model)"
            )
        return build(self.model, 0, **self.options)

    def storing(self, weights: str) -> "WeightsOrigin":
        """The same with another choice; raises `UsageError` for "all" where not all are here."""
        if weights == "all" and self.weights == "kept":
            raise UsageError(
                "the ticket stores the kept weights alone, the others may be lost; make it anew "
                "with WeightsOrigin(state_dict, weights='all')"
            )
        return replace(self, weights=weights)


def versions() -> dict[str, str]:
    """The versions that decide which weights a seed draws: library, torch, numpy, Python, platform.

    >>> list(versions())
    ['lottery_ticket', 'torch', 'numpy', 'python', 'platform']
    """
    return {
        "lottery_ticket": version("lottery-ticket"),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def check_model(origin: ModelOrigin | WeightsOrigin, mask: PruningMask) -> None:
    """Before a model is made: a few letters of a ticket can ask for one of any size.

    Raises:
        UsageError: the mask is for another model.
        DataError: the model is far larger than what the mask prunes.
    """
    if origin.model is None:
        return
    try:
        state = outline(origin.model, **origin.options).state_dict()
    except LotteryError:
        raise
    except Exception:  # a user's own model that wants to see values as it is made
        return
    check_fits(mask, state, f"model {origin.model!r}")
    claimed = sum(value.numel() * value.element_size() for value in state.values())
    remedy = "the ticket's mask is of a far smaller one"
    check_claim(f"model {origin.model!r}", claimed, 4 * mask.num_prunable, remedy)


def checked_tensors(tensors: Mapping[str, torch.Tensor], what: str) -> dict[str, torch.Tensor]:
    """A copy under canonical names; raises `UsageError` for what is no dense tensor with values."""
    for name, value in tensors.items():
        if not isinstance(value, torch.Tensor):
            raise UsageError(f"{what}: {name!r} is a {type(value).__name__}, wanted a tensor")
        if value.layout != torch.strided or value.is_meta or value.is_quantized:
            raise UsageError(f"{what}: {name!r} is not a plain dense tensor with values")
    return {canonical_name(name): value for name, value in tensors.items()}


def _listed(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())
