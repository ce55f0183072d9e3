"""Runs on the device: the same bytes each time, after a stop too, and groups that agree."""

import hashlib
from pathlib import Path

import pytest
import torch

import lottery_ticket

TRAIN = {"lr": 0.1, "momentum": 0.9, "batch_size": 64, "duration": "2ep"}
SPEC = {
    "name": "on-a-device",
    "data": {"name": "digits"},
    "model": {"name": "LeNet300", "hidden": [20, 10]},
    "train": TRAIN,
    "prune": {"rate": 0.4, "levels": 2},
    "arms": ["ticket", "reinit"],
    "replicates": 2,
}
IMAGES = {
    "data": {"name": "cifar10", "validation": 0},
    "model": {"name": "ResNet20", "width": 0.25},
    "train": TRAIN | {"lr": 0.01, "duration": "3it", "augment": "pad_crop_flip"},
    "prune": {"rate": 0.4, "levels": 1},
    "replicates": 1,
}


def digests(store: Path) -> dict[str, str]:
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((store / "cells").rglob("*"))
        if path.is_file() and path.name != "execution.json"
    }


def run(spec, store, device, **how):
    how = {"jobs": 1, "threads": 1, "group": 1, "progress": False} | how
    return lottery_ticket.run(spec, store=store, device=device, **how)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_bytes_each_time(device, tmp_path, precision):
    spec = SPEC | {"train": TRAIN | {"precision": precision}}
    for store in ("one", "other"):
        run(spec, tmp_path / store, device)
    assert digests(tmp_path / "one") == digests(tmp_path / "other")


def test_convolutions_give_the_same_bytes_each_time(device, tmp_path, cifar_dir):
    for store in ("one", "other"):
        run(SPEC | IMAGES, tmp_path / store, device, data_dir=cifar_dir)
    assert digests(tmp_path / "one") == digests(tmp_path / "other")


def test_groups_agree_with_single_trainings(device, tmp_path):
    alone = run(SPEC, tmp_path / "alone", device, kernels="autograd").table
    together = run(SPEC, tmp_path / "together", device, group=4).table
    for column in ("test_accuracy", "test_loss"):
        assert together[column].tolist() == pytest.approx(alone[column].tolist(), rel=1e-2), column
    assert together["num_kept"].tolist() == alone["num_kept"].tolist()


def test_the_device_learns_what_the_cpu_does(device, tmp_path):
    here = run(SPEC, tmp_path / "here", device).table
    cpu = run(SPEC, tmp_path / "cpu", "cpu", kernels="autograd").table
    assert here["num_kept"].tolist() == cpu["num_kept"].tolist()
    assert here["test_accuracy"].tolist() == pytest.approx(cpu["test_accuracy"].tolist(), abs=0.02)
    assert set(here["device"].str.partition(" ")[0]) == {torch.device(device).type}
