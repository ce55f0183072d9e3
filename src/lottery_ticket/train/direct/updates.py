"""Optimisers over one flat vector, which do as torch's do with a fraction of the calls."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from lottery_ticket import kernels
from lottery_ticket.train._optimizers import torch_class
from lottery_ticket.train.direct.flat import Part

__all__ = ["Update", "update_of"]


class Update(Protocol):
    """An optimiser's rule with its memory.

    Attributes:
        state: by torch's names; vectors as long as the parameters, and step counts.
    """

    state: dict[str, torch.Tensor]

    def __call__(self, parts: Sequence[Part], lr: float) -> None:
        """Update the values of all parts in place; gradients where `keep` is false count as
        zero."""
        ...


def update_of(optimizer: torch.optim.Optimizer, size: int) -> Update:
    """The rule of a torch optimiser over `size` values, its memory still zero.

    Raises:
        TypeError: an optimiser whose rule is not known here.
    """
    options, rule = optimizer.param_groups[0], torch_class(optimizer)
    if rule is torch.optim.SGD:
        return _SGD(options, size)
    if rule in (torch.optim.Adam, torch.optim.AdamW):
        return _Adam(options, size, is_decoupled=_is_decoupled(rule, options))
    raise TypeError(type(optimizer).__name__)


def _is_decoupled(rule: type[torch.optim.Optimizer], options: Mapping[str, Any]) -> bool:
    return rule is torch.optim.AdamW or bool(options.get("decoupled_weight_decay"))


class _SGD:
    def __init__(self, options: Mapping[str, Any], size: int) -> None:
        self._momentum = np.float32(options["momentum"])
        self._weight_decay = np.float32(options["weight_decay"])
        self._nesterov = bool(options["nesterov"])
        self.state = {"momentum_buffer": torch.zeros(size)} if options["momentum"] else {}
        self._none = torch.zeros(0)

    def __call__(self, parts: Sequence[Part], lr: float) -> None:
        momenta = self.state.get("momentum_buffer", self._none).numpy()
        for part in parts:
            kernels.sgd_update(
                part.values, part.gradients, part.keep, momenta[part.start : part.stop],
                part.halves, np.float32(lr), self._momentum, self._weight_decay, self._nesterov,
            )  # fmt: skip


class _Adam:
    def __init__(self, options: Mapping[str, Any], size: int, *, is_decoupled: bool) -> None:
        self._betas = options["betas"]
        self._eps = np.float32(options["eps"])
        self._weight_decay, self._is_decoupled = options["weight_decay"], is_decoupled
        self.state = {
            "step": torch.tensor(0.0),
            "exp_avg": torch.zeros(size),
            "exp_avg_sq": torch.zeros(size),
        }

    def __call__(self, parts: Sequence[Part], lr: float) -> None:
        self.state["step"] += 1
        step = int(self.state["step"])
        beta1, beta2 = self._betas
        added = 0.0 if self._is_decoupled else self._weight_decay
        decay = lr * self._weight_decay if self._is_decoupled else 0.0
        means, squares = (self.state[name].numpy() for name in ("exp_avg", "exp_avg_sq"))
        for part in parts:
            here = slice(part.start, part.stop)
            kernels.adam_update(
                part.values, part.gradients, part.keep, means[here], squares[here], part.halves,
                np.float32(beta1), np.float32(beta2), np.float32(1 - beta1),
                np.float32(1 - beta2), np.float32(lr / (1 - beta1**step)),
                np.float32((1 - beta2**step) ** 0.5), self._eps, np.float32(added),
                np.float32(decay),
            )  # fmt: skip
