"""Trainings in one process exclude each other: in threads they write the bytes they write alone."""

import contextlib
import hashlib
import logging
import math
import multiprocessing
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import lottery_ticket
from lottery_ticket import process
from lottery_ticket.criteria import score
from lottery_ticket.export import compact
from lottery_ticket.files import aside_of, write_file
from lottery_ticket.finder import LotteryTicketFinder
from lottery_ticket.models import MODELS, build

SPEC = {
    "name": "mini",
    "data": {"name": "digits"},
    "model": {"name": "Meeting"},
    "train": {"lr": 0.1, "momentum": 0.9, "batch_size": 256, "duration": "1ep"},
    "prune": {"rate": 0.5, "levels": 1},
    "arms": ["ticket", "reinit"],
}
NOBODY_CAME_SECONDS = 0.2
PATIENCE_SECONDS = 60.0  # for who does come, on a busy machine


class Meetings:
    """Waits for another thread to be at the same place; nobody must ever come."""

    def __init__(self) -> None:
        self.seconds = NOBODY_CAME_SECONDS
        self.begin(0)

    def begin(self, num_threads: int) -> None:
        self._barrier = threading.Barrier(2)
        self._is_watched = num_threads > 1
        self.num_met = 0

    def wait(self) -> None:
        if not self._is_watched:
            return
        with contextlib.suppress(threading.BrokenBarrierError):
            self._barrier.wait(self.seconds)
            self.num_met += 1
        self._is_watched = False  # once is enough

    def leave(self) -> None:
        """Who waits waits in vain from here on."""
        self._barrier.abort()


MEETINGS = Meetings()


