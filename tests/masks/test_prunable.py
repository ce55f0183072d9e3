import pytest
import torch
from torch import nn

from lottery_ticket.masks import PruningMask, prunable_parameters, prunable_sizes


class Everything(nn.Module):
    """Every kind of layer, and two linear layers that share one weight."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.conv1 = nn.Conv1d(2, 3, 2)
        self.conv2 = nn.Conv2d(3, 2, 3)
        self.conv3 = nn.Conv3d(1, 2, 1)
        self.batch = nn.BatchNorm2d(2)
        self.layer = nn.LayerNorm(4)
        self.group = nn.GroupNorm(1, 2)
        self.first = nn.Linear(4, 5)
        self.tied = nn.Linear(4, 5, bias=False)
        self.tied.weight = self.first.weight
        self.scale = nn.Parameter(torch.ones(7))


SIZES = {"conv1.weight": 12, "conv2.weight": 54, "conv3.weight": 2, "first.weight": 20}


def check_counts_weights_once(sizes_of):
    """Ignored layers are out of the numerator and the denominator; tied weights count once."""
    assert sizes_of(Everything()) == SIZES
    assert list(sizes_of(Everything())) == list(SIZES)


def test_prunable():
    check_counts_weights_once(prunable_sizes)
    check_counts_weights_once(lambda model: {n: m.numel() for n, m in PruningMask(model).items()})


@pytest.mark.parametrize(
    "mutant",
    [
        lambda model: {n: p.numel() for n, p in model.named_parameters()},
        lambda model: {n: p.numel() for n, p in model.named_parameters() if p.ndim > 1},
        lambda model: {
            n: p.numel() for n, p in model.named_parameters(remove_duplicate=False)
            if n.endswith("weight") and n.startswith(("conv", "first", "tied"))
        },
        lambda model: {
            f"{n}.weight": m.weight.numel() for n, m in model.named_modules()
            if isinstance(m, nn.Linear | nn.Conv2d)
        },
    ],
)  # fmt: skip
def test_other_counts_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_counts_weights_once(mutant)


def test_the_parameters_themselves():
    model = Everything()
    found = prunable_parameters(model)
    assert all(found[name] is value for name, value in model.named_parameters() if name in found)
    PruningMask.from_tensors({"first.weight": torch.zeros(5, 4, dtype=torch.bool)}).apply(model)
    assert not model.tied.weight.any()


def test_a_lone_layer_and_none():
    assert prunable_sizes(nn.Linear(3, 2)) == {"weight": 6}
    assert prunable_sizes(nn.LayerNorm(3)) == {}
