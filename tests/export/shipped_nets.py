"""A family of small nets with random masks: dead units, BatchNorm, shortcuts, convolutions."""

import torch
from hypothesis import strategies as st
from torch import nn

from lottery_ticket.export import PrunedModel
from lottery_ticket.masks import PruningMask


class Switched(nn.Module):
    """No program, so that torch's exporters, which take a second each, give up at once."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


class Block(nn.Module):
    """BatchNorm, ReLU and a layer, with a shortcut around them."""

    def __init__(self, norm: nn.Module, layer: nn.Module) -> None:
        super().__init__()
        self.norm, self.layer = norm, layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layer(self.norm(x).relu())


def dense_net(width: int, depth: int) -> nn.Sequential:
    blocks = [Block(nn.BatchNorm1d(width), nn.Linear(width, width)) for _ in range(depth)]
    return nn.Sequential(nn.Flatten(), nn.Linear(36, width), *blocks, nn.Linear(width, 5))


def conv_net(width: int, depth: int) -> nn.Sequential:
    blocks = [
        Block(nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1)) for _ in range(depth)
    ]
    first = nn.Conv2d(1, width, 3, stride=2)
    last = [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(width, 5)]
    return nn.Sequential(first, nn.BatchNorm2d(width), *blocks, *last)


@st.composite
def pruned_models(draw: st.DrawFn, kinds=("dense", "conv")) -> PrunedModel:
    """Nets whose norms have seen something, with masks that leave some units without a weight."""
    make = {"dense": dense_net, "conv": conv_net}[draw(st.sampled_from(kinds))]
    seed = draw(st.integers(0, 2**16))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make(draw(st.integers(1, 6)), draw(st.integers(0, 2)))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                for value in (module.running_mean, module.running_var, module.weight, module.bias):
                    value.data.uniform_(0.5, 1.5)
        density, dead = draw(st.floats(0, 1)), draw(st.floats(0, 1))
        masks = {}
        for name, kept in PruningMask(model).items():
            is_kept = torch.rand(kept.shape) < density
            is_kept[torch.rand(len(kept)) < dead] = False
            masks[name] = is_kept
        mask = PruningMask.from_tensors(masks)
        mask.apply(model)
        examples = torch.rand(draw(st.integers(1, 9)), 1, 6, 6)
        return PrunedModel.of(model, examples, mask=mask, calibration=torch.rand(20, 1, 6, 6))


@st.composite
def two_four_models(draw: st.DrawFn) -> PrunedModel:
    """Nets of which any two of every four inputs are kept, or fewer, in every layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw(st.integers(0, 2**16)))
        model = dense_net(4 * draw(st.integers(1, 3)), draw(st.integers(0, 2))).eval()
        density = draw(st.floats(0, 1))
        masks = {}
        for name, kept in PruningMask(model).items():
            ranks = torch.rand(len(kept), kept.shape[1] // 4, 4).argsort(-1).argsort(-1)
            masks[name] = ((ranks < 2) & (torch.rand(ranks.shape) < density)).flatten(1)
        mask = PruningMask.from_tensors(masks)
        mask.apply(model)
        return PrunedModel.of(model, torch.rand(draw(st.integers(1, 9)), 1, 6, 6), mask=mask)


def small(seed: int = 0, width: int = 4) -> PrunedModel:
    """One of them, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = conv_net(width, 1).eval()
        mask = PruningMask.from_tensors(
            {name: torch.rand(kept.shape) < 0.4 for name, kept in PruningMask(model).items()}
        )
        mask.apply(model)
        examples = torch.rand(9, 1, 6, 6)
        return PrunedModel.of(model, examples, mask=mask, calibration=examples)
