"""One training of the finder's, in a fit: its start, and how it goes on after a kill."""

from collections.abc import Mapping
from typing import Any

from lottery_ticket.errors import TrainingError, UsageError
from lottery_ticket.integrations.lightning._library import joined
from lottery_ticket.integrations.lightning._position import Position, go_to_step, skip_batches
from lottery_ticket.integrations.lightning._random import random_state, set_random_state
from lottery_ticket.integrations.lightning._recipe import optimizers_of
from lottery_ticket.integrations.lightning._trainer import optimizer_of
from lottery_ticket.masks import Attachment

__all__ = ["FinderFit"]


class FinderFit:
    """Puts a fit where a training of the finder starts; the finder itself holds the mask.

    Args:
        attached: the mask at work, whose steps go on being counted after a kill.
        start_step: the step at which the training starts.
    """

    def __new__(cls, *args: object, **kwargs: object) -> "FinderFit":
        return object.__new__(joined(cls))

    def __init__(self, attached: Attachment, start_step: int) -> None:
        self._attached, self._start_step = attached, start_step
        self._position: Position | None = None
        self._continued: Mapping[str, Any] | None = None
        self._is_finished = False
        self._optimizers = ""

    @property
    def state_key(self) -> str:
        """Under which a checkpoint has it."""
        return "LotteryTicketFinder"

    def state_dict(self) -> dict[str, Any]:
        """The mask, its steps, and the random state."""
        return {
            "attached": self._attached.state_dict(),
            "random_state": random_state(),
            "optimizers": self._optimizers,
        }

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Take up the mask of the checkpoint, and then once more its weights.

        They were restored under the mask that the training began with, which a policy may have
        moved since.
        """
        state = self._continued = dict(checkpoint["callbacks"][self.state_key])
        self._attached.load_state_dict(state["attached"])
        weights = checkpoint.get("current_model_state", checkpoint["state_dict"])
        pl_module.load_state_dict(weights, strict=pl_module.strict_loading)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """The optimisers are made."""
        self._optimizers = optimizers_of(trainer)
        if self._continued is not None and self._continued["optimizers"] != self._optimizers:
            raise UsageError(
                f"checkpoints: {trainer.ckpt_path} is of a training with other optimizers or "
                f"learning rates: {self._continued['optimizers']}, and this one has "
                f"{self._optimizers}; delete it, or choose another folder"
            )
        if self._continued is not None:
            optimizer = optimizer_of(trainer, pl_module, self._attached.mask)
            if optimizer is not None:  # its memory is the checkpoint's, not that of the start
                self._attached.follow(optimizer)
            set_random_state(self._continued["random_state"])
        elif self._start_step:
            self._position = go_to_step(trainer, pl_module, self._start_step)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """What Lightning restores is restored."""
        self._attached.zero_()
        if self._position is not None:
            skip_batches(trainer, self._position)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """It was not interrupted."""
        self._is_finished = True

    def check(self) -> None:
        """Raises `TrainingError` if the fit came back without having ended."""
        if not self._is_finished:
            raise TrainingError("the fit was interrupted; the same call goes on with it")
