"""`lightning_functions`: the finder drives a Trainer."""

import hashlib
import inspect
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import DataError, UsageError, known_keywords
from lottery_ticket.integrations.lightning._finder_fit import FinderFit
from lottery_ticket.integrations.lightning._library import (
    check_is_installed,
    package_of,
    warn_if_inexact,
)
from lottery_ticket.integrations.lightning._recipe import recipe_of
from lottery_ticket.integrations.lightning._trainer import check_strategy, with_memory
from lottery_ticket.masks import Attachment, PruningMask
from lottery_ticket.metric_names import Direction, mode_of
from lottery_ticket.tickets import weights_sha256

__all__ = ["lightning_functions"]

_CHECKPOINT = "training.ckpt"


@known_keywords("lightning_functions")
def lightning_functions(
    make_trainer: Callable[[], Any],
    datamodule: Any = None,
    *,
    train_dataloaders: Any = None,
    val_dataloaders: Any = None,
    metric: str = "val_acc",
    mode: str | None = None,
    checkpoints: str | os.PathLike[str] | None = None,
) -> dict[str, Callable[..., Any]]:
    """`train_fn` and `eval_fn` for `LotteryTicketFinder`, which train and validate with Lightning.

    Each training has a Trainer of its own. One that starts at step k starts there in epochs,
    learning rates and data, as Lightning does from a checkpoint.

    Args:
        make_trainer: makes a new Trainer each time, such as `lambda: Trainer(max_epochs=5)`.
        datamodule, train_dataloaders, val_dataloaders: as `Trainer.fit` takes them; without any,
            the model's own.
        metric: what the model's validation logs, for `eval_fn`.
        mode: `"max"` if a higher value of it is better, else `"min"`; by default `"min"` where its
            name is that of a loss, an error or a perplexity. The finder's `mode` is held against
            it.
        checkpoints: a folder for Lightning's checkpoints, one at the end of each epoch of the
            training under way. One that was killed goes on from there, with the same data order;
            what is finished `resume=` of the finder keeps. None for none. One that was trained by
            other code, hyperparameters or limits of the Trainer is begun anew, and by another
            optimiser or learning rate refused; other data are not seen.

    Returns:
        `{"train_fn": …, "eval_fn": …}`, for `find_winning_ticket(**…)` and `verify(**…)`.

    Raises:
        UsageError: `make_trainer` cannot be called, or data are given twice; Lightning is missing.
        DataError: the folder cannot be written.

    Warns:
        UserWarning: checkpoints, of a Lightning before 2.5.6, whose fits do not go on to the bit.

    >>> finder = LotteryTicketFinder(model_fn=MyLightningModule)  # doctest: +SKIP
    >>> functions = lightning_functions(make_trainer, datamodule)  # doctest: +SKIP
    >>> finder.find_winning_ticket(**functions, target_sparsity=0.9)  # doctest: +SKIP
    """
    check_is_installed()
    if not callable(make_trainer) or package_of(make_trainer) is not None:
        raise UsageError(
            f"make_trainer: got a {type(make_trainer).__name__}, wanted a function that makes a "
            "new Trainer each time: lambda: Trainer(max_epochs=5)"
        )
    if datamodule is not None and (train_dataloaders is not None or val_dataloaders is not None):
        raise UsageError("give datamodule, or train_dataloaders and val_dataloaders")
    chosen = mode_of(metric, mode)
    if checkpoints is not None:
        warn_if_inexact()
    given = {"datamodule": datamodule}
    driver = _Driver(
        _Trainers(make_trainer),
        {"train_dataloaders": train_dataloaders, "val_dataloaders": val_dataloaders, **given},
        {"dataloaders": val_dataloaders, **given},
        metric,
        None if checkpoints is None else _made(checkpoints),
    )
    return driver.functions(chosen)


