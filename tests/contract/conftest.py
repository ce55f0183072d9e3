"""Real images for every net; those of scikit-learn, enlarged, where LOTTERY_DATA is not set."""

import copy
import functools
import os
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from contract_nets import NETS, Case, built, train_steps
from torch import nn

from lottery_ticket.data import load_dataset

Images = tuple[torch.Tensor, torch.Tensor]
BATCH_SIZE, NUM_BATCHES = 4, 2
NUM_IMAGES = BATCH_SIZE * NUM_BATCHES
# read on import: the tests of downloads take the variable away
HAS_DATA = bool(os.environ.get("LOTTERY_DATA"))


def images_of(net: str, request: pytest.FixtureRequest) -> Images:
    """A few images that `net` can look at, and their classes."""
    shape = NETS[net].images
    if HAS_DATA and shape == "28x28":
        train = request.getfixturevalue("real_mnist").train
        return train.x[:NUM_IMAGES], train.y[:NUM_IMAGES]
    if HAS_DATA and shape == "3x32x32":
        return first_cifar_images(request.getfixturevalue("data_dir"))
    digits = load_dataset("digits").train
    x, y = digits.x[:NUM_IMAGES].view(-1, 8, 8), digits.y[:NUM_IMAGES]
    if shape == "28x28":
        x = F.interpolate(x[:, None], size=28)
    elif shape == "3x32x32":
        x = F.interpolate(x[:, None], size=32).repeat(1, 3, 1, 1)
    return x, y


def first_cifar_images(folder: Path) -> Images:
    # of one batch: the whole set takes seconds to unpack and to read
    path = folder / "cifar-10-batches-bin" / "data_batch_1.bin"
    if path.is_file():
        data = path.read_bytes()
    else:
        data = runpy.run_path(str(folder / "prepare.py"))["unpack"]("data_batch_1")
    records = torch.from_numpy(np.frombuffer(data, np.uint8)[: NUM_IMAGES * 3073].copy())
    records = records.view(NUM_IMAGES, 3073)
    return records[:, 1:].view(-1, 3, 32, 32).float() / 127.5 - 1, records[:, 0].long()


@pytest.fixture(scope="session")
def case_of(request: pytest.FixtureRequest) -> Callable[[str], Case]:
    """Net → its case, with a model of its own."""

    @functools.cache
    def trained(net: str) -> tuple[nn.Module, list[Images]]:
        x, y = images_of(net, request)
        batches = list(zip(x.split(BATCH_SIZE), y.split(BATCH_SIZE), strict=True))
        model = built(net)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)  # dropout
            train_steps(model, batches * 2)
        model.zero_grad()
        return model, batches

    def case(net: str) -> Case:
        model, batches = trained(net)
        return Case(net, copy.deepcopy(model), built(net).state_dict(), batches)

    return case
