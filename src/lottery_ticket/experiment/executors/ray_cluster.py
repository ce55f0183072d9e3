"""Cells as tasks of a Ray cluster, or of this machine if there is none.

Ray finds a place for each group, and knows when a worker or a machine is gone. What is finished
lasts in the store alone: Ray tries nothing again, and keeps no result.
"""

import contextlib
import functools
import importlib
import logging
import math
import os
import pickle
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from urllib.parse import urlsplit

import cloudpickle

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.experiment.cells.cell import Cell
from lottery_ticket.experiment.executors.context import Context
from lottery_ticket.experiment.executors.execute import execute
from lottery_ticket.experiment.executors.executor import Outcome
from lottery_ticket.experiment.objects.sent_code import SentCode
from lottery_ticket.extras import imported
from lottery_ticket.process import environment_kept

__all__ = ["Ray", "check_ray"]

_QUEUE_SHARE = 0.25  # of what runs at a time, so many more wait at Ray, so that no worker does
_LOOK_SECONDS = 5.0  # how often to look what nodes there are
_HELLO_SECONDS = 300.0  # in which a node's first worker has imported what it needs
_ANSWER_SECONDS = 10.0  # in which a cluster answers at its address
_HOME_SECONDS = 60.0  # in which workers that are asked to stop have come home


def check_ray() -> None:
    """Raise `UsageError` that says how to install Ray where it is missing."""
    imported("ray", "ray", "executor 'ray'")


