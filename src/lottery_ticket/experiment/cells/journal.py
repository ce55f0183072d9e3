"""Progress, history and checkpoints of trainings, written beside them as they go."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.experiment.cells.making import Pace, Stopped
from lottery_ticket.experiment.cells.progress import Progress, write_progress
from lottery_ticket.experiment.cells.train import TrainCell
from lottery_ticket.store import Desk
from lottery_ticket.train import CheckpointError, TrainState, checkpoint_bytes, restore_

__all__ = ["CHECKPOINT", "Journal", "Watch", "read_history"]

CHECKPOINT, _HISTORY = "checkpoint", "history.jsonl"
_MAX_CHECKPOINT_BYTES, _MAX_HISTORY_BYTES = 1 << 40, 1 << 26


def read_history(desk: Desk) -> list[dict[str, Any]]:
    """What was measured so far of the training that goes on there; nothing if it cannot be read.

    The training's record has it once it is finished; this is to look at.
    """
    found: list[dict[str, Any]] = []
    try:
        lines = (desk.read(_HISTORY, _MAX_HISTORY_BYTES) or b"").split(b"\n")
        for line in lines[:-1]:  # after the last there is what is being written
            record = json.loads(line)
            if not isinstance(record, dict) or type(record.get("step")) is not int:
                break
            found.append(record)
    except (StoreError, ValueError, RecursionError):
        return found
    return found


@dataclass
class Journal:
    """What is written of one training.

    Args:
        cell: what is trained.
        state: how far it is.
        desk: where to write.
        steps_per_epoch: batches in one pass over the data.
    """

    cell: TrainCell
    state: TrainState
    desk: Desk
    steps_per_epoch: int

    def resume_(self) -> None:
        """Continue from the checkpoint if there is a whole one.

        Raises:
            CheckpointError: there is, but not of this training as it is made here.
        """
        try:
            data = self.desk.read(CHECKPOINT, _MAX_CHECKPOINT_BYTES) or b""
        except DamagedError:
            raise CheckpointError("not a file") from None
        digest, payload = data[:32], data[32:]
        if payload and hashlib.sha256(payload).digest() == digest:
            restore_(self.state, payload)
            if not self.cell.first_step <= self.state.step <= self.cell.last_step:
                raise CheckpointError(f"it is at step {self.state.step}")
            if self.state.step == self.cell.last_step and not self._is_measured():
                raise CheckpointError("it is at its end, and did not measure it")
        history = "".join(json.dumps(record) + "\n" for record in self.state.history)
        self.desk.begin(_HISTORY, history.encode())

    def _is_measured(self) -> bool:
        last = self.state.history[-1] if self.state.history else {}
        return last.get("step") == self.state.step and {"test_loss", "test_accuracy"} <= last.keys()

    def add(self, record: dict[str, Any]) -> None:
        """Append to the history at once."""
        self.desk.append(_HISTORY, f"{json.dumps(record)}\n".encode())

    def show(self) -> None:
        """Write how far it is."""
        last = self.state.history[-1] if self.state.history else {}
        write_progress(
            self.desk,
            Progress(
                self.state.step - self.cell.first_step,
                self.cell.num_steps,
                self.state.step / self.steps_per_epoch,
                last.get("train_loss"),
                last.get("test_accuracy"),
            ),
        )

    def checkpoint(self) -> None:
        """Write the whole state."""
        payload = checkpoint_bytes(self.state)
        self.desk.write(CHECKPOINT, hashlib.sha256(payload).digest() + payload)


class Watch:
    """Looks after trainings that go in step: at its pace it shows progress, looks for a stop sign,
    and checkpoints when it is time.

    Args:
        journals: of the trainings.
        must_stop: whether to stop now.
        pace: how often it looks and checkpoints.
        before_checkpoint: brings the states up to date; it may take journals out of `journals`,
            those of trainings that have failed.
    """

    def __init__(
        self,
        journals: Sequence[Journal],
        must_stop: Callable[[], bool],
        pace: Pace,
        before_checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        self.journals, self._must_stop = list(journals), must_stop
        self._first, self._pace = journals[0], pace
        self._before_checkpoint = before_checkpoint
        self._last_look = float("-inf")
        self._next_checkpoint = time.monotonic() + pace.checkpoint_seconds

    def __call__(self, *_: object) -> None:
        """After each step.

        Raises:
            Stopped: all were checkpointed on request.
        """
        now = time.monotonic()
        if now - self._last_look < self._pace.look_seconds:
            return
        self._last_look = now
        for journal in self.journals:
            journal.show()
        must_stop = self._must_stop()
        if must_stop or now >= self._next_checkpoint:
            self._checkpoint(now)
        if must_stop and self._first.state.step < self._first.cell.last_step:
            raise Stopped

    def _checkpoint(self, now: float) -> None:
        self._before_checkpoint()
        for journal in self.journals:
            journal.checkpoint()
        seconds = time.monotonic() - now
        wait = max(self._pace.checkpoint_seconds, seconds / self._pace.checkpoint_share)
        self._next_checkpoint = time.monotonic() + wait
