"""Where a fresh model comes from: the user's own construction, under a seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import resolve_device
from lottery_ticket.finder._arguments import check_call
from lottery_ticket.finder._training import seeded
from lottery_ticket.models import MODELS, build, model_label

__all__ = ["ModelSource", "chosen_device"]


@dataclass(frozen=True)
class ModelSource:
    """`model_class(**model_kwargs)` or `model_fn()`, or neither."""

    model_class: Callable[..., nn.Module] | None
    model_kwargs: Mapping[str, Any]
    model_fn: Callable[[], nn.Module] | None

    def __post_init__(self) -> None:
        if self.model_class is not None and self.model_fn is not None:
            raise UsageError("give model_class or model_fn, not both")
        if self.model_kwargs and self.model_class is None:
            raise UsageError("model_kwargs has no effect without model_class")
        for name in ("model_class", "model_fn"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, nn.Module) or not callable(value)):
                raise UsageError(
                    f"{name}: got {type(value).__name__}, wanted a class or function that builds "
                    "a model; pass a model itself as model= to find_winning_ticket"
                )
        if not isinstance(self.model_kwargs, Mapping):
            raise UsageError(
                f"model_kwargs: got {type(self.model_kwargs).__name__}, wanted a dict of arguments"
            )
        if self.model_class is not None:
            wanted = f"called with {', '.join(self.model_kwargs) or 'no arguments'}"
            check_call("model_class", wanted, self.model_class, **self.model_kwargs)
        if self.model_fn is not None:
            check_call("model_fn", "model_fn()", self.model_fn)

    @property
    def name(self) -> str:
        """What results call the model: with its form, where it has several."""
        if self.registered_name is not None:
            return model_label(self.registered_name, self.model_kwargs)
        maker = self.model_class or self.model_fn
        return getattr(maker, "__name__", type(maker).__name__) if maker else "model"

    @property
    def registered_name(self) -> str | None:
        """The name under which this library builds the same model, if it does."""
        return next((n for n in MODELS if MODELS[n] is self.model_class), None)

    def check_can_build(self) -> None:
        """Raises `UsageError` if there is no way to build a fresh model."""
        if self.model_class is None and self.model_fn is None:
            raise UsageError(
                "fresh initial weights need your own construction of the model: pass model_class= "
                "(and model_kwargs=) or model_fn= to LotteryTicketFinder"
            )

    def build(self, seed: int) -> nn.Module:
        """A fresh model whose initial weights follow from `seed`."""
        self.check_can_build()
        if self.registered_name is not None:
            return build(self.registered_name, seed, **self.model_kwargs)
        maker = self.model_fn or self.model_class
        assert maker is not None
        with seeded(seed):
            model = maker(**self.model_kwargs)
        if not isinstance(model, nn.Module):
            raise UsageError(
                f"{self.name} built a {type(model).__name__}, wanted a torch.nn.Module"
            )
        return model


def chosen_device(device: str | torch.device | None) -> str | None:
    """The device as a name; raises `UsageError` if it is not here."""
    return None if device is None else resolve_device(str(device))
