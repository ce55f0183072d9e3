"""Dead paths, held against walking every path there is."""

from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lottery_ticket.analysis.structure import MaskPlace, effective_density, effective_mask
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask
from lottery_ticket.models import build


class Chain(nn.Sequential):
    def __init__(self, *widths, activation=nn.ReLU):
        layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
        super().__init__(*[part for layer in layers for part in (layer, activation())][:-1])


def on_paths(masks):
    """The kept weights that some whole path uses, path by path."""
    used = [torch.zeros_like(mask) for mask in masks]
    units = [range(masks[0].shape[1]), *(range(mask.shape[0]) for mask in masks)]
    for path in product(*units):
        steps = list(pairwise(path))
        if all(mask[b, a] for mask, (a, b) in zip(masks, steps, strict=True)):
            for mask, (a, b) in zip(used, steps, strict=True):
                mask[b, a] = True
    return used


def check_paths(effective, masks):
    widths = [masks[0].shape[1], *(mask.shape[0] for mask in masks)]
    model = Chain(*widths)
    names = [name for name, _ in model.named_parameters() if "weight" in name]
    mask = PruningMask.from_tensors(dict(zip(names, masks, strict=True)))
    got = effective(mask, model, (widths[0],))
    for name, wanted in zip(names, on_paths(masks), strict=True):
        assert got[name].tolist() == wanted.tolist()


@st.composite
def chains(draw):
    widths = draw(st.lists(st.integers(1, 3), min_size=3, max_size=4))
    kept = [
        [[draw(st.booleans()) for _ in range(a)] for _ in range(b)] for a, b in pairwise(widths)
    ]
    return [torch.tensor(layer) for layer in kept]


DEAD_ENDS = [
    torch.tensor([[True, False], [False, False], [True, True]]),  # nothing feeds unit 1
    torch.tensor([[False, True, False], [True, False, False]]),  # nothing reads unit 2
]


@settings(max_examples=60)
@given(chains())
def test_what_is_effective_lies_on_a_path(masks):
    check_paths(effective_mask, masks)


def as_kept(mask, model, input_shape):
    return mask


def read_alone(mask, model, input_shape):
    """Looks backwards only, as when units with a bias count as alive."""
    masks = list(mask.values())
    read = torch.ones(len(masks[-1]), dtype=torch.bool)
    found = []
    for kept in reversed(masks):
        found.append(kept & read[:, None])
        read = found[-1].any(0)
    return PruningMask.from_tensors(dict(zip(mask, reversed(found), strict=True)))


@pytest.mark.parametrize("mutant", [as_kept, read_alone])
def test_other_notions_of_dead_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_paths(mutant, DEAD_ENDS)


def test_counts_per_layer_and_in_all():
    model = Chain(2, 3, 2, activation=nn.Tanh)
    mask = PruningMask.from_tensors({"0.weight": DEAD_ENDS[0], "2.weight": DEAD_ENDS[1]})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    table = effective_density({MaskPlace("r", "ticket", 4): mask}, model, (2,))
    columns = ["level", "layer", "num_prunable", "num_kept", "num_effective"]
    assert table[columns].to_numpy().tolist() == [
        [4, "0.weight", 6, 3, 1],
        [4, "2.weight", 6, 2, 1],
        [4, "all", 12, 5, 2],
    ]
    assert list(table["density"]) == pytest.approx([3 / 6, 2 / 6, 5 / 12])
    assert list(table["effective_density"]) == pytest.approx([1 / 6, 1 / 6, 2 / 12])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_convolutional_net_with_batch_norm_and_a_shortcut():
    """A block that is cut off is dead; the shortcut around it keeps the rest alive."""
    model = build("ResNet20", 0)
    mask = PruningMask(model)
    first, second = [name for name in mask if "conv" in name][1:3]
    cut = {name: kept.clone() for name, kept in mask.items()}
    cut[second][:] = False
    table = effective_density(
        {MaskPlace(): PruningMask.from_tensors(cut)}, model, (3, 32, 32)
    ).set_index("layer")
    assert table.loc[first, "num_kept"] == cut[first].numel()
    assert table.loc[first, "num_effective"] == 0
    assert table.loc["all", "num_effective"] == table.loc["all", "num_kept"] - cut[first].numel()


def test_what_cannot_be_followed_is_said():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    with pytest.raises(UsageError, match="cannot be followed through '1', a LayerNorm"):
        effective_mask(PruningMask(model), model, (2,))
