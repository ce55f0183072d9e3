"""Making a training cell: rewind, train, and keep what it was."""

import functools
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_tensors
from torch import nn

from lottery_ticket.data import AUGMENTATIONS, DataSet
from lottery_ticket.errors import TrainingError
from lottery_ticket.experiment._build import load_data
from lottery_ticket.experiment._context import Context
from lottery_ticket.experiment._mask_cell import read_mask
from lottery_ticket.experiment._plan import Cell
from lottery_ticket.experiment._progress import Progress, write_progress
from lottery_ticket.experiment._stop import Stopped, StopSign
from lottery_ticket.files import write_file
from lottery_ticket.masks import (
    PruningMask,
    has_only_zeros_where_pruned,
    prunable_sizes,
)
from lottery_ticket.models import build
from lottery_ticket.pruning import rewind_
from lottery_ticket.spec import TrainSpec
from lottery_ticket.steps import Duration
from lottery_ticket.store import Store
from lottery_ticket.train import (
    LOSSES,
    Batches,
    Evaluation,
    TrainState,
    checkpoint_bytes,
    early_stop,
    evaluate,
    learning_rate,
    make_optimizer,
    restore_,
    step_for,
    train,
)

__all__ = ["make_training"]

_CHECKPOINT_SECONDS = 15.0
_PROGRESS_SECONDS = 0.5


def make_training(
    cell: Cell, context: Context, store: Store, folder: Path
) -> tuple[dict[str, bytes], dict[str, Any], dict[str, Any]]:
    """The files and results of a training cell, and how it was executed.

    Continues from its checkpoint if there is one.

    Raises:
        TrainingError: a loss that is not finite, or pruned weights that came back.
        Stopped: the run was asked to stop; a checkpoint was written.
    """
    recipe = TrainSpec.model_validate(cell.inputs["train"])
    data = load_data(context.data, context.data_dir, context.device)
    mask = read_mask(store, cell.parents["mask"]) if "mask" in cell.parents else None
    devices = [context.device] if context.device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(cell.inputs["seeds"]["noise"])  # dropout and the like
        model, initial_hash = _initial_model(cell, mask, context.device)
        state = TrainState(model, _optimizer(recipe, model))
        watch = _Watch(cell, state, folder, StopSign(context.stop_file))
        watch.resume_()
        _train_(cell, recipe, data, mask, state, watch, context.kernels)
    weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    if mask is not None and not has_only_zeros_where_pruned(weights, mask):
        raise TrainingError("pruned weights came back during training; please report this")
    files, results = _outcome(data, recipe, state)
    files["weights.safetensors"] = save_tensors(weights)
    results["initial_sha256"] = initial_hash
    results["num_prunable"] = sum(prunable_sizes(model).values())
    results["num_kept"] = mask.num_kept if mask is not None else results["num_prunable"]
    assert state.execution is not None
    how = {
        "kernels": dict(state.execution.description),
        "precision": recipe.precision or "fp32",
    }
    return files, results, how


def _initial_model(cell: Cell, mask: PruningMask | None, device: str) -> tuple[nn.Module, str]:
    options = {k: v for k, v in cell.inputs["model"].items() if k not in ("name", "source")}
    model = build(cell.inputs["model"]["name"], cell.inputs["seeds"]["init"], **options)
    initial = {name: value.clone() for name, value in model.state_dict().items()}
    rewind_(model, initial, mask)
    return model.to(device), hashlib.sha256(save_tensors(initial)).hexdigest()


def _optimizer(recipe: TrainSpec, model: nn.Module) -> torch.optim.Optimizer:
    options = recipe.optimizer_options
    return make_optimizer(recipe.optimizer, model.parameters(), lr=recipe.lr, **options)


