"""Slurm: an array of workers, which drain before their time ends and go on later.

`submitit` writes the batch script and hears the signal that Slurm sends some time before the end;
the store knows what is left. Each element of the array runs `lottery work` in a process of its own.
"""

import contextlib
import io
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lottery_ticket.errors import LotteryError, StoreError, UsageError
from lottery_ticket.extras import imported
from lottery_ticket.store import LocalStore, Store

__all__ = ["Started", "WorkerArray", "parse_sbatch_options", "parse_time"]

_DRAIN_SECONDS = 90  # before its end a worker is told; Slurm may say so half a minute earlier
_LEAST_MINUTES = 2
_MOST_REQUEUES = 10_000  # submitit wants an end; a run's end comes first
_INTERRUPTED = 130
_OWN_OPTIONS = {
    "array": "--workers says how many",
    "time": "--time says how long",
    "signal": "workers are told to drain before their time ends",
    "nodes": "each worker has one node, and --workers says how many there are",
    "ntasks": "each worker is one task, and --workers says how many there are",
    "ntasks_per_node": "each worker is one task, and --workers says how many there are",
    "output": "logs lie in slurm-logs",
    "error": "logs lie in slurm-logs",
    "open_mode": "the logs of a worker that goes on are continued",
    "requeue": "workers go back into the queue as long as something is left",
    "no_requeue": "workers go back into the queue as long as something is left",
}


def parse_time(text: str) -> int:
    """Minutes of a time as Slurm has it, rounded up as Slurm does.

    Args:
        text: minutes, `M:SS`, `H:MM:SS`, `D-HH`, `D-HH:MM` or `D-HH:MM:SS`.

    Raises:
        UsageError: it is none of these, or too short to work in.

    >>> parse_time("4:00:00"), parse_time("1-12"), parse_time("90")
    (240, 2160, 90)
    """
    total = _seconds_of(text)
    if total is None:
        raise UsageError(
            f"--time {text}: not a time; write H:MM:SS such as 4:00:00, D-HH:MM:SS such as "
            "1-12:00:00, or minutes"
        )
    if total < 60 * _LEAST_MINUTES:
        raise UsageError(
            f"--time {text}: got {total} s, wanted at least {_LEAST_MINUTES} minutes (0:02:00): "
            "a worker begins, and drains before its time ends"
        )
    return math.ceil(total / 60)


def _seconds_of(text: str) -> int | None:
    """Of a time; None if it is none."""
    number = r"(\d{1,9})"
    found = re.fullmatch(rf"(?:{number}-)?{number}(?::{number})?(?::{number})?", text, re.ASCII)
    if found is None:
        return None
    days, *rest = found.groups()
    given = [int(number) for number in rest if number is not None]
    if days is None and len(given) < 3:
        given.insert(0, 0)  # minutes come first
    hours, minutes, seconds = (*given, 0, 0)[:3]
    limits = (24 if days is not None else math.inf, 60 if hours or days else math.inf, 60)
    if any(n >= limit for n, limit in zip((hours, minutes, seconds), limits, strict=True)):
        return None
    return 86400 * int(days or 0) + 3600 * hours + 60 * minutes + seconds


def parse_sbatch_options(given: Sequence[str]) -> dict[str, str | bool]:
    """`["gres=gpu:1", "exclusive"]` → `{"gres": "gpu:1", "exclusive": True}`: long options of
    `sbatch`, as submitit spells them.

    Raises:
        UsageError: one is none, is given twice, or is what the array says itself.
    """
    options: dict[str, str | bool] = {}
    for text in given:
        name, is_valued, value = text.partition("=")
        key = name.replace("-", "_")
        if not re.fullmatch("[a-z][a-z0-9_]*", key) or not (value + "x").isprintable():
            raise UsageError(
                f"--slurm {text!r}: write KEY=VALUE with a long option of sbatch, such as "
                "partition=gpu or gres=gpu:1; KEY alone where it takes no value"
            )
        if key in _OWN_OPTIONS:
            raise UsageError(f"--slurm {text}: leave {name} out; {_OWN_OPTIONS[key]}")
        if key in options:
            raise UsageError(f"--slurm {text}: {name} is given twice")
        options[key] = value if is_valued else True
    return options


@dataclass(frozen=True)
class Started:
    """Workers that were started.

    Args:
        job_id: by which Slurm knows them all.
        folder: where their logs are.
        jobs: submitit's, one of each.
    """

    job_id: str
    folder: Path
    jobs: Sequence[Any]


