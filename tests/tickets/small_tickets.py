"""Tickets of small nets, and the bits of tensors."""

import copy

import torch
from torch import nn

from lottery_ticket.masks import Budget, PruningMask, select
from lottery_ticket.models import build
from lottery_ticket.tickets import ModelOrigin, Ticket, WeightsOrigin

SMALL = {"input_size": 12, "num_classes": 3, "hidden": [8, 5]}
PLAIN = {"provenance": {"criterion": "magnitude"}, "metrics": {"test_accuracy": 0.5}}


def random_mask(model, num_kept, seed=0):
    stream = torch.Generator().manual_seed(seed)
    ones = PruningMask(model)
    scores = {name: torch.rand(m.shape, generator=stream) for name, m in ones.items()}
    return select(scores, ones, Budget(num_kept))


def normed():
    """A net with biases and buffers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 5)
        )
        model(torch.randn(8, 1, 8, 8))  # moves the norm's buffers and its counter
    return model


def drawn_ticket(num_kept=40, **more):
    """A ticket of a small LeNet by its seed."""
    model = build("LeNet300", 7, **SMALL)
    origin = ModelOrigin.of("LeNet300", 7, **SMALL)
    return Ticket(random_mask(model, num_kept), origin, **{**PLAIN, **more})


def stored_ticket(weights="kept", num_kept=100, **more):
    """A ticket of a net with buffers, by its tensors."""
    model = normed()
    origin = WeightsOrigin(copy.deepcopy(model.state_dict()), step=500, weights=weights)
    return Ticket(random_mask(model, num_kept), origin, **{**PLAIN, **more})


def bits(tensor):
    """Every bit counts, that of −0.0 too."""
    return tensor.dtype, tensor.shape, tensor.reshape(-1).contiguous().view(torch.uint8).tolist()


def same_bits(found, wanted):
    return set(found) == set(wanted) and all(bits(found[n]) == bits(wanted[n]) for n in wanted)
