"""What belongs to the whole process is as it was after any call of ours (law 16), and what the
caller has set does not change what a run computes."""

import contextlib
import hashlib
import logging
import multiprocessing
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special  # noqa: F401  # adds a filter of its own when it is first imported
import torch
from global_state import changed, global_state
from torch import nn

import lottery_ticket
from lottery_ticket import process
from lottery_ticket.api import RunResult, load_run, prepare
from lottery_ticket.criteria import score
from lottery_ticket.data import DATASETS, load_dataset
from lottery_ticket.experiment import KINDS, estimated_seconds
from lottery_ticket.experiment.executors.device import configured
from lottery_ticket.export import PrunedModel, compact, export, measure
from lottery_ticket.models import MODELS, build

SPEC = {
    "name": "mini",
    "data": {"name": "digits"},
    "model": {"name": "Restless"},
    "train": {"lr": 0.1, "momentum": 0.9, "batch_size": 512, "duration": "1ep"},
    "prune": {"rate": 0.5, "levels": 1},
    "arms": ["ticket", "snip"],
}


class Restless(nn.Sequential):
    """Draws from every global generator, when it is built and when it is trained."""

    def __init__(self, width: int = 16) -> None:
        super().__init__(nn.Linear(64, width), nn.Dropout(0.3), nn.ReLU(), nn.Linear(width, 10))
        with torch.no_grad():
            self[0].bias.fill_(random.random() + np.random.rand())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        np.random.rand()
        random.random()
        return super().forward(x)


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    with MODELS.restored():
        MODELS.add("Restless", Restless, is_user=True)
        yield


def run(store: Path) -> RunResult:
    return lottery_ticket.run(SPEC, store=store, jobs=1, threads=1, progress=False)


def digests(store: Path) -> dict[str, str]:
    return {
        path.relative_to(store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((store / "cells").rglob("*"))
        if path.is_file() and path.name != "execution.json"
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, _registered: None) -> Path:
    store = tmp_path_factory.mktemp("finished") / "store"
    run(store)
    return store


# as it was

BATCH = (torch.ones(4, 64), torch.zeros(4, dtype=torch.int64))
MODEL, SMALL = Restless(), nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 2)).eval()


def train_fn(model: nn.Module, mask: Any) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    nn.functional.cross_entropy(model(BATCH[0]), BATCH[1]).backward()
    optimizer.step()


def broken_train_fn(model: nn.Module, mask: Any) -> None:
    train_fn(model, mask)
    raise KeyboardInterrupt


def eval_fn(model: nn.Module) -> float:
    return float(model(BATCH[0]).mean().detach())


def search(train: Callable[..., None] = train_fn, build: Any = Restless) -> Any:
    finder = lottery_ticket.LotteryTicketFinder(model_fn=build)
    finder.find_winning_ticket(None, train, eval_fn, 0.5, 1, verbose=False)
    return finder


def sets_all(*_: Any, **__: Any) -> Any:
    """As a user's loop, model or loader may: draws, and sets what is everybody's."""
    _ = random.random() + np.random.rand() + torch.rand(1)
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_flush_denormal(True)
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True, warn_only=True)
    warnings.simplefilter("ignore")
    return Restless().float()


def train_and_set_all(model: nn.Module, mask: Any) -> None:
    train_fn(model, mask)
    sets_all()


def eval_and_set_all(model: nn.Module) -> float:
    sets_all()
    return 0.5


def search_with_all_set() -> None:
    finder = lottery_ticket.LotteryTicketFinder(model_fn=sets_all)
    finder.find_winning_ticket(None, train_and_set_all, eval_and_set_all, 0.5, 1, verbose=False)
    assert finder.results.is_valid


def loaded_with_all_set() -> None:
    with DATASETS.restored():
        DATASETS.add("setter", sets_all, is_user=True)
        load_dataset("setter")


def built_with_all_set() -> None:
    with MODELS.restored():
        MODELS.add("setter", sets_all, is_user=True)
        build("setter", 0)


def drawn(weights: Any, generator: torch.Generator) -> dict[str, torch.Tensor]:
    np.random.rand()
    return {name: torch.rand_like(value) + random.random() for name, value in weights.items()}


