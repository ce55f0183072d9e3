"""MLflow: an experiment for each spec; in it the run, with each arm and replicate nested below.

By its client alone, so that nothing is the matter with a run of the user's own that is active.
"""

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.extras import imported
from lottery_ticket.process import environment_kept
from lottery_ticket.tracking import TrackedRun

__all__ = ["MlflowTracker"]

_ID, _GROUP, _NOTE = "lottery_id", "lottery_run", "mlflow.note.content"
_LOUD = ("alembic",)  # what MLflow makes quiet for the whole process
_PARENT = "mlflow.parentRunId"
_MOST_PARAMS, _MOST_METRICS = 100, 500  # in one request
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


class MlflowTracker:
    """Tracks runs with MLflow.

    Args:
        where: a tracking URI, such as `http://127.0.0.1:5000` or `sqlite:///mlflow.db`; else
            `$MLFLOW_TRACKING_URI`, else what MLflow does by default. The experiment is called as
            the spec, or `$MLFLOW_EXPERIMENT_NAME`.

    Raises:
        UsageError: MLflow, or what it needs for this place, is not installed.
    """

    send_seconds = 5.0  # how long values may wait to be sent with others

    def __init__(self, where: str | None = None) -> None:
        with _as_it_was():
            mlflow = imported("mlflow", "mlflow", "--track mlflow")
        uri = where or mlflow.get_tracking_uri()
        if str(uri).partition(":")[0].partition("+")[0] in _DATABASES and not _has_databases():
            raise UsageError(
                "--track mlflow: a database wants sqlalchemy and alembic, not installed here: "
                "pip install 'lottery-ticket[mlflow]', or name a server, mlflow=http://…"
            )
        self.place = (_spelled(str(uri)),)
        with _as_it_was():
            self._client = mlflow.MlflowClient(str(uri))
        self._metric = imported("mlflow.entities", "mlflow", "--track mlflow").Metric
        self._ids: dict[str, str] = {}  # ours → MLflow's
        self._held: dict[str, list[Any]] = {}  # metrics that are sent together
        self._sent_at: dict[str, float] = {}

    def start(self, run: TrackedRun) -> set[tuple[str, int]]:
        """Go on with the run of this id, or begin it; returns what it has."""
        experiment = self._experiment(run)
        found = self._found(experiment, run) or self._begun(experiment, run)
        self._ids[run.id], self._held[run.id] = found.info.run_id, []
        self._sent_at[run.id] = time.monotonic()
        self._client.update_run(found.info.run_id, status="RUNNING")
        self._add_params(run, found.data.params)
        return set(self._logged(found))

    def log(self, run: TrackedRun, values: dict[str, float], step: int) -> None:
        """Take values; they are sent with others of some seconds, or of their level."""
        now, held = int(time.time() * 1000), self._held[run.id]
        held += [self._metric(name, float(value), now, step) for name, value in values.items()]
        is_due = time.monotonic() - self._sent_at[run.id] > self.send_seconds
        if is_due or len(held) > _MOST_METRICS or any(n.startswith("level/") for n in values):
            self._send(run)

    def artifact(self, run: TrackedRun, name: str, path: Path) -> None:
        """Store a file; the verdict is the run's description, too."""
        folder = str(PurePosixPath(name).parent)
        target = None if folder == "." else folder
        self._client.log_artifact(self._ids[run.id], str(path), target)
        if name == "verdict.txt":
            self._client.set_tag(self._ids[run.id], _NOTE, path.read_text(encoding="utf-8"))

    def finish(self, run: TrackedRun, is_complete: bool) -> None:
        """Say that nothing more comes for now."""
        self._send(run)
        status = "FINISHED" if is_complete else "KILLED"
        self._client.set_terminated(self._ids[run.id], status)

    def _experiment(self, run: TrackedRun) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or run.experiment
        found = self._client.get_experiment_by_name(name)
        return self._client.create_experiment(name) if found is None else found.experiment_id

    def _found(self, experiment: str, run: TrackedRun) -> Any:
        of_group = f"tags.{_GROUP} = '{run.group}'"
        token: str | None = None
        while True:
            page = self._client.search_runs([experiment], of_group, page_token=token)
            for each in page:
                if each.data.tags.get(_ID) == run.id:
                    return each
            token = page.token
            if not token:
                return None

    def _begun(self, experiment: str, run: TrackedRun) -> Any:
        tags = {_ID: run.id, _GROUP: run.group}
        if not run.is_whole:
            tags |= {
                _PARENT: self._ids[run.group],
                "lottery_arm": str(run.arm),
                "lottery_replicate": str(run.replicate),
            }
        return self._client.create_run(experiment, run_name=run.name, tags=tags)

    def _add_params(self, run: TrackedRun, known: dict[str, str]) -> None:
        """Those that are new: MLflow lets none be changed."""
        param = imported("mlflow.entities", "mlflow", "--track mlflow").Param
        new = [param(name, str(v)) for name, v in run.params.items() if name not in known]
        for first in range(0, len(new), _MOST_PARAMS):
            chunk = new[first : first + _MOST_PARAMS]
            self._client.log_batch(self._ids[run.id], params=chunk)

    def _logged(self, found: Any) -> Iterator[tuple[str, int]]:
        for name in found.data.metrics:
            for metric in self._client.get_metric_history(found.info.run_id, name):
                yield name, metric.step

    def _send(self, run: TrackedRun) -> None:
        held = self._held[run.id]
        while held:  # what could not be sent is sent with what comes next
            self._client.log_batch(self._ids[run.id], metrics=held[:_MOST_METRICS])
            del held[:_MOST_METRICS]
        self._sent_at[run.id] = time.monotonic()


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """A block after which the environment is as it was, and how loud others' loggers are."""
    levels = {logger: logger.level for logger in map(logging.getLogger, _LOUD)}
    with environment_kept():
        try:
            yield
        finally:
            for logger, level in levels.items():
                logger.setLevel(level)


def _spelled(uri: str) -> str:
    """A tracking URI as all that mean one place are spelled.

    >>> _spelled("http://127.0.0.1:5000/") == _spelled("http://127.0.0.1:5000")
    True
    """
    scheme, has_scheme, path = uri.rstrip("/").partition("://")
    if not has_scheme:
        scheme, path = "file", scheme.removeprefix("file:")
    if scheme == "file":
        return f"file://{Path(path).resolve()}"
    if scheme.startswith("sqlite"):
        return f"{scheme}:///{Path(path.removeprefix('/')).resolve()}"
    return f"{scheme}://{path}"


def _has_databases() -> bool:
    return all(find_spec(name) is not None for name in ("sqlalchemy", "alembic"))
