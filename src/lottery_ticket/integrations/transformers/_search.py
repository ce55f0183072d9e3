"""A ticket found over several trainings by transformers' Trainer, each by one that is made anew."""

import copy
import hashlib
import inspect
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainerState
from transformers.trainer_callback import ExportableState

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.finder import code_of
from lottery_ticket.integrations.transformers import _checkpoint
from lottery_ticket.integrations.transformers._callback import PruningCallback
from lottery_ticket.masks import Attachment, PruningMask
from lottery_ticket.metric_names import Direction, mode_of
from lottery_ticket.process import seed_
from lottery_ticket.tickets import weights_sha256

__all__ = ["trainer_functions"]

MakeTrainer = Callable[[nn.Module], Trainer]
_FINISHED = "finished"
_NO_RECIPE = ("output_dir", "logging_dir", "run_name", "disable_tqdm", "report_to")
"""Arguments that change nothing about what is trained."""
_ACCELERATES = ("forward", "_original_forward", "_is_accelerate_prepared")
"""What accelerate puts into a model that it prepares."""


def trainer_functions(
    make_trainer: MakeTrainer,
    *,
    metric: str = "eval_loss",
    greater_is_better: bool | None = None,
    resume: bool = True,
) -> dict[str, Callable[..., Any]]:
    """`train_fn` and `eval_fn` of `LotteryTicketFinder`, for a Trainer: pass them on with `**`.

    Each training has a Trainer of its own, and a folder in `args.output_dir`; its order of data and
    dropout follow from the finder's seed and the level, unless `args.data_seed` says the order. A
    training that starts at step k has the learning rate and the data of step k. One that was killed
    goes on from its newest checkpoint, as if it had not been.

    Args:
        make_trainer: `make_trainer(model) -> Trainer`, with arguments, data and all else.
        metric: a key of `trainer.evaluate()`.
        greater_is_better: of the metric; by default not of losses, errors and perplexities, by the
            last word of its name. The finder's `mode` is held against it.
        resume: whether a training that was killed goes on from its checkpoint.

    Returns:
        `{"train_fn": …, "eval_fn": …}`.

    Raises:
        UsageError: `make_trainer` is no function; when called, it returns no Trainer of the model
            that it is given, one with another mask, or metrics without `metric`.

    >>> def make_trainer(model):
    ...     return Trainer(model, args, train_dataset=train, eval_dataset=validation)
    >>> finder = LotteryTicketFinder(model_fn=build, mode="min")  # doctest: +SKIP
    >>> finder.find_winning_ticket(**trainer_functions(make_trainer))  # doctest: +SKIP
    >>> functions = trainer_functions(make_trainer)
    >>> sorted(functions), functions["eval_fn"].direction.mode
    (['eval_fn', 'train_fn'], 'min')
    """
    if isinstance(make_trainer, Trainer) or not callable(make_trainer):
        raise UsageError(
            f"make_trainer: got a {type(make_trainer).__name__}, wanted a function of a model that "
            "returns a Trainer: lambda model: Trainer(model=model, args=args, …)"
        )
    direction = _direction(metric, greater_is_better)
    loop = _TrainerLoop(make_trainer, metric, resume)

    def train_fn(
        model: nn.Module, mask: PruningMask, start_step: int = 0, *, attached: Attachment
    ) -> None:
        loop.train(model, attached, start_step)

    def eval_fn(model: nn.Module) -> float:
        return loop.evaluate(model)

    for function in (train_fn, eval_fn):  # so that a search tells whether the user's code changed
        function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        function.__wrapped__ = make_trainer  # type: ignore[attr-defined]
    eval_fn.direction = direction  # type: ignore[attr-defined]
    return {"train_fn": train_fn, "eval_fn": eval_fn}


def _direction(metric: object, greater_is_better: bool | None) -> Direction:
    if not isinstance(metric, str):
        raise UsageError(f"metric: got {metric!r:.100}, wanted a key of trainer.evaluate()")
    said = None if greater_is_better is None else "max" if greater_is_better else "min"
    mode = mode_of(metric, said)
    remedy = f"trainer_functions(…, metric={metric!r}, greater_is_better={mode == 'min'})"
    return Direction(metric, mode, remedy)


