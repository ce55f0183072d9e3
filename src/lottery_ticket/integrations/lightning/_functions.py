"""`lightning_functions`: the finder drives a Trainer."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import UsageError, known_keywords
from lottery_ticket.integrations.lightning._finder_fit import FinderFit
from lottery_ticket.integrations.lightning._library import pytorch
from lottery_ticket.integrations.lightning._trainer import check_strategy
from lottery_ticket.masks import Attachment, PruningMask

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
    checkpoints: str | os.PathLike[str] | None = None,
) -> dict[str, Callable[..., Any]]:
    """`train_fn` and `eval_fn` for `LotteryTicketFinder`, which train and validate with Lightning.

    Each training has a Trainer of its own. One that starts at step k starts there in epochs,
    learning rates and data, as Lightning does from a checkpoint.

    Args:
        make_trainer: makes a new Trainer each time, such as `lambda: Trainer(max_epochs=5)`.
        datamodule, train_dataloaders, val_dataloaders: as `Trainer.fit` takes them; without any,
            the model's own.
        metric: what the model's validation logs, for `eval_fn`; a loss with `mode="min"` of the
            finder.
        checkpoints: a folder for Lightning's checkpoints, one at the end of each epoch of the
            training under way. One that was killed goes on from there, with the same data order;
            what is finished `resume=` of the finder keeps. None for none.

    Returns:
        `{"train_fn": …, "eval_fn": …}`, for `find_winning_ticket(**…)` and `verify(**…)`.

    Raises:
        UsageError: `make_trainer` cannot be called, or data are given twice; Lightning is missing.

    >>> finder = LotteryTicketFinder(model_fn=MyLightningModule)  # doctest: +SKIP
    >>> functions = lightning_functions(make_trainer, datamodule)  # doctest: +SKIP
    >>> finder.find_winning_ticket(**functions, target_sparsity=0.9)  # doctest: +SKIP
    """
    pytorch()
    if not callable(make_trainer) or isinstance(make_trainer, pytorch().Trainer):
        raise UsageError(
            f"make_trainer: got a {type(make_trainer).__name__}, wanted a function that makes a "
            "new Trainer each time: lambda: Trainer(max_epochs=5)"
        )
    if datamodule is not None and (train_dataloaders is not None or val_dataloaders is not None):
        raise UsageError("give datamodule, or train_dataloaders and val_dataloaders")
    folder = None if checkpoints is None else Path(checkpoints)
    trainers = _Trainers(make_trainer)
    data = {"datamodule": datamodule}
    for_fit = data | {"train_dataloaders": train_dataloaders, "val_dataloaders": val_dataloaders}

    def train_fn(
        model: nn.Module,
        mask: PruningMask,
        start_step: int = 0,
        *,
        attached: Attachment,
    ) -> None:
        trainer = trainers.new()
        fit = FinderFit(attached, start_step)
        trainer.callbacks.insert(0, fit)
        path = None
        if folder is not None:
            path = _folder_of(folder, model, mask, start_step)
            _remove_others(folder, path)
            trainer.callbacks.append(_saver(path))
        is_begun = path is not None and (path / _CHECKPOINT).is_file()
        where = str(path / _CHECKPOINT) if path is not None and is_begun else None
        trainer.fit(model, **for_fit, ckpt_path=where)
        fit.check()

    def eval_fn(model: nn.Module) -> float:
        logged = trainers.new().validate(model, val_dataloaders, **data, verbose=False)
        return _logged(metric, logged)

    return {"train_fn": train_fn, "eval_fn": eval_fn}


class _Trainers:
    """Makes Trainers with the user's function, each of them once."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._last = make, None

    def new(self) -> Any:
        trainer = self._make()
        if not isinstance(trainer, pytorch().Trainer):
            raise UsageError(
                f"make_trainer returned a {type(trainer).__name__}, wanted a Lightning Trainer"
            )
        if trainer is self._last:
            raise UsageError(
                "make_trainer returned the Trainer that it returned before, which has trained "
                "already and would stop at once; let it make a new one each time"
            )
        self._last = trainer
        check_strategy(trainer)
        if trainer.world_size > 1:
            raise UsageError(
                f"make_trainer: the Trainer has {trainer.world_size} processes, each of which "
                "would search for itself; the finder takes Trainer(devices=1), and "
                'LotteryTicketCallback works with strategy="ddp"'
            )
        return trainer


def _logged(metric: str, logged: list[dict[str, Any]]) -> float:
    for of_loader in logged:
        if metric in of_loader:
            return float(of_loader[metric])
    names = sorted({name for of_loader in logged for name in of_loader})
    raise UsageError(
        f"metric: validation logged no {metric!r}; it logged {', '.join(names) or 'nothing'}: "
        "self.log(…) in validation_step"
    )


def _folder_of(folder: Path, model: nn.Module, mask: PruningMask, start_step: int) -> Path:
    """A folder for one training: named by its first weights, mask, step and random stream, so that
    no training goes on from another one's checkpoint."""
    digest = hashlib.sha256(mask.to_bytes())
    for name, value in model.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    digest.update(f"{start_step} {torch.initial_seed()}".encode())
    return folder / f"training-{digest.hexdigest()[:16]}"


def _remove_others(folder: Path, own: Path) -> None:
    """The trainings before this one are finished: the finder has what came of them."""
    for other in folder.glob("training-*"):
        if other != own and (other / _CHECKPOINT).is_file():
            shutil.rmtree(other, ignore_errors=True)


def _saver(folder: Path) -> Any:
    name = _CHECKPOINT.removesuffix(".ckpt")
    return pytorch().callbacks.ModelCheckpoint(
        dirpath=folder,
        filename=name,
        save_top_k=1,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
