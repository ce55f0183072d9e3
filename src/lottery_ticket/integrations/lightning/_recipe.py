"""What a training was made by, so that none goes on from the checkpoint of another recipe."""

import json
import re
from collections.abc import Callable
from typing import Any

from torch import nn

from lottery_ticket.finder import code_of

__all__ = ["optimizers_of", "recipe_of"]

_OF_TRAINER = (
    "max_epochs", "max_steps", "accumulate_grad_batches", "gradient_clip_val",
    "gradient_clip_algorithm", "precision", "limit_train_batches",
)  # fmt: skip
_PLAIN = int | float | str | list | tuple | dict


def recipe_of(make_trainer: Callable[[], Any], trainer: Any, model: nn.Module) -> str:
    """Code, hyperparameters and limits of a training, as a text that is the same for the same.

    Of data, and of code that these call, nothing is in it.
    """
    told = {
        "code": code_of(make_trainer=make_trainer),
        "model": [code_of(kind=kind) for kind in type(model).__mro__ if _is_own(kind)],
        "hparams": dict(getattr(model, "hparams", {})),
        "trainer": {name: getattr(trainer, name) for name in _OF_TRAINER},
    }
    return _text(told)


def optimizers_of(trainer: Any) -> str:
    """The optimisers and learning-rate schedules of a fit, as they were made."""
    told = [[type(each).__name__, *map(_options, each.param_groups)] for each in trainer.optimizers]
    for config in trainer.lr_scheduler_configs:
        state = {k: v for k, v in vars(config.scheduler).items() if isinstance(v, _PLAIN)}
        told.append([type(config.scheduler).__name__, config.interval, config.frequency, state])
    return _text(told)


def _options(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name not in ("params", "param_names")}


def _is_own(kind: type) -> bool:
    return kind.__module__.partition(".")[0] not in (
        "builtins", "torch", "lightning", "pytorch_lightning", "lightning_fabric",
    )  # fmt: skip


def _text(told: object) -> str:
    text = json.dumps(told, sort_keys=True, default=repr)
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)  # of this process
