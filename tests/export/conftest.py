"""A tiny run, with all weights kept and with only those that are needed."""

import pytest

from lottery_ticket.api import RunResult, run

SPEC = {
    "name": "tiny",
    "data": {"name": "digits"},
    "model": {"name": "LeNet300", "hidden": [12, 8]},
    "train": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "batch_size": 64, "duration": "2ep"},
    "prune": {"criterion": "magnitude", "scope": "global", "rate": 0.5, "levels": 2},
    "arms": ["ticket", {"reinit": {"draws": 2}}, "signed_constant", "dense_small", "finetune"],
    "rewind": "5it",
    "replicates": 2,
}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    store = tmp_path_factory.mktemp("tiny") / "store"
    return run(SPEC, store=store, jobs=1, progress=False)


@pytest.fixture(scope="session")
def thrifty(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    store = tmp_path_factory.mktemp("thrifty") / "store"
    return run(SPEC, store=store, jobs=1, progress=False, keep="needed")