def _train_(
    cell: Cell,
    recipe: TrainSpec,
    data: DataSet,
    mask: PruningMask | None,
    state: TrainState,
    watch: "_Watch",
    kernels: str,
) -> None:
    seeds = cell.inputs["seeds"]
    augment = AUGMENTATIONS[recipe.augment]() if recipe.augment else None
    batches = Batches(
        data.train, recipe.batch_size, seeds["order"], augment, seeds.get("augment", 0)
    )
    splits = {} if data.validation is None else {"val": data.validation}
    watch.steps_per_epoch = batches.steps_per_epoch
    loss = LOSSES[recipe.loss]
    execution = step_for(
        state.model, state.optimizer, mask or {}, batches,
        loss=loss, clip_norm=recipe.clip_norm, precision=recipe.precision or "fp32",
        kernels=kernels,
    )  # fmt: skip
    train(
        state,
        execution,
        batches,
        loss=loss,
        total_steps=cell.num_steps,
        learning_rate=_schedule(recipe, cell.num_steps, batches.steps_per_epoch),
        evaluate_every=Duration.parse(recipe.eval_every).steps(batches.steps_per_epoch),
        evaluation_splits={**splits, "test": data.test},
        on_record=watch.on_record,
        on_step=watch.on_step,
    )


def _schedule(recipe: TrainSpec, total_steps: int, epoch: int) -> Callable[[int], float]:
    if recipe.schedule == "constant" and recipe.warmup is None:
        return lambda step: recipe.lr
    return functools.partial(
        learning_rate,
        base=recipe.lr,
        schedule=recipe.schedule,
        total_steps=total_steps,
        warmup_steps=Duration.parse(recipe.warmup).steps(epoch) if recipe.warmup else 0,
        milestones=[Duration.parse(m).steps(epoch) for m in recipe.milestones],
        gamma=recipe.step_gamma,
    )


def _evaluated(state: TrainState, data: DataSet, recipe: TrainSpec) -> Evaluation:
    assert state.execution is not None
    loss = LOSSES[recipe.loss]
    return evaluate(state.model, data.test, loss, outputs=state.execution.outputs)


def _outcome(
    data: DataSet, recipe: TrainSpec, state: TrainState
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """What the trained model does on the test split, image by image too."""
    # a training that was stopped after its last measurement measures once more
    measured = state.measured.get("test") or _evaluated(state, data, recipe)
    last = state.history[-1]
    results = {
        "num_steps": state.step,
        "num_test": len(data.test),
        "test_loss": last["test_loss"],
        "test_accuracy": last["test_accuracy"],
        "val_loss": last.get("val_loss"),
        "val_accuracy": last.get("val_accuracy"),
        **early_stop(state.history),
        "history": state.history,
    }
    files = {}
    if measured.correct is not None:
        # one bit for each test image, the first in the lowest bit: for paired statistics
        bits = np.packbits(measured.correct.numpy(), bitorder="little")
        files["test_correct.bits"] = bits.tobytes()
    return files, results


@dataclass
class _Watch:
    """Progress, history and checkpoints of a training, written beside it as it goes."""

    cell: Cell
    state: TrainState
    folder: Path
    stop_sign: StopSign
    steps_per_epoch: int = 1
    _last_progress: float = float("-inf")
    _last_checkpoint: float = 0.0

    def resume_(self) -> None:
        """Continue from the checkpoint if there is a whole one."""
        self._last_checkpoint = time.monotonic()
        try:
            data = (self.folder / "checkpoint").read_bytes()
        except FileNotFoundError:
            data = b""
        digest, payload = data[:32], data[32:]
        if payload and hashlib.sha256(payload).digest() == digest:
            restore_(self.state, payload)
        history = "".join(json.dumps(record) + "\n" for record in self.state.history)
        (self.folder / "history.jsonl").write_text(history)

    def on_record(self, record: dict[str, Any]) -> None:
        """Append to the history file at once."""
        with (self.folder / "history.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def on_step(self, state: TrainState) -> None:
        """Twice a second: show progress, look for a stop sign, checkpoint when it is time."""
        now = time.monotonic()
        if now - self._last_progress < _PROGRESS_SECONDS:
            return
        self._last_progress = now
        last = state.history[-1] if state.history else {}
        write_progress(
            self.folder,
            Progress(
                state.step,
                self.cell.num_steps,
                state.step / self.steps_per_epoch,
                last.get("train_loss"),
                last.get("test_accuracy"),
            ),
        )
        must_stop = self.stop_sign.is_raised()
        if must_stop or now - self._last_checkpoint >= _CHECKPOINT_SECONDS:
            self._checkpoint()
        if must_stop and state.step < self.cell.num_steps:
            raise Stopped

    def _checkpoint(self) -> None:
        payload = checkpoint_bytes(self.state)
        write_file(self.folder / "checkpoint", hashlib.sha256(payload).digest() + payload)
        self._last_checkpoint = time.monotonic()
