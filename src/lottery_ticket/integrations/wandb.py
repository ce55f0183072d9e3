"""Weights & Biases: a project for each spec, a group for the run, and in it a run for each arm and
replicate.

A run that goes on online is resumed by its id. Offline, each call writes all of it anew under the
same id: the newest folder is the whole run, and the one to sync.
"""

import hashlib
import importlib
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.streams import StandardError
from lottery_ticket.tracking import TrackedRun

__all__ = ["WandbTracker"]

_OFFLINE = ("offline", "dryrun", "disabled")
_AXES = {"training/*": "training/step", "level/*": "level/level"}


@dataclass
class _Open:
    """A run that is open: wandb's, and the step that its next row may have at least."""

    run: Any
    first: int
    last: int = 0
    has_training: bool = False


class WandbTracker:
    """Tracks runs with Weights & Biases.

    Args:
        where: `PROJECT` or `ENTITY/PROJECT`; else `$WANDB_PROJECT`, else the spec's name.

    Raises:
        UsageError: wandb is not installed, or nobody is logged in.
    """

    patience_seconds = 120.0  # a run is begun and ended over a network

    def __init__(self, where: str | None = None) -> None:
        self._wandb = _imported()
        entity, slash, project = (where or "").rpartition("/")
        if slash and not (entity and project):
            raise UsageError(f"--track wandb={where}: wanted PROJECT or ENTITY/PROJECT")
        self._entity, self._project = entity or None, project or os.environ.get("WANDB_PROJECT")
        self._is_online = os.environ.get("WANDB_MODE", "online") not in _OFFLINE
        if self._is_online and not _is_logged_in(self._wandb):
            raise UsageError(
                "--track wandb: nobody is logged in here; call `wandb login`, or set "
                "WANDB_API_KEY, or WANDB_MODE=offline and sync later"
            )
        self._open: dict[str, _Open] = {}

    def start(self, run: TrackedRun) -> None:
        """Go on with the run of this id, or begin it; what it has is skipped by its steps."""
        begun = self._begun(run)
        if run.is_whole and self._is_online and begun.url:
            StandardError().write(f"track wandb: {begun.url}\n")
        for metrics, axis in _AXES.items():
            begun.define_metric(metrics, step_metric=axis)
        self._open[run.id] = _Open(begun, begun.step)

    def log(self, run: TrackedRun, values: dict[str, float], step: int) -> None:
        """Add a row; that of a level is part of the last of its training."""
        there = self._open[run.id]
        if any(name.startswith("level/") for name in values):
            at, row = (there.last if there.has_training else step), {"level/level": step}
        else:
            at, row, there.has_training = step, {"training/step": step}, True
        there.last = max(at, there.last)
        if there.last >= there.first:
            there.run.log({**values, **row}, step=there.last)

    def artifact(self, run: TrackedRun, name: str, path: Path) -> None:
        """Keep a file with the run; the verdict is in its summary, figures among its media."""
        to = self._open[run.id].run
        key = str(Path(name).with_suffix(""))
        if path.suffix == ".txt":
            to.summary[key] = path.read_text(encoding="utf-8")
        elif path.suffix == ".png":
            if to.summary.get(key) is None:  # a run that goes on has it
                to.log({key: self._wandb.Image(str(path))})
        else:
            target = Path(to.dir) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            to.save(str(target), base_path=to.dir, policy="now")

    def finish(self, run: TrackedRun, is_complete: bool) -> None:
        """End the run, once all of it is sent."""
        self._open.pop(run.id).run.finish(exit_code=0 if is_complete else 1)

    def _begun(self, run: TrackedRun) -> Any:
        before = sys.exit, sys.excepthook
        try:
            return self._wandb.init(
                entity=self._entity,
                project=self._project or run.experiment,
                id=_id(run.id),
                name=run.id,
                group=run.group,
                job_type="run" if run.is_whole else run.arm,
                config=dict(run.params),
                resume="allow",
                reinit="create_new",  # the user's own run stays the one that is active
                settings=self._wandb.Settings(
                    console="off", silent=True, save_code=False, x_disable_stats=True
                ),
            )
        finally:
            sys.exit, sys.excepthook = before  # it would see how this process ends


def _id(own: str) -> str:
    """What wandb takes for an id.

    >>> _id("demo-1a2b-my arm-0")
    'demo-1a2b-my_arm-0'
    """
    found = re.sub("[^A-Za-z0-9._-]", "_", own)
    if len(found) <= 64:
        return found
    return f"{found[:47]}-{hashlib.sha256(own.encode()).hexdigest()[:16]}"


def _is_logged_in(wandb: Any) -> bool:
    """Whether wandb would find a key without asking for one; this reads none."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    files = [os.environ.get("NETRC") or "~/.netrc", "~/_netrc"]
    if any(Path(file).expanduser().is_file() for file in files):
        return True
    settings = getattr(wandb, "api", None)  # where a key in its settings is seen
    return settings is None or bool(settings.api_key)


def _imported() -> Any:
    try:
        return importlib.import_module("wandb")
    except ImportError:
        raise UsageError(
            "--track wandb needs wandb, not installed here: pip install 'lottery-ticket[wandb]'"
        ) from None