def pruned(top: Path, finished: Path) -> None:
    lottery_ticket.prune(SMALL, sparsity=0.5, criterion="random")
    lottery_ticket.prune(SMALL, sparsity=0.5, criterion="snip", batches=[BATCH])


CALLS: dict[str, Callable[[Path, Path], object]] = {
    "load_dataset": lambda top, finished: load_dataset("digits"),
    "build": lambda top, finished: build("Restless", 1),
    "prepare": lambda top, finished: prepare(SPEC, store=top),
    "estimate": lambda top, finished: estimated_seconds(
        (ready := prepare(SPEC, store=top)).plan, (), ready.context, 1
    ),
    "run": lambda top, finished: run(top / "store"),
    "run again": lambda top, finished: run(finished),
    "table, summary, verdict": lambda top, finished: (
        load_run(store=finished).summary,
        load_run(store=finished).verdict(),
    ),
    "report and figures": lambda top, finished: load_run(store=finished).report(top / "page.html"),
    "pruned_model": lambda top, finished: load_run(store=finished).pruned_model(1),
    "RunResult.export": lambda top, finished: load_run(store=finished).export(
        1, format=["state_dict", "packed"], out=top / "out"
    ),
    "export": lambda top, finished: export(
        PrunedModel.of(SMALL, BATCH[0]), format="compact", out=top / "out"
    ),
    "export by others": lambda top, finished: export(
        PrunedModel.of(SMALL, BATCH[0]), format=["onnx", "pt2"], out=top / "out"
    ),
    "measure": lambda top, finished: measure(
        PrunedModel.of(SMALL, BATCH[0]),
        forms=["packed"], seconds=0.001, compiled=False, memory=False, threads=2,
    ),
    "compact": lambda top, finished: compact(SMALL, BATCH[0]),
    "score": lambda top, finished: score(drawn, weights={"w": torch.ones(3)},
                                         generator=torch.Generator()),
    "prune": pruned,
    "search": lambda top, finished: search(),
    "a search that sets all": lambda top, finished: search_with_all_set(),
    "a model that sets all": lambda top, finished: built_with_all_set(),
    "a loader that sets all": lambda top, finished: loaded_with_all_set(),
    "verify": lambda top, finished: search().verify(train_fn, eval_fn, verbose=False),
    "a search that is stopped": lambda top, finished: search(broken_train_fn),
    "a spec that does not fit": lambda top, finished: prepare({**SPEC, "seed": "x"}, store=top),
    "a model that cannot be built": lambda top, finished: prepare(
        {**SPEC, "model": {"name": "Restless", "width": -1}}, store=top
    ),
}  # fmt: skip


def check_leaves_no_trace(name: str, top: Path, finished: Path) -> None:
    before = global_state()
    try:
        CALLS[name](top, finished)
    except (lottery_ticket.LotteryError, KeyboardInterrupt):
        assert name.startswith("a ")
    assert not changed(before), name


SLOW = ("export by others", "measure")  # they import for seconds


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in CALLS]
)
def test_the_process_is_as_it_was(name, tmp_path, finished):
    with torch.random.fork_rng(), process.random_state_kept():
        check_leaves_no_trace(name, tmp_path, finished)


PUT_BACK = ((torch, "set_rng_state"), (np.random, "set_state"), (random, "setstate"))


@pytest.mark.parametrize(
    "name", ["build", "score", "prepare", "search", "a search that is stopped"]
)
def test_calls_that_leave_a_trace_are_caught(name, tmp_path, finished):
    with process.random_state_kept(), pytest.MonkeyPatch.context() as patch:
        for owner, put_back in PUT_BACK:
            patch.setattr(owner, put_back, lambda state: None)
        with pytest.raises(AssertionError):
            check_leaves_no_trace(name, tmp_path, finished)


@pytest.mark.parametrize("value", [True, False])
def test_denormals_are_treated_as_before(value):
    torch.set_flush_denormal(value)
    try:
        before = global_state()
        with contextlib.suppress(KeyboardInterrupt), configured("cpu", 2):
            assert global_state()["flushes denormals"]
            assert torch.get_num_threads() == 2
            raise KeyboardInterrupt
        assert not changed(before)
    finally:
        torch.set_flush_denormal(False)