@dataclass(frozen=True, kw_only=True)
class WorkerArray:
    """An array of workers that are to make one run.

    Args:
        num_workers: how many.
        minutes: how long each of them may run, before it goes back into the queue.
        options: of `sbatch`, as `parse_sbatch_options` gives them.
        work_options: of `lottery work`, such as `["--device", "cuda"]`.
        logs: in which each run has a folder of logs; every node must see it.
        cluster: `"slurm"`, or `"local"` for processes of this machine, which submitit starts.
        drain_seconds: how long before its end a worker is told; by default 90, or a quarter of
            its time.

    Raises:
        UsageError: submitit is not installed, or there would be no worker.
    """

    num_workers: int
    minutes: int
    options: Mapping[str, str | bool] = field(default_factory=dict)
    work_options: Sequence[str] = ()
    logs: Path = Path("slurm-logs")
    cluster: str = "slurm"
    drain_seconds: int | None = None

    def __post_init__(self) -> None:
        _submitit()
        if self.num_workers < 1:
            raise UsageError(f"--workers: got {self.num_workers}, wanted at least 1")

    def check(self, store: Store) -> None:
        """See that workers could be started here, and share the store.

        Raises:
            UsageError: there is no Slurm here, or machines cannot share the store.
        """
        if self.cluster != "slurm":
            return
        missing = [name for name in ("sbatch", "srun") if shutil.which(name) is None]
        if missing:
            raise UsageError(
                f"--slurm: no `{missing[0]}` here; call it where jobs are submitted, or see with "
                "--print-sbatch what would be"
            )
        _check_shared(store)

    def script(self, run_id: str, store: Store) -> str:
        """The batch script that would be submitted.

        Raises:
            UsageError: machines cannot share the store.
        """
        _check_shared(store)
        executor = self._slurm(self._folder(run_id))
        if self.num_workers > 1:
            executor.parameters["map_count"] = self.num_workers
        return executor._make_submission_file_text(executor._submitit_command_str, "")

    def start(self, run_id: str, store: Store) -> Started:
        """Start the workers of a submitted run.

        Raises:
            UsageError: as `check`.
            LotteryError: Slurm refused.
        """
        self.check(store)
        submitit, folder = _submitit(), self._folder(run_id)
        executor = self._local(folder) if self.cluster == "local" else self._slurm(folder)
        where = store.absolute().location
        worker = _Worker(self._command(run_id, where), run_id, where)
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):  # it prints what it raises
                jobs = executor.submit_array([worker] * self.num_workers)
        except submitit.core.utils.UncompletedJobError as error:
            raise LotteryError(
                f"Slurm started no workers ({' '.join(str(error).split())}); {run_id} is "
                "submitted: mend that, and call the same again"
            ) from None
        return Started(jobs[0].job_id.partition("_")[0], folder, jobs)

    def _folder(self, run_id: str) -> Path:
        return (self.logs / run_id).absolute()

    def _command(self, run_id: str, where: str) -> tuple[str, ...]:
        work = (sys.executable, "-m", "lottery_ticket.cli", "work", "--until-empty")
        return (*work, "--run", run_id, "--store", where, *self.work_options)

    def _local(self, folder: Path) -> Any:
        executor = _submitit().LocalExecutor(folder, max_num_timeout=_MOST_REQUEUES)
        executor.update_parameters(timeout_min=self.minutes, signal_delay_s=self._drain_seconds)
        return executor

    def _slurm(self, folder: Path) -> Any:
        class Executor(_submitit().SlurmExecutor):
            @classmethod
            def affinity(cls) -> int:
                return 1  # a script can be written anywhere

        executor = Executor(folder, max_num_timeout=_MOST_REQUEUES)
        options = {"job_name": folder.name, **self.options, "requeue": True}
        cpus = options.get("cpus_per_task")
        executor.update_parameters(
            time=self.minutes,
            signal_delay_s=self._drain_seconds,
            array_parallelism=self.num_workers,
            additional_parameters=options,
            srun_args=[f"--cpus-per-task={cpus}"] if cpus else [],  # srun takes over the others
        )
        return executor

    @property
    def _drain_seconds(self) -> int:
        if self.drain_seconds is not None:
            return self.drain_seconds
        return min(_DRAIN_SECONDS, 60 * self.minutes // 4)


@dataclass
class _Worker:
    """What an element of the array does; submitit keeps it in a file, and calls it where it runs.

    Args:
        command: `lottery work …`.
        run_id, store: what is worked on, and where that is.
    """

    command: Sequence[str]
    run_id: str
    store: str
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def __call__(self) -> None:
        """Work until nothing is left. Ends this process as the worker ended, if it was not well."""
        with _drain_signal_kept_from_children():
            self.process = subprocess.Popen(self.command)
        # leaves it to be waited for by a handler, which comes in between
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        _end_as(self.process.wait())

    def checkpoint(self) -> Any:
        """Called by submitit's handler of the signal: let the worker checkpoint and give back.

        Returns:
            What is to be called after the job was requeued. If nothing is left, this process ends.
        """
        if self.process is not None:
            self.process.terminate()
            code = self.process.wait()
            if code not in (_INTERRUPTED, -signal.SIGTERM):
                _end_as(code)
                sys.exit(0)
        if not _is_left(self.run_id, self.store):
            print(f"nothing is left of {self.run_id}", flush=True)
            sys.exit(0)
        again = _Worker(self.command, self.run_id, self.store)
        return _submitit().helpers.DelayedSubmission(again)


def _end_as(code: int) -> None:
    """End this process as another one ended, unless it was well; without a traceback."""
    if code:
        sys.exit(code if code > 0 else 128 - code)


@contextlib.contextmanager
def _drain_signal_kept_from_children() -> Iterator[None]:
    """Slurm signals every process of a job. What is started here inherits that it is blocked: only
    this process hears it, and asks the others to end."""
    told = {getattr(signal, f"SIG{_submitit().JobEnvironment.USR_SIG}")}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, told)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_left(run_id: str, store: str) -> bool:
    """Whether a worker may find something to do; where the store cannot say, it will see later."""
    from lottery_ticket.workers import status

    try:
        found = status(run_id, store=store)
    except UsageError:  # it was removed
        return False
    except StoreError:
        return True
    is_open = found.is_submitted and not found.is_stopped
    return is_open and bool(found.num_waiting or found.working)


def _check_shared(store: Store) -> None:
    if isinstance(store, LocalStore) and store.claims == "lock":
        raise UsageError(
            f"{store.location}: holds its claims by locks of the operating system, which one node "
            "does not see of another; use a new store with --claims lease, or one on s3://"
        )


def _submitit() -> Any:
    return imported("submitit", "slurm", "--slurm")
