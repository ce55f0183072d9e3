"""How many trainings are made as one batch when nobody says."""

from pathlib import Path

import torch

from lottery_ticket.experiment.objects.build import built_model, load_data
from lottery_ticket.experiment.objects.recipe import loss_of
from lottery_ticket.spec import Spec
from lottery_ticket.train import can_be_stacked, training_bytes

__all__ = ["group_size"]

LARGEST_GROUP = 64
SMALL_PARAMETERS = 1_000_000
"""A net with more keeps a GPU busy by itself."""

_SHARE_OF_MEMORY = 0.5  # the rest is for the data, the allocator and other programs


def group_size(spec: Spec, data_dir: Path | None, device: str) -> int:
    """How many trainings of a spec are made as one batch on a device, at most.

    One on everything but CUDA (`benchmarks/bench_batched.py`), and for nets that are large, or that
    cannot be stacked, such as with dropout; else 64, or as many as half of the card's memory holds.

    Args:
        spec: a spec whose model and data fit.
        data_dir: where its data lie.
        device: `"cpu"`, `"cuda"`, …
    """
    if not device.startswith("cuda"):
        return 1
    index = torch.device(device).index or 0
    return fitting(spec, data_dir, torch.cuda.get_device_properties(index).total_memory)


def fitting(spec: Spec, data_dir: Path | None, memory_bytes: int) -> int:
    """The size of a group on a card with so much memory."""
    data = load_data(spec.data_said, data_dir)
    model = built_model(spec, data)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    if num_parameters > SMALL_PARAMETERS or not can_be_stacked(model, data.train.x):
        return 1
    each = training_bytes(model, loss_of(spec.train), data.train, spec.train.batch_size)
    return max(1, min(LARGEST_GROUP, int(_SHARE_OF_MEMORY * memory_bytes) // each))