@dataclass(frozen=True)
class _Driver:
    """Trains and validates with Trainers, as the finder asks for it.

    Args:
        trainers: makes them.
        for_fit, for_validation: data, as `Trainer` takes them.
        metric: what validation logs.
        folder: for checkpoints; None for none.
    """

    trainers: "_Trainers"
    for_fit: Mapping[str, Any]
    for_validation: Mapping[str, Any]
    metric: str
    folder: Path | None

    def functions(self, mode: str) -> dict[str, Callable[..., Any]]:
        """The two, which tell a search whether `make_trainer` has changed, and the mode."""

        def train_fn(
            model: nn.Module, mask: PruningMask, start_step: int = 0, *, attached: Attachment
        ) -> None:
            self.train(model, mask, start_step, attached=attached)

        def eval_fn(model: nn.Module) -> float:
            return self.evaluate(model)

        for function in (train_fn, eval_fn):
            function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
            function.__wrapped__ = self.trainers.make  # type: ignore[attr-defined]
        other = "max" if mode == "min" else "min"
        remedy = f"lightning_functions(…, metric={self.metric!r}, mode={other!r})"
        eval_fn.direction = Direction(self.metric, mode, remedy)  # type: ignore[attr-defined]
        return {"train_fn": train_fn, "eval_fn": eval_fn}

    def train(
        self, model: nn.Module, mask: PruningMask, start_step: int = 0, *, attached: Attachment
    ) -> None:
        """`train_fn`: a fit, or the rest of one that was killed."""
        trainer = self.trainers.new()
        fit = FinderFit(attached, start_step)
        trainer.callbacks.insert(0, fit)
        path = None
        if self.folder is not None:
            recipe = recipe_of(self.trainers.make, trainer, model)
            own = _folder_of(self.folder, model, mask, start_step, recipe)
            _remove_others(self.folder, own)
            trainer.callbacks.append(_saver(trainer, own))
            path = own / _CHECKPOINT
        is_begun = path is not None and path.is_file()
        trainer.fit(model, **self.for_fit, ckpt_path=str(path) if is_begun else None)
        fit.check()

    def evaluate(self, model: nn.Module) -> float:
        """`eval_fn`: what validation logs."""
        logged = self.trainers.new().validate(model, **self.for_validation, verbose=False)
        return _logged(self.metric, logged)


class _Trainers:
    """Makes Trainers with the user's function, each of them once."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make, self._last = make, None
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def new(self) -> Any:
        trainer = self.make()
        if package_of(trainer) is None:
            raise UsageError(
                f"make_trainer returned a {type(trainer).__name__}, wanted a Lightning Trainer"
            )
        if trainer is self._last:
            raise UsageError(
                "make_trainer returned the Trainer that it returned before, which has trained "
                "already and would stop at once; let it make a new one each time"
            )
        self._last = trainer
        self._check_callbacks(trainer)
        check_strategy(trainer)
        if trainer.world_size > 1:
            raise UsageError(
                f"make_trainer: the Trainer has {trainer.world_size} processes, each of which "
                "would search for itself; the finder takes Trainer(devices=1), and "
                'LotteryTicketCallback works with strategy="ddp"'
            )
        return trainer

    def _check_callbacks(self, trainer: Any) -> None:
        for each in with_memory(trainer.callbacks):
            if each in self._seen:
                raise UsageError(
                    f"make_trainer: its {type(each).__name__} was in an earlier Trainer already, "
                    "and remembers that; let make_trainer make a new one each time, too"
                )
            self._seen.add(each)


def _logged(metric: str, logged: list[dict[str, Any]]) -> float:
    for of_loader in logged:
        if metric in of_loader:
            return float(of_loader[metric])
    names = sorted({name for of_loader in logged for name in of_loader})
    raise UsageError(
        f"metric: validation logged no {metric!r}; it logged {', '.join(names) or 'nothing'}: "
        "self.log(…) in validation_step"
    )


def _made(checkpoints: str | os.PathLike[str]) -> Path:
    """The folder for checkpoints, which is known to work before anything trains."""
    if not isinstance(checkpoints, str | os.PathLike) or not os.fspath(checkpoints):
        raise UsageError(f"checkpoints: got {checkpoints!r}, wanted a folder")
    folder = Path(checkpoints)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise DataError(f"checkpoints: {folder}: {error.strerror}; choose another folder") from None
    return folder


def _folder_of(
    folder: Path, model: nn.Module, mask: PruningMask, start_step: int, recipe: str
) -> Path:
    """A folder for one training: named by its first weights, mask, step, random stream and recipe,
    so that no training goes on from another one's checkpoint."""
    digest = hashlib.sha256(mask.to_bytes())
    weights = weights_sha256(model.state_dict())
    digest.update(f"{weights} {recipe} {start_step} {torch.initial_seed()}".encode())
    return folder / f"training-{digest.hexdigest()[:16]}"


def _remove_others(folder: Path, own: Path) -> None:
    """The trainings before this one are finished: the finder has what came of them."""
    for other in folder.glob("training-*"):
        if other != own and (other / _CHECKPOINT).is_file():
            shutil.rmtree(other, ignore_errors=True)


def _saver(trainer: object, folder: Path) -> Any:
    name = _CHECKPOINT.removesuffix(".ckpt")
    return package_of(trainer).callbacks.ModelCheckpoint(
        dirpath=folder,
        filename=name,
        save_top_k=1,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