class Ray:
    """Executes cells in the workers of a Ray cluster.

    A worker that dies takes the cells of one group with it. A node that dies is no fault of its
    cells: they are given back. A Ray that is initialised already is used as it is, with the code
    that it was given; else the user's code is sent from this machine, and who entered leaves.

    Args:
        context: where and how; the device is `"cpu"` or `"cuda"`, of which Ray hands out the cards.
        address: of a cluster; else `$RAY_ADDRESS`, else one on this machine, which is started if
            none is there.
        jobs: groups at a time, at most; None for as many as there is room for.
        per_device: cells on a GPU at a time.

    Raises:
        UsageError: Ray is missing, no cluster answers, it cannot make such cells, or its workers
            do not see the store; all but the first on entering.
    """

    is_isolated = True

    def __init__(
        self,
        context: Context,
        *,
        address: str | None = None,
        jobs: int | None = None,
        per_device: int = 1,
    ) -> None:
        self._ray = imported("ray", "ray", "executor 'ray'")
        self._context, self._address, self._jobs = context, address, jobs
        self._needs = _needs(context, per_device)
        self._open: dict[Future[list[Outcome]], Any] = {}
        self._room, self._looked = 0, -math.inf
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            code = SentCode()
            if not self._ray.is_initialized():
                code = SentCode.of(self._context.imports, self._context.registered)
                undo.enter_context(_connected(self._ray, self._address, code))
            self._check_room()
            self._tell(code)
            self._greet()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        """Wait for what still runs, which was asked to stop if it should; take back the rest."""
        with self._undo:
            refs = list(self._open.values())
            if refs:
                _, left = self._ray.wait(refs, num_returns=len(refs), timeout=_HOME_SECONDS)
                for ref in left:
                    self._ray.cancel(ref)

    @property
    def slots(self) -> int:
        """What the cluster has room for now, and some that wait; the queue is never empty."""
        if time.monotonic() >= self._looked + _LOOK_SECONDS:
            self._room = sum(_fitting(node, self._needs) for node in self._nodes().values())
            self._looked = time.monotonic()
        slots = self._room + max(1, math.ceil(_QUEUE_SHARE * self._room))
        return slots if self._jobs is None else min(slots, self._jobs)

    def submit(
        self, cells: Sequence[Cell], contents: Sequence[Mapping[str, str]]
    ) -> Future[list[Outcome]]:
        """Execute a group of cells in one of the workers."""
        ref = self._task.remote(cloudpickle.dumps((list(cells), list(contents))), self._sent)
        told: Future[list[Outcome]] = Future()
        self._open[told] = ref

        def tell(ran: "Future[list[Outcome]]") -> None:
            self._open.pop(told, None)
            error = ran.exception()
            told.set_result(ran.result() if error is None else self._became(error, cells))

        ref.future().add_done_callback(tell)
        return told

    def _nodes(self) -> dict[str, Mapping[str, float]]:
        """What each node that is alive has."""
        return {node["NodeID"]: node["Resources"] for node in self._ray.nodes() if node["Alive"]}

    def _check_room(self) -> None:
        nodes = self._nodes().values()
        if any(_fitting(node, self._needs) for node in nodes):
            return
        have = [_said({kind: node.get(kind, 0) for kind in ("CPU", "GPU")}) for node in nodes]
        raise UsageError(
            f"Ray: a cell needs {_said(self._needs)} at once (--device {self._context.device}, "
            f"--threads {self._context.threads}), and no node has that; there are: "
            f"{'; '.join(sorted(set(have))) or 'none'}"
        )

    def _tell(self, code: SentCode) -> None:
        """Hand Ray what all tasks need, once."""
        context = self._context if not code.imports else replace(self._context, imports=())
        sent = _Sent(code, str(Path.cwd()), cloudpickle.dumps(context))
        self._sent = self._ray.put(sent)
        threads = str(self._context.threads)
        variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        # a worker with a GPU ends after each task, as Ray has it: CUDA in it has chosen its card
        options = {
            "num_cpus": self._needs["CPU"],
            "num_gpus": self._needs.get("GPU", 0),
            "max_retries": 0,  # the scheduler tries again
            "runtime_env": {"env_vars": variables},
        }
        self._task = self._ray.remote(**options)(_execute)
        self._hello = self._ray.remote(**{**options, "num_cpus": 0, "num_gpus": 0})(_hello)

    def _greet(self) -> None:
        """See that each node has what cells need, before any is sent there."""
        strategies = importlib.import_module("ray.util.scheduling_strategies")
        runs = self._context.store.run_ids()
        asked = [
            self._hello.options(
                scheduling_strategy=strategies.NodeAffinitySchedulingStrategy(node, soft=False)
            ).remote(version("lottery-ticket"), runs, self._sent)
            for node, resources in self._nodes().items()
            if _fitting(resources, self._needs)
        ]
        errors = self._ray.exceptions
        for answer in asked:
            try:
                complaint = self._ray.get(answer, timeout=_HELLO_SECONDS)
            except (errors.NodeDiedError, errors.TaskUnschedulableError):
                continue  # it has gone meanwhile
            except errors.RayError as error:
                complaint = f"no worker of lottery-ticket starts there ({_cause(error)})"
            if complaint is not None:
                raise UsageError(f"Ray: a node cannot make cells: {complaint}")

    def _became(self, error: BaseException, cells: Sequence[Cell]) -> list[Outcome]:
        """What became of cells whose task did not end."""
        errors = self._ray.exceptions
        if isinstance(error, errors.NodeDiedError):
            note = f"{cells[0].title}: the machine it was on is gone; continuing it"
            first = Outcome(cells[0].name, "stopped", notes=(note,))
            return [first, *(Outcome(cell.name, "stopped") for cell in cells[1:])]
        if isinstance(error, errors.TaskCancelledError):
            return [Outcome(cell.name, "stopped") for cell in cells]
        if isinstance(error, errors.RayTaskError | errors.RuntimeEnvSetupError):
            return [Outcome(cell.name, "failed", message=_cause(error)) for cell in cells]
        return [Outcome(cell.name, "lost") for cell in cells]


@dataclass(frozen=True)
class _Sent:
    """What all tasks of an executor need.

    Args:
        code: the user's, which lies in the worker's folder.
        cwd: the sender's current folder, from which relative paths are seen.
        context: pickled, since it may need the code.
    """

    code: SentCode
    cwd: str
    context: bytes


def _needs(context: Context, per_device: int) -> dict[str, float]:
    """What a group needs of a node while it is made; raises `UsageError`."""
    if context.device not in ("cpu", "cuda"):
        hint = "; Ray chooses the card" if context.device.startswith("cuda:") else ""
        raise UsageError(f"Ray: device: got {context.device!r}, wanted 'cpu' or 'cuda'{hint}")
    needs: dict[str, float] = {"CPU": context.threads}
    if context.device == "cuda":
        needs["GPU"] = math.floor(1e4 / per_device) / 1e4  # as finely as Ray divides
    return needs


