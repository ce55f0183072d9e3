"""All that was answered, as the values of a spec; and what is sensible where nothing was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lottery_ticket.arms import ARMS, REINIT, TICKET
from lottery_ticket.starter._data import DataChoice
from lottery_ticket.starter._model import ModelChoice, can_be_narrow
from lottery_ticket.steps import steps_per_epoch

__all__ = ["Answers", "Recipe", "control_names", "default_recipe"]

_MOST_BATCH, _BATCHES = 128, 20  # at least so many batches in an epoch
_LR = 0.001
_SGD_MOMENTUM = 0.9
_SGD_LR = {"classification": 0.05, "regression": 0.001}  # squares of targets of any size are steep
_STEPS, _MOST_EPOCHS, _LEAST_EPOCHS = 3000, 40, 2


@dataclass(frozen=True)
class Recipe:
    """How each training goes.

    Args:
        epochs, lr, batch_size: as a spec has them.
        optimizer: a name in `OPTIMIZERS`.
        momentum: as a spec has it; 0 for none.
    """

    epochs: int
    lr: float
    batch_size: int
    optimizer: str = "adam"
    momentum: float = 0.0


def default_recipe(data: DataChoice, optimizer: str = "adam") -> Recipe:
    """What trains most nets well enough to begin with: Adam at 0.001, some thousand steps.

    Args:
        data: what is learnt.
        optimizer: SGD has a learning rate of its own, and momentum; others have Adam's.

    >>> from lottery_ticket.starter import chosen_data
    >>> default_recipe(chosen_data("digits"))
    Recipe(epochs=40, lr=0.001, batch_size=32, optimizer='adam', momentum=0.0)
    """
    batch_size = 1
    while 2 * batch_size <= min(_MOST_BATCH, data.num_train // _BATCHES):
        batch_size *= 2
    epochs = -(-_STEPS // steps_per_epoch(data.num_train, batch_size))
    epochs = max(_LEAST_EPOCHS, min(_MOST_EPOCHS, epochs))
    if optimizer == "sgd":
        return Recipe(epochs, _SGD_LR[data.task], batch_size, optimizer, _SGD_MOMENTUM)
    return Recipe(epochs, _LR, batch_size, optimizer)


def control_names(data: DataChoice, model: ModelChoice) -> list[str]:
    """The arms that go beside the ticket in a first spec: all but those that want another run's
    tickets or a later rewind step, or a narrower form that the model has not.

    >>> from lottery_ticket.starter import chosen_data
    >>> control_names(chosen_data("digits"), ModelChoice("MLP", {}))[:2]
    ['reinit', 'reinit_scaled']
    """
    return [
        name
        for name, arm in ARMS.items()
        if name not in (TICKET, "lth")
        and arm.mask != "source"
        and (arm.mask != "narrow" or can_be_narrow(data, model))
    ]


@dataclass(frozen=True)
class Answers:
    """What a first spec says.

    Args:
        name: of the run.
        data, model: which.
        rate, levels: what each level prunes of the rest, and how many there are.
        recipe: how each training goes.
        controls: arms beside the ticket.
        replicates: how many.
        imports: code of one's own, beside that of data and model.
    """

    name: str
    data: DataChoice
    model: ModelChoice
    rate: float
    levels: int
    recipe: Recipe
    controls: Sequence[str] = (REINIT,)
    replicates: int = 3
    imports: Sequence[str] = ()

    @property
    def loss(self) -> str:
        """What the task is trained by."""
        return "cross_entropy" if self.data.task == "classification" else "mse"

    @property
    def all_imports(self) -> list[str]:
        """Every file that the spec needs, once."""
        return list(dict.fromkeys([*self.imports, *self.data.imports, *self.model.imports]))

    @property
    def densities(self) -> list[float]:
        """Of each level below dense, about: counts are whole."""
        return [(1 - self.rate) ** level for level in range(1, self.levels + 1)]

    def values(self) -> Mapping[str, Any]:
        """As a spec has them."""
        return {
            "name": self.name,
            "data": {"name": self.data.name, **self.data.options},
            "model": {"name": self.model.name, **self.model.options},
            "train": {
                "optimizer": self.recipe.optimizer,
                "lr": self.recipe.lr,
                **({"momentum": self.recipe.momentum} if self.recipe.momentum else {}),
                "batch_size": self.recipe.batch_size,
                "duration": f"{self.recipe.epochs}ep",
                "loss": self.loss,
                "schedule": "constant",
            },
            "prune": {
                "criterion": "magnitude",
                "scope": "global",
                "rate": self.rate,
                "levels": self.levels,
            },
            "rewind": "0it",
            "arms": [TICKET, *self.controls],
            "replicates": self.replicates,
            "seed": 0,
        }
