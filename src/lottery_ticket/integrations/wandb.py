"""Weights & Biases: a project for each spec, a group for the run, and in it a run for each arm and
replicate.

A run that goes on online is resumed by its id. Offline, each call writes all of it anew under the
same id: the newest folder is the whole run, and the one to sync.
"""

import contextlib
import hashlib
import netrc
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.extras import imported
from lottery_ticket.streams import StandardError
from lottery_ticket.tracking import TrackedRun

__all__ = ["WandbTracker"]

_OFFLINE = ("offline", "dryrun", "disabled")
_SERVICE = "WANDB_SERVICE"
_HOST = "api.wandb.ai"  # of keys that were kept when that was the default
_AXES = {"training/*": "training/step", "level/*": "level/level"}


@dataclass
class _Open:
    """A run that is open: wandb's, how many rows it has, and of how many it was told since.."""

    run: Any
    num_there: int
    num_told: int = 0


class WandbTracker:
    """Tracks runs with Weights & Biases.

    Args:
        where: `PROJECT` or `ENTITY/PROJECT`; else `$WANDB_PROJECT`, else the spec's name.

    Raises:
        UsageError: wandb is not installed, or nobody is logged in.
    """

    patience_seconds = 120.0  # a run is begun and ended over a network

    def __init__(self, where: str | None = None) -> None:
        self._wandb = imported("wandb", "wandb", "--track wandb")
        entity, slash, project = (where or "").rpartition("/")
        if slash and not (entity and project):
            raise UsageError(f"--track wandb={where}: wanted PROJECT or ENTITY/PROJECT")
        self._entity, self._project = entity or None, project or os.environ.get("WANDB_PROJECT")
        self.place = (self._entity, self._project)
        settings = _settings(self._wandb)
        self._is_online = settings.mode not in _OFFLINE
        if self._is_online and not _is_logged_in(settings, self._wandb.Settings().base_url):
            raise UsageError(
                "--track wandb: nobody is logged in here; call `wandb login`, or set "
                "WANDB_API_KEY, or WANDB_MODE=offline and sync later"
            )
        self._open: dict[str, _Open] = {}

    def start(self, run: TrackedRun) -> list[tuple[str, int]]:
        """Go on with the run of this id, or begin it; returns the step of its last row.

        A row's step is its number, for what is told of a run is always told in one order: so many
        rows as it has are left out.
        """
        begun = self._begun(run)
        if run.is_whole and self._is_online and begun.url:
            StandardError().write(f"track wandb: {begun.url}\n")
        for metrics, axis in _AXES.items():
            begun.define_metric(metrics, step_metric=axis)
        self._open[run.id] = _Open(begun, begun.step)
        return [("_step", begun.step - 1)] if begun.step else []

    def log(self, run: TrackedRun, values: dict[str, float], step: int) -> None:
        """Add a row."""
        there = self._open[run.id]
        number, there.num_told = there.num_told, there.num_told + 1
        if number > there.num_there:  # it would be the last word on all before it
            raise LotteryError("a row before it is missing, which wandb would not take later")
        if number == there.num_there:
            is_level = any(name.startswith("level/") for name in values)
            axis = "level/level" if is_level else "training/step"
            there.run.log({**values, axis: step}, step=number)
            there.num_there += 1

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
        quiet = {"console": "off", "silent": True, "save_code": False, "x_disable_stats": True}
        with _as_it_was():
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
                settings=self._wandb.Settings(**quiet),
            )


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """A block after which wandb sees nothing of how this process ends, and processes that this one
    starts do not share its service."""
    before, service = (sys.exit, sys.excepthook), os.environ.get(_SERVICE)
    try:
        yield
    finally:
        sys.exit, sys.excepthook = before
        if service is None:
            os.environ.pop(_SERVICE, None)
        else:
            os.environ[_SERVICE] = service


def _id(own: str) -> str:
    """What wandb takes for an id.

    >>> _id("demo-1a2b-my arm-0")
    'demo-1a2b-my_arm-0'
    """
    found = re.sub("[^A-Za-z0-9._-]", "_", own)
    if len(found) <= 64:
        return found
    return f"{found[:47]}-{hashlib.sha256(own.encode()).hexdigest()[:16]}"


def _settings(wandb: Any) -> Any:
    """What wandb's settings are by its files and the environment; nothing is started or printed."""
    found = wandb.Settings(silent=True)
    folder = os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"
    found.settings_system = str(Path(folder).expanduser() / "settings")
    for kind in ("system_settings", "system_config_file", "workspace_config_file"):
        read = getattr(found, f"update_from_{kind}", None)  # which there is depends on the version
        if read is not None:
            read()
    found.update_from_env_vars(dict(os.environ))
    return found


def _is_logged_in(settings: Any, default: str) -> bool:
    """Whether wandb would find a key of its server without asking for one."""
    if settings.api_key or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    hosts = {urlsplit(str(settings.base_url)).netloc}
    if settings.base_url == default:
        hosts.add(_HOST)
    given = os.environ.get("NETRC")
    for file in [given] if given else ["~/.netrc", "~/_netrc"]:
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            found = netrc.netrc(str(Path(file).expanduser()))
            if any(found.authenticators(host) for host in hosts):
                return True
    return False
