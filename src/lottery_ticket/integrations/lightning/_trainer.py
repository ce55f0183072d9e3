"""What is asked of a Trainer before a mask is put to work in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.names import find_parameters

__all__ = ["OfAnotherLevel", "check_strategy", "optimizer_of", "with_memory"]

_STRATEGIES = ("SingleDeviceStrategy", "DDPStrategy")
_SHARDED = ("DeepSpeedStrategy", "FSDPStrategy", "ModelParallelStrategy")


def check_strategy(trainer: Any) -> None:
    """See that each process of a strategy has the whole model, and stays when the fit ends.

    Raises:
        UsageError: it shards parameters, or trains in processes that are gone after the fit.
    """
    strategy = trainer.strategy
    kinds = [kind.__name__ for kind in type(strategy).__mro__]
    is_known = any(kind in _STRATEGIES for kind in kinds)
    if not is_known or any(kind in _SHARDED for kind in kinds):
        raise UsageError(
            f"{kinds[0]} does not leave the whole model in each process, which a mask needs; use "
            'one device, or Trainer(strategy="ddp")'
        )
    if "MultiProcessing" in type(strategy.launcher).__name__:
        raise UsageError(
            "this strategy trains in processes that end with the fit, and what was found with "
            'them; use Trainer(strategy="ddp"), started as a script'
        )


def optimizer_of(
    trainer: Any, model: nn.Module, names: Iterable[str]
) -> torch.optim.Optimizer | None:
    """The first optimiser that trains any of the parameters: its steps are those that count."""
    wanted = {id(parameter) for parameter in find_parameters(model, names).values()}
    found = list(trainer.optimizers)
    for optimizer in found:
        if any(id(p) in wanted for group in optimizer.param_groups for p in group["params"]):
            return optimizer
    return found[0] if found else None


def with_memory(callbacks: Iterable[Any], own: object = None) -> list[Any]:
    """The callbacks that remember something of a fit, but for one of ours."""
    return [each for each in callbacks if each is not own and each.state_dict()]


@dataclass
class OfAnotherLevel:
    """A checkpoint that Lightning is about to restore, of a level that is finished.

    What the level that begins is to go on from is put in its place: loops and other callbacks
    as they are, optimisers and learning rates as they will be.

    Args:
        checkpoint: as Lightning goes on to read it.
    """

    checkpoint: dict[str, Any]

    def forget_callbacks_and_loops(self, trainer: Any) -> None:
        """Called while it is loaded."""
        self.checkpoint["callbacks"] = {}
        scaler = type(trainer.precision_plugin).__qualname__
        for key in ("loops", scaler, "averaging_state", "current_model_state"):
            self.checkpoint.pop(key, None)

    def forget_optimizers(self, trainer: Any) -> None:
        """Called when the optimisers are made, and are what the level starts with."""
        self.checkpoint["optimizer_states"] = [each.state_dict() for each in trainer.optimizers]
        self.checkpoint["lr_schedulers"] = [
            config.scheduler.state_dict() for config in trainer.lr_scheduler_configs
        ]
