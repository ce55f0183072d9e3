"""Making training cells: rewind, train, and keep what it was; alone, or several as one batch."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_tensors
from torch import nn

from lottery_ticket.data import DataSet
from lottery_ticket.errors import LotteryError, TrainingError
from lottery_ticket.experiment.cells.cell import EXAMPLES, MASK, OPTIMIZER, WEIGHTS
from lottery_ticket.experiment.cells.journal import CHECKPOINT, Journal, Watch
from lottery_ticket.experiment.cells.making import Made, Parents, Workspace
from lottery_ticket.experiment.cells.train import MovingMask, TrainCell
from lottery_ticket.experiment.objects.build import load_data
from lottery_ticket.experiment.objects.initial import initial_model
from lottery_ticket.experiment.objects.recipe import (
    augmentation_of,
    loss_of,
    metric_of,
    optimizer_of,
    schedule_of,
)
from lottery_ticket.masks import MaskPolicy, PruningMask, has_only_zeros_where_pruned, layer_weights
from lottery_ticket.process import random_state_kept, seed_
from lottery_ticket.pruning import MaskScores, ScorePolicy, rewind_, rewind_optimizer_
from lottery_ticket.spec import TrainSpec
from lottery_ticket.steps import Duration
from lottery_ticket.train import (
    METRICS,
    BatchedStep,
    Batches,
    CheckpointError,
    TrainState,
    early_stop,
    evaluate,
    optimizer_state,
    optimizer_tensors,
    step_for,
    train,
    train_together,
)

__all__ = ["make_together", "make_training"]


def make_training(cell: TrainCell, parents: Parents, workspace: Workspace) -> Made:
    """A training; continues from its checkpoint if there is one.

    Raises:
        TrainingError: a loss that is not finite, or pruned weights that came back.
        Stopped: the run was asked to stop; a checkpoint was written.
    """
    with random_state_kept([workspace.device]):
        training = _begin(cell, parents, workspace)
        recipe, state = cell.train, training.state
        execution = step_for(
            state.model, state.optimizer, training.mask, training.batches,
            loss=loss_of(recipe), clip_norm=recipe.clip_norm, precision=training.precision,
            kernels=workspace.kernels, scores=state.scores,
        )  # fmt: skip
        train(
            state,
            execution,
            training.batches,
            on_record=training.journal.add,
            on_step=Watch([training.journal], workspace.must_stop, workspace.pace),
            policy=training.policy,
            policy_seed=training.policy_seed,
            **training.arguments(),
        )
    return training.finished(execution.description)


def make_together(
    cells: Sequence[TrainCell], parents: Sequence[Parents], workspaces: Sequence[Workspace]
) -> list[Made | LotteryError]:
    """The same for several cells of one recipe, model and data set, trained as one batch.

    Returns:
        For each cell what it made, or why it failed.

    Raises:
        Stopped: the run was asked to stop; a checkpoint of each was written.
        RuntimeError: the model cannot be batched, since it draws random numbers, say.
    """
    made: dict[int, Made | LotteryError] = {}
    with random_state_kept([workspaces[0].device]):
        trainings = [_begin(*one) for one in zip(cells, parents, workspaces, strict=True)]
        at_step: dict[int, list[int]] = defaultdict(list)  # checkpoints may differ
        for index, training in enumerate(trainings):
            at_step[training.state.step].append(index)
        for indices in at_step.values():
            group = [trainings[index] for index in indices]
            for index, result in zip(indices, _trained_together(group), strict=True):
                made[index] = result
    return [made[index] for index in range(len(cells))]


def _trained_together(group: Sequence["_Training"]) -> list[Made | LotteryError]:
    first = group[0]
    recipe = first.cell.train
    states, batches = [t.state for t in group], [t.batches for t in group]
    journals = [t.journal for t in group]
    execution = BatchedStep(
        states,
        [t.mask for t in group],
        batches,
        loss=loss_of(recipe),
        make_optimizer=optimizer_of(recipe),
        clip_norm=recipe.clip_norm,
        precision=first.precision,
    )

    def bring_up_to_date() -> None:
        execution.write_()
        # one that has failed keeps its last good checkpoint, and fails from there again
        watch.journals = [j for i, j in enumerate(journals) if i not in execution.failures]

    watch = Watch(journals, first.workspace.must_stop, first.workspace.pace, bring_up_to_date)
    train_together(
        states,
        execution,
        batches,
        on_record=lambda index, record: journals[index].add(record),
        on_step=watch,
        policies=[t.policy for t in group],
        policy_seeds=[t.policy_seed for t in group],
        **first.arguments(),
    )
    results: list[Made | LotteryError] = []
    for index, training in enumerate(group):
        try:
            if index in execution.failures:
                raise execution.failures[index]
            results.append(training.finished(execution.description))
        except TrainingError as error:
            results.append(error)
    return results


@dataclass
class _Training:
    """A training cell in the making."""

    cell: TrainCell
    workspace: Workspace
    data: DataSet
    fixed: Mapping[str, torch.Tensor]
    state: TrainState
    batches: Batches
    journal: Journal
    initial_hash: str
    policy: MaskPolicy | None

    @property
    def mask(self) -> Mapping[str, torch.Tensor]:
        """The mask in force."""
        return self.fixed if self.state.mask is None else self.state.mask

    @property
    def policy_seed(self) -> int:
        return 0 if self.cell.moving is None else self.cell.moving.seed

    @property
    def precision(self) -> str:
        return self.cell.train.precision or "fp32"

    def arguments(self) -> dict[str, Any]:
        """What its recipe says to `train`."""
        epoch, recipe = self.batches.steps_per_epoch, self.cell.train
        held = {} if self.data.validation is None else {"val": self.data.validation}
        return {
            "loss": loss_of(recipe),
            "total_steps": self.cell.last_step,
            "learning_rate": self._learning_rate(epoch),
            "evaluate_every": Duration.parse(recipe.eval_every).steps(epoch),
            "evaluation_splits": {**held, "test": self.data.test},
            "metric": metric_of(recipe),
        }

    def _learning_rate(self, epoch: int) -> Callable[[int], float]:
        rate, scores = schedule_of(self.cell.train, epoch), self.state.scores
        if scores is None:
            return rate
        base, last = self.cell.train.lr, self.cell.last_step
        return lambda step: scores.policy.rate(step, last, rate(step) / base)

    def finished(self, description: Mapping[str, Any]) -> Made:
        """What it made; raises `TrainingError` if pruned weights came back."""
        model = self.state.model
        state = model.state_dict()  # of a tied one each name has a copy, as files have
        weights = {name: value.cpu().contiguous().clone() for name, value in state.items()}
        kept = {name: kept.cpu() for name, kept in self.mask.items()}
        if not has_only_zeros_where_pruned(weights, kept):
            raise TrainingError("pruned weights came back during training; please report this")
        files, results = _outcome(self.data, self.cell.train, self.state)
        if self.cell.moving is not None:
            files[MASK] = self._moved(self.cell.moving).to_bytes()
            results["layers"] = {name: int(kept.sum()) for name, kept in self.mask.items()}
            numbers = {n: v.item() for n, v in self.state.memory.items() if v.ndim == 0}
            results |= {f"policy_{name}": number for name, number in numbers.items()}
        files[WEIGHTS] = save_tensors(weights)
        files[OPTIMIZER] = save_tensors(optimizer_tensors(self.state.optimizer))
        results["initial_sha256"] = self.initial_hash
        if self.cell.first_step:
            results["start_step"] = self.cell.first_step
        results["num_prunable"] = sum(p.numel() for p in layer_weights(model).values())
        pruned = sum(int((~kept).sum()) for kept in self.mask.values())
        results["num_kept"] = results["num_prunable"] - pruned
        return Made(files, results, {"kernels": dict(description), "precision": self.precision})

    def _moved(self, moving: MovingMask) -> PruningMask:
        """The mask that the training ended with; raises `TrainingError` if it is not as planned."""
        assert self.state.mask is not None
        mask = self.state.mask.to("cpu")
        if mask.num_kept != moving.keep.total:
            raise TrainingError(
                f"the policy {moving.policy!r} ended with {mask.num_kept:,} weights kept, wanted "
                f"{moving.keep.total:,}"
            )
        return mask


def _begin(cell: TrainCell, parents: Parents, workspace: Workspace) -> _Training:
    """The training as it is at its start, or at its checkpoint; one that cannot be continued is
    set aside."""
    try:
        return _begun(cell, parents, workspace)
    except CheckpointError as error:
        where, kept = workspace.desk.where(CHECKPOINT), workspace.desk.set_aside(CHECKPOINT)
        workspace.note(
            f"{where}: cannot be continued ({error}); its cell begins anew, and it is kept: {kept}"
        )
    return _begun(cell, parents, workspace)


def _begun(cell: TrainCell, parents: Parents, workspace: Workspace) -> _Training:
    recipe, seeds, device = cell.train, cell.seeds, workspace.device
    assert cell.data is not None
    digest = cell.recipe.data.digest
    data = load_data(cell.data, workspace.data_dir, device, digest=digest)
    mask = parents.mask()
    seed_(seeds.noise, [device])  # dropout and the like
    model, initial_hash = _rewound_model(cell, mask, parents, device)
    state = TrainState(model, optimizer_of(recipe)(model.parameters()), cell.first_step)
    if "optimizer" in parents:
        memory = optimizer_state(parents.tensors("optimizer", OPTIMIZER))
        rewind_optimizer_(state.optimizer, memory, model, mask or {})
    augment = augmentation_of(recipe)
    batches = Batches(data.train, recipe.batch_size, seeds.order, augment, seeds.augment or 0)
    policy = None if cell.moving is None else _set_moving_(state, cell, cell.moving, mask)
    journal = Journal(cell, state, workspace.desk, batches.steps_per_epoch)
    journal.resume_()
    training = _Training(
        cell, workspace, data, mask or {}, state, batches, journal, initial_hash, policy
    )
    if state.step > cell.first_step:
        weights = {name: value.cpu() for name, value in model.state_dict().items()}
        kept = {name: kept.cpu() for name, kept in training.mask.items()}
        if not has_only_zeros_where_pruned(weights, kept):
            raise CheckpointError("its weights are of another mask")
    return training


def _set_moving_(
    state: TrainState, cell: TrainCell, moving: MovingMask, mask: PruningMask | None
) -> MaskPolicy | None:
    """Let the mask change; the policy to ask between steps, if that is what does it."""
    policy = moving.made(cell.first_step, cell.last_step)
    device = next(state.model.parameters()).device
    state.mask = (mask or moving.first_mask()).to(device)
    if isinstance(policy, ScorePolicy):
        state.scores = MaskScores(state.model, policy, mask=state.mask, seed=moving.seed)
        state.optimizer = optimizer_of(cell.train)(state.scores.parameters())
        state.write_()
        return None
    if policy.is_due(cell.first_step):
        state.ask_(policy, moving.seed)
    return policy


def _rewound_model(
    cell: TrainCell, mask: PruningMask | None, parents: Parents, device: str
) -> tuple[nn.Module, str]:
    """The model as the training starts with it, and the hash of its weights before the mask."""
    start = parents.tensors("initial") if "initial" in parents else None
    model = initial_model(cell.recipe.model, cell.seeds.init, cell.initial, mask, start)
    if "weights" in parents:
        weights = parents.tensors("weights")
    else:
        weights = {name: value.clone() for name, value in model.state_dict().items()}
    rewind_(model, weights, mask)
    return model.to(device), hashlib.sha256(save_tensors(weights)).hexdigest()


def _outcome(
    data: DataSet, recipe: TrainSpec, state: TrainState
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """What the trained model does on the test split, image by image too."""
    # a training that was stopped after its last measurement measures once more
    measured = state.measured.get("test") or evaluate(
        state.model,
        data.test,
        loss_of(recipe),
        outputs=None if state.execution is None else state.execution.outputs,
        metric=metric_of(recipe),
    )
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
    if recipe.metric is not None and measured.metric is not None:
        results["metric"] = recipe.metric
        results["higher_is_better"] = METRICS[recipe.metric].higher_is_better
        results["test_metric"] = last.get("test_metric")
        results["val_metric"] = last.get("val_metric")
        if measured.metric.examples is not None:
            files[EXAMPLES] = save_tensors({"metric": measured.metric.examples})
    if measured.correct is not None:
        # one bit for each test image, the first in the lowest bit: for paired statistics
        bits = np.packbits(measured.correct.numpy(), bitorder="little")
        files["test_correct.bits"] = bits.tobytes()
    return files, results