class Meeting(nn.Sequential):
    """Dropout, and a place to meet: in a step of a training."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(64, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            MEETINGS.wait()
        return super().forward(x)


class Built(nn.Linear):
    """A place to meet: while a model is built."""

    def __init__(self) -> None:
        MEETINGS.wait()
        super().__init__(2, 1)


class Followed(nn.Linear):
    """A place to meet: while a model is traced."""

    def forward(self, x: Any) -> Any:
        if isinstance(x, torch.fx.Proxy):
            MEETINGS.wait()
        return super().forward(x)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with MODELS.restored():
        for made in (Meeting, Built):
            MODELS.add(made.__name__, made, is_user=True)
        yield
    MEETINGS.begin(0)


def scored(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    MEETINGS.wait()
    return {name: value.abs() for name, value in weights.items()}


def train_fn(model: nn.Module, mask: Any) -> None:
    MEETINGS.wait()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()


def search() -> None:
    finder = LotteryTicketFinder(model_fn=lambda: nn.Linear(2, 1))
    finder.find_winning_ticket(None, train_fn, lambda model: 0.5, 0.5, 1, verbose=False)


def run(seed: int, store: Path) -> None:
    spec = {**SPEC, "seed": seed}
    lottery_ticket.run(spec, store=store, jobs=1, threads=1, progress=False)


def in_threads(*calls: Callable[[], object]) -> None:
    def follow(call: Callable[[], object]) -> None:
        try:
            call()
        finally:
            MEETINGS.leave()

    MEETINGS.begin(len(calls))
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(follow, call) for call in calls]:
            done.result(timeout=100)


def digests(store: Path) -> dict[str, str]:
    return {
        path.relative_to(store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((store / "cells").rglob("*"))
        if path.is_file() and path.name != "execution.json"
    }


CALLS: dict[str, Callable[[], object]] = {
    "build": lambda: build("Built", 0),
    "score": lambda: score(scored, weights={"w": torch.ones(3)}),
    "search": search,
    "trace": lambda: compact(
        nn.Sequential(Followed(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval(), torch.ones(2, 4)
    ),
}


def check_never_meet(call: Callable[[], object]) -> None:
    in_threads(call, call)
    assert not MEETINGS.num_met


@pytest.mark.parametrize("name", CALLS)
def test_calls_in_two_threads_wait_for_each_other(name):
    check_never_meet(CALLS[name])


class NobodysTurn:
    """A lock that locks nobody out."""

    def acquire(self, timeout: float = -1) -> bool:
        return True

    def release(self) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        pass


def without_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_turn", NobodysTurn())
    monkeypatch.setattr(MEETINGS, "seconds", PATIENCE_SECONDS)  # they meet
    for place in (nn.Module, math):  # traces that overlap do not put back what they replace
        for name, value in vars(place).items():
            if callable(value):
                monkeypatch.setattr(place, name, value)


@pytest.mark.parametrize("name", CALLS)
def test_calls_that_do_not_wait_are_caught(name, monkeypatch):
    without_turns(monkeypatch)
    with pytest.raises(Exception):  # noqa: B017  who meets may break the other in any way
        check_never_meet(CALLS[name])


def check_writes_the_same_bytes(top: Path) -> None:
    for seed in (0, 1):
        run(seed, top / f"alone{seed}")
    in_threads(*(lambda seed=seed: run(seed, top / f"beside{seed}") for seed in (0, 1)))
    for seed in (0, 1):
        assert digests(top / f"beside{seed}") == digests(top / f"alone{seed}")
    assert not MEETINGS.num_met


def test_two_runs_in_threads_write_the_bytes_of_runs_alone(tmp_path):
    check_writes_the_same_bytes(tmp_path)


def test_runs_that_meet_are_caught(tmp_path, monkeypatch):
    without_turns(monkeypatch)
    with pytest.raises((AssertionError, lottery_ticket.LotteryError)):
        check_writes_the_same_bytes(tmp_path)


def test_a_run_within_a_training_does_not_wait_for_itself(tmp_path):
    def train_and_run(model: nn.Module, mask: Any) -> None:
        run(0, tmp_path)
        train_fn(model, mask)

    finder = LotteryTicketFinder(model_fn=lambda: nn.Linear(2, 1))
    _, mask, _ = finder.find_winning_ticket(
        None, train_and_run, lambda model: 0.5, 0.5, 1, verbose=False
    )
    assert mask.num_kept == 1


def _built_in_a_fork() -> None:
    build("LeNet5", 0)


@pytest.mark.skipif(not hasattr(multiprocessing, "get_context"), reason="no forks here")
def test_a_fork_does_not_wait_for_a_thread_that_it_has_not():
    held, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with process.alone():
            held.set()
            enough.wait(100)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(100)
    fork = multiprocessing.get_context("fork").Process(target=_built_in_a_fork)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks that have threads
        fork.start()
    fork.join(60)
    enough.set()
    thread.join()
    code = fork.exitcode
    fork.kill()
    assert code == 0


def test_who_waits_long_says_so(monkeypatch, caplog):
    said = threading.Event()
    logger = logging.getLogger("lottery_ticket")
    monkeypatch.setattr(logger, "filter", lambda record: said.set() or True)

    def wait_for_a_turn():
        with process.alone(patience_seconds=0.01):
            pass

    thread = threading.Thread(target=wait_for_a_turn)
    with process.alone():
        thread.start()
        assert said.wait(100)
    thread.join()
    assert "waits for what another thread trains" in caplog.text


# names of temporary files


def test_no_two_calls_write_aside_under_one_name(tmp_path):
    names = {aside_of(tmp_path / "file") for _ in range(100)}
    assert len(names) == 100
    assert all(name.parent == tmp_path for name in names)


def test_threads_that_write_one_file_leave_a_whole_one(tmp_path):
    path = tmp_path / "file"
    texts = [bytes([letter]) * 100_000 for letter in range(8)]
    in_threads(*(lambda text=text: [write_file(path, text) for _ in range(5)] for text in texts))
    assert path.read_bytes() in texts
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x" * 255, "\N{SNOWMAN}" * 85])
def test_a_name_as_long_as_a_name_can_be_is_written(name, tmp_path):
    write_file(tmp_path / name, b"all")
    assert (tmp_path / name).read_bytes() == b"all"