@dataclass(frozen=True)
class _TrainerLoop:
    """Trains and evaluates a model by Trainers that a function makes."""

    make_trainer: MakeTrainer
    metric: str
    resume: bool

    def train(self, model: nn.Module, attached: Attachment, start_step: int) -> None:
        seed = torch.initial_seed()  # the finder's, of this training
        with self._made(model) as trainer:
            folder = self._folder(trainer, attached.mask, seed, start_step)
            trainer.args.output_dir = str(folder)
            trainer.add_callback(PruningCallback.of(attached))
            checkpoint = _checkpoint.newest(folder) if self._is_open(folder) else None
            if checkpoint is None:
                shutil.rmtree(folder, ignore_errors=True)
                checkpoint = _begun_at(trainer, start_step, folder) if start_step else None
            devices = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
            seed_(seed, devices)  # making a Trainer has seeded the process by args.seed
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
            _finish(folder)

    def evaluate(self, model: nn.Module) -> float:
        with self._made(model) as trainer:
            _check_can_evaluate(trainer)
            found = trainer.evaluate()
        if self.metric not in found:
            raise UsageError(
                f"metric: trainer.evaluate() gives no {self.metric!r}{nearest(self.metric, found)}"
            )
        return float(found[self.metric])

    @contextmanager
    def _made(self, model: nn.Module) -> Iterator[Trainer]:
        trainer = self.make_trainer(model)
        _check_trainer(trainer, model)
        trainer.args = copy.copy(trainer.args)  # the user may pass the same to all Trainers
        own = {name: vars(model)[name] for name in _ACCELERATES if name in vars(model)}
        try:
            yield trainer
        finally:
            trainer.accelerator.free_memory()
            # mixed precision has wrapped the model's forward, and would once more at each level
            for name in _ACCELERATES:
                vars(model).pop(name, None)
            vars(model).update(own)

    def _is_open(self, folder: Path) -> bool:
        return self.resume and not (folder / _FINISHED).exists()

    def _folder(self, trainer: Trainer, mask: PruningMask, seed: int, start_step: int) -> Path:
        """A folder for this very training, so that no other goes on from its checkpoints."""
        recipe = {k: v for k, v in trainer.args.to_dict().items() if k not in _NO_RECIPE}
        told = {
            "weights": weights_sha256(trainer.model.state_dict()),  # type: ignore[union-attr]
            "mask": _checkpoint.digest(mask.to_bytes()),
            "seed": seed,
            "start_step": start_step,
            "args": recipe,
            "code": code_of(make_trainer=self.make_trainer),
        }
        text = json.dumps(told, sort_keys=True, default=str)
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
        return Path(str(trainer.args.output_dir)) / f"training-{name}"


class _StartsAt(TrainerCallback):
    """Puts the schedule of learning rates where a training starts that was rewound to step k."""

    def __init__(self, step: int, folder: Path) -> None:
        self._step, self._folder = step, folder

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        schedule = kwargs["lr_scheduler"]
        shutil.rmtree(self._folder, ignore_errors=True)  # it was loaded
        if self._step >= state.max_steps:
            raise UsageError(
                f"the pipeline starts a training at step {self._step}, and the Trainer ends at "
                f'{state.max_steps}: raise max_steps, or take pipeline "lr_rewind"'
            )
        if hasattr(schedule, "_reset") or not hasattr(schedule, "base_lrs"):
            raise UsageError(
                f"{type(schedule).__name__} follows a metric, so that nobody knows the learning "
                f"rate of step {self._step} but by training to there; take a schedule of steps"
            )
        state.compute_steps(args, state.max_steps)
        with warnings.catch_warnings():
            # the optimiser's steps were made in another training
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            for _ in range(self._step):
                schedule.step()


def _begun_at(trainer: Trainer, step: int, folder: Path) -> Path:
    """A checkpoint of a training that has made so many steps, with the model as it is."""
    start = folder / "start"
    trainer.save_model(str(start))
    trainer.add_callback(_StartsAt(step, start))
    callbacks = [*trainer.callback_handler.callbacks, trainer.control]
    state = TrainerState(
        global_step=step,
        train_batch_size=trainer.args.train_batch_size,
        stateful_callbacks=[each for each in callbacks if isinstance(each, ExportableState)],  # type: ignore[misc]
    )
    for name in ("logging_steps", "eval_steps", "save_steps"):
        setattr(state, name, getattr(trainer.args, name))
    state.save_to_json(str(start / "trainer_state.json"))
    return start


def _finish(folder: Path) -> None:
    """A training has ended: its checkpoints go, since the finder keeps what came of it.

    The mark is written first: a kill between the two leaves no checkpoint to go on from.
    """
    if not folder.is_dir():  # it had nothing to save
        return
    (folder / _FINISHED).touch()
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint, ignore_errors=True)
    if [path.name for path in folder.iterdir()] == [_FINISHED]:
        shutil.rmtree(folder, ignore_errors=True)


def _check_can_evaluate(trainer: Trainer) -> None:
    """Raises `UsageError` where `evaluate` has nothing to go by, unless it is the user's own."""
    own = (type(trainer).evaluate, type(trainer).get_eval_dataloader)
    is_plain = own == (Trainer.evaluate, Trainer.get_eval_dataloader)
    if is_plain and trainer.eval_dataset is None:
        raise UsageError(
            "make_trainer: its Trainer has no eval_dataset, which eval_fn evaluates on: "
            "Trainer(model=model, eval_dataset=…, …)"
        )


def _check_trainer(trainer: object, model: nn.Module) -> None:
    if not isinstance(trainer, Trainer):
        raise UsageError(
            f"make_trainer: returned a {type(trainer).__name__}, wanted a transformers.Trainer"
        )
    if trainer.model_init is not None or trainer.model is not model:
        raise UsageError(
            "make_trainer: its Trainer trains another model than it was given; pass that on, "
            "Trainer(model=model, …), and no model_init"
        )
    if trainer.args.auto_find_batch_size:
        raise UsageError(
            "make_trainer: auto_find_batch_size starts a training again from the weights that the "
            "abandoned attempt has left, not from those it was rewound to; leave it out, and "
            "choose per_device_train_batch_size"
        )
    if any(isinstance(each, PruningCallback) for each in trainer.callback_handler.callbacks):
        raise UsageError(
            "make_trainer: its Trainer has a PruningCallback; leave it out: the search holds a mask"
        )
