"""`mask.attach` through DistributedDataParallel, in real processes over gloo."""

import copy
import os
import sys
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn

from lottery_ticket.data import load_dataset
from lottery_ticket.masks import Budget, PruningMask, select

NUM_STEPS = 10
PATIENCE = timedelta(seconds=300)  # where many share few cores


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def half_of(model):
    """The mask of the larger half of its weights."""
    scores = {name: model.get_parameter(name).detach().abs() for name in PruningMask(model)}
    return select(scores, PruningMask(model), Budget(PruningMask(model).num_prunable // 2))


def digits():
    data = load_dataset("digits").train
    return data.x[: 32 * NUM_STEPS].split(32), data.y[: 32 * NUM_STEPS].split(32)


def train(model, mask, rank, world_size, *, is_masked=True):
    """SGD with momentum and clipping on this process's share of each batch, under the mask."""
    inner = model.module if hasattr(model, "module") else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    attached = mask.attach(model, optimizer) if is_masked else None
    for x, y in zip(*digits(), strict=True):
        optimizer.zero_grad()
        F.cross_entropy(model(x[rank::world_size]), y[rank::world_size]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        for name, kept in mask.items():
            parameter = inner.get_parameter(name)
            if is_masked:
                assert not parameter.grad[~kept].any(), f"the gradient of {name}"
                assert not parameter[~kept].any(), f"{name} came back"
                assert not optimizer.state[parameter]["momentum_buffer"][~kept].any(), name
    assert attached is None or attached.num_steps == NUM_STEPS


VARIANTS = {  # gradient_as_bucket_view, under the mask
    "views": (True, True),
    "copies": (False, True),
    "mutant": (True, False),
}


def train_in_parallel(rank, folder):
    torch.set_num_threads(1)
    meeting = {"init_method": f"file://{folder}/meeting", "timeout": PATIENCE}
    dist.init_process_group("gloo", **meeting, rank=rank, world_size=2)
    for name, (has_views, is_masked) in VARIANTS.items():
        model = net()
        mask = half_of(model)
        parallel = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=has_views)
        train(parallel, mask, rank, 2, is_masked=is_masked)
        torch.save(model.state_dict(), f"{folder}/{name}-{rank}.pt")
    dist.barrier()  # nobody hangs up while the other still talks: gloo would abort it
    dist.destroy_process_group()


def in_other_process(folder):
    """Ends without taking torch down: its threads now and then abort a process that ends."""
    train_in_parallel(1, folder)
    os._exit(0)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Variant → the weights of both processes: this one, which has torch already, and another."""
    # only this machine's own interface
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    num_threads, folder = torch.get_num_threads(), str(tmp_path)
    other = mp.get_context("spawn").Process(target=in_other_process, args=(folder,))
    other.start()
    try:
        train_in_parallel(0, folder)
        other.join(PATIENCE.total_seconds())
        assert other.exitcode == 0
    finally:
        torch.set_num_threads(num_threads)
        other.kill()
        other.join()
        other.close()
    return {
        name: [torch.load(tmp_path / f"{name}-{rank}.pt") for rank in range(2)] for name in VARIANTS
    }


def check_as_one(first, second):
    """Both processes end with the same weights: the single process's, within tolerance."""
    alone = net()
    start = copy.deepcopy(alone.state_dict())
    train(alone, half_of(alone), 0, 1)
    for name, value in alone.state_dict().items():
        assert not torch.equal(value, start[name]), "nothing was learnt"
        assert torch.equal(first[name], second[name])
        is_near = torch.allclose(first[name], value, rtol=1e-4, atol=1e-6)
        assert is_near, f"{name} differs from the single process's"


# one test: two would start the other process twice, in two workers of the test run
def test_two_processes_train_as_one_and_training_without_the_mask_is_caught(trained):
    for variant in ("views", "copies"):
        check_as_one(*trained[variant])
    with pytest.raises(AssertionError, match="differs from the single process's"):
        check_as_one(*trained["mutant"])