def _fitting(node: Mapping[str, float], needs: Mapping[str, float]) -> int:
    """How many groups a node has room for."""
    return min(int(node.get(kind, 0) / amount + 1e-6) for kind, amount in needs.items())


def _said(resources: Mapping[str, float]) -> str:
    return " and ".join(f"{amount:g} {kind}" for kind, amount in resources.items())


def _cause(error: BaseException) -> str:
    """What a task failed of, in a line."""
    cause = getattr(error, "cause", None) or error
    lines = str(cause).strip().splitlines() or [""]
    return lines[0] if cause is error else f"{type(cause).__name__}: {lines[-1]}"


@contextlib.contextmanager
def _connected(ray: Any, address: str | None, code: SentCode) -> Iterator[None]:
    """A block in which this process is part of a cluster whose workers have the user's code."""
    address = address or os.environ.get("RAY_ADDRESS") or None
    with TemporaryDirectory(prefix="lottery-code-") as folder, contextlib.ExitStack() as undo:
        code.copy_to(Path(folder))
        # never empty, and so never the current folder in its place
        Path(folder, "README").write_text("The code that a run of lottery-ticket imports.\n")
        undo.callback(ray.shutdown)
        try:
            _check_answers(address)
            with _quiet_start():
                ray.init(
                    address=address,
                    runtime_env={"working_dir": folder},
                    include_dashboard=False,
                    log_to_driver=False,
                    configure_logging=False,
                )
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            where = "" if address is None else f" at {address!r}"
            raise UsageError(
                f"Ray: no cluster can be used{where}: {_cause(error)}; start one with "
                "`ray start --head`, or leave --address out to start one on this machine"
            ) from error
        yield


def _check_answers(address: str | None) -> None:
    """Raises `OSError` or `ValueError` at once where Ray would ask for minutes."""
    if address in (None, "auto", "local"):
        return
    parts = urlsplit(address if "//" in address else f"//{address}")
    if not parts.hostname or not parts.port:
        raise ValueError("wanted HOST:PORT")
    socket.create_connection((parts.hostname, parts.port), timeout=_ANSWER_SECONDS).close()


@contextlib.contextmanager
def _quiet_start() -> Iterator[None]:
    """Starting Ray: it sends no statistics, says nothing of success, and what a signal does to this
    process stays as it was."""
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if is_main else None
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with environment_kept(RAY_USAGE_STATS_ENABLED="0"):
            yield
    finally:
        logger.setLevel(level)
        if before is not None:
            signal.signal(signal.SIGTERM, before)


# in a worker


def _hello(release: str, runs: Sequence[str], sent: _Sent) -> str | None:
    """Why cells cannot be made here; None if they can."""
    here = version("lottery-ticket")
    if here != release:
        return f"it has lottery-ticket {here}, and this machine {release}; install the same"
    try:
        context = _received(sent)
        store = context.store
        is_same = set(runs) <= set(store.run_ids())
    except LotteryError as error:
        return str(error)
    if not is_same:
        return f"{store.location} is another folder there; name a store that all nodes see"
    return None


def _execute(work: bytes, sent: _Sent) -> list[Outcome]:
    cells, contents = pickle.loads(work)
    try:
        context = _received(sent)
    except LotteryError as error:
        return [Outcome(cell.name, "failed", message=str(error)) for cell in cells]
    is_there = Path(sent.cwd).is_dir()
    with contextlib.chdir(sent.cwd) if is_there else contextlib.nullcontext():
        return execute(cells, contents, context)


def _received(sent: _Sent) -> Context:
    """The context, once the code that it may need is imported; raises `UsageError`."""
    _import(sent.code, Path.cwd())
    try:
        return pickle.loads(sent.context)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"what was registered cannot be found by a worker ({error}); name its file with "
            "--import (from Python: imports=)"
        ) from error


@functools.cache
def _import(code: SentCode, root: Path) -> None:
    """Once in a worker."""
    code.import_from(root)
