"""Trackio: a project for each spec, a group for the run, and in it a run for each arm and
replicate."""

import contextlib
import contextvars
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lottery_ticket.extras import imported
from lottery_ticket.tracking import TrackedRun

__all__ = ["TrackioTracker"]

_PRINTING = ("trackio", "trackio.run", "trackio.utils")


class TrackioTracker:
    """Tracks runs with Trackio: on this machine (`trackio show`), or on a Space.

    Args:
        where: a Space, `USER/NAME`, or the address of a server; by default on this machine, in
            `$TRACKIO_DIR`.

    Raises:
        UsageError: Trackio is not installed.
    """

    def __init__(self, where: str | None = None) -> None:
        self._trackio = imported("trackio", "trackio", "--track trackio")
        is_address = where is not None and where.startswith(("http://", "https://"))
        self._where = {} if where is None else {"server_url" if is_address else "space_id": where}
        self.place = (where and where.rstrip("/"),) if where else ("here",)
        self._runs: dict[str, Any] = {}
        self._has: dict[str, set[str]] = {}

    def start(self, run: TrackedRun) -> set[tuple[str, int]]:
        """Go on with the run of this name, or begin it; returns what it has."""
        # in a context of its own, which a user's own run is none of
        begun = contextvars.Context().run(self._begun, run)
        self._runs[run.id] = begun
        values = set() if self._where else _logged(run.experiment, begun)
        self._has[run.id] = {name for name, _ in values}
        return values

    def log(self, run: TrackedRun, values: dict[str, float], step: int) -> None:
        """Add values."""
        self._runs[run.id].log(dict(values), step=step)

    def artifact(self, run: TrackedRun, name: str, path: Path) -> None:
        """Figures and the verdict go among the media, other files among the artifacts."""
        key, to = str(Path(name).with_suffix("")), self._runs[run.id]
        if path.suffix in (".txt", ".png"):
            if key not in self._has[run.id]:
                text = path.suffix == ".txt" and path.read_text(encoding="utf-8")
                shown = self._trackio.Markdown(text) if text else self._trackio.Image(str(path))
                to.log({key: shown}, step=0)
        else:
            to.log_artifact(str(path), name=f"{run.group}-{path.name}", type=path.stem)

    def finish(self, run: TrackedRun, is_complete: bool) -> None:
        """Write what is left."""
        with _silent():
            self._runs.pop(run.id).finish()

    def _begun(self, run: TrackedRun) -> Any:
        before = self._trackio.config
        try:
            with _silent():
                return self._trackio.init(
                    project=run.experiment,
                    name=run.id,
                    group=run.group,
                    config=dict(run.params),
                    resume="allow",
                    embed=False,
                    auto_log_gpu=False,
                    auto_log_cpu=False,
                    **self._where,
                )
        finally:
            self._trackio.config = before


def _logged(project: str, run: Any) -> set[tuple[str, int]]:
    """(name, step) of all that a run on this machine has."""
    storage = imported("trackio.sqlite_storage", "trackio", "--track trackio").SQLiteStorage
    takes_id = "run_id" in inspect.signature(storage.get_logs).parameters
    of_run = {"run_id": run.id} if takes_id else {}
    rows = storage.get_logs(project, run.name, **of_run)
    return {
        (name, row["step"]) for row in rows for name in row if name not in ("step", "timestamp")
    }


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """A block in which Trackio prints nothing: what a command prints is for who reads that."""
    modules = [vars(imported(name, "trackio", "--track trackio")) for name in _PRINTING]
    for names in modules:
        names["print"] = lambda *_, **__: None
    try:
        yield
    finally:
        for names in modules:
            names.pop("print", None)