def test_how_processes_start_can_still_be_chosen(tmp_path):
    """torch's exporter makes a lock between processes, which settles it."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(None, force=True)
    try:
        export(PrunedModel.of(SMALL, BATCH[0]), format="compact", out=tmp_path / "out")
        multiprocessing.set_start_method("spawn")
    finally:
        multiprocessing.set_start_method(before, force=True)


@pytest.mark.slow  # it imports for seconds
@pytest.mark.parametrize("value", [True, False])
def test_a_runtime_that_resets_denormals_and_logs_leaves_them(value, tmp_path):
    """ONNX Runtime sets the first, its quantiser makes a handler of what is logged."""
    handlers = logging.root.handlers[:]
    logging.root.handlers[:] = []
    torch.set_flush_denormal(value)
    try:
        before = global_state()
        pruned = PrunedModel.of(SMALL, BATCH[0], calibration=BATCH[0])
        export(pruned, format=["onnx", "int8"], out=tmp_path / "out")
        assert not changed(before)
    finally:
        torch.set_flush_denormal(False)
        logging.root.handlers[:] = handlers


# whatever the caller has set


@contextmanager
def _set(get: Callable[[], Any], set_: Callable[[Any], object], value: Any) -> Iterator[None]:
    before = get()
    set_(value)
    try:
        yield
    finally:
        set_(before)


def _precision_of_one_backend() -> AbstractContextManager[None]:
    owner: Any = torch.backends.mkldnn
    if not hasattr(owner, "matmul"):
        pytest.skip("this version of torch has one precision for all")
    return _set(
        lambda: owner.matmul.fp32_precision,
        lambda value: setattr(owner.matmul, "fp32_precision", value),
        "bf16",
    )


@contextmanager
def _other_seeds() -> Iterator[None]:
    with process.seeded(99):
        yield


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "dtype": lambda: _set(torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "device": lambda: torch.device("meta"),
    "default device": lambda: _set(lambda: None, torch.set_default_device, "meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic": lambda: _set(
        torch.is_deterministic_algorithms_warn_only_enabled,
        lambda value: torch.use_deterministic_algorithms(value, warn_only=value),
        True,
    ),
    "denormals": lambda: _set(lambda: False, torch.set_flush_denormal, True),
    "medium": lambda: _set(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"
    ),
    "precision of one backend": _precision_of_one_backend,
    "mkldnn": lambda: _set(
        lambda: torch.backends.mkldnn.enabled,
        lambda value: setattr(torch.backends.mkldnn, "enabled", value),
        False,
    ),
    "numpy": lambda: np.errstate(all="raise"),
    "threads": lambda: _set(torch.get_num_threads, torch.set_num_threads, 2),
    "seeds": _other_seeds,
}


def check_computes_the_same(setting: str, top: Path, finished: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with SETTINGS[setting]():
            before = global_state()
            run(top / "store")
            assert not changed(before)
    assert digests(top / "store") == digests(finished)


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_the_caller_has_set_does_not_change_a_run(setting, tmp_path, finished):
    check_computes_the_same(setting, tmp_path, finished)


@pytest.mark.parametrize("setting", ["autocast", "dtype", "no_grad", "default device", "medium"])
def test_runs_that_take_over_the_callers_settings_are_caught(
    setting, tmp_path, finished, monkeypatch
):
    if setting == "medium" and not torch.cpu.get_capabilities().get("avx512_bf16"):
        pytest.skip("this processor has no lower precision")
    train = KINDS["train"]

    def takes_over(*arguments: Any) -> Any:
        with SETTINGS[setting]():
            return train.make(*arguments)

    monkeypatch.setitem(KINDS, "train", replace(train, make=takes_over))
    with pytest.raises((AssertionError, lottery_ticket.LotteryError, NotImplementedError)):
        check_computes_the_same(setting, tmp_path, finished)


def test_a_setting_that_nobody_made_stays_unmade():
    before = global_state()
    with process.neutral_settings():
        assert not changed(before)
