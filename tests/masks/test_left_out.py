"""What a mask leaves out, and why: every parameter is named once, and masks keep it."""

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask, shuffle
from lottery_ticket.pruning import prune


class Own(nn.Module):
    """Computes with parameters of its own."""

    def __init__(self):
        super().__init__()
        self.matrix, self.scale = nn.Parameter(torch.ones(4, 5)), nn.Parameter(torch.ones(4))


def tied_head():
    model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 9, bias=False))
    model[2].weight = model[0].weight
    return model


PARTS = {
    "linear": lambda: nn.Linear(4, 4),
    "conv": lambda: nn.Conv2d(1, 2, 3),
    "norm": lambda: nn.LayerNorm(4),
    "batch norm": lambda: nn.BatchNorm1d(4),
    "embedding": lambda: nn.Embedding(9, 4),
    "bilinear": lambda: nn.Bilinear(2, 3, 4),
    "own": Own,
    "recurrent": lambda: nn.LSTM(3, 4),
    "tied": tied_head,
    "activation": nn.PReLU,
}


def check_names_each_once(parts, min_size, mask_of):
    model = nn.ModuleList([nn.Linear(8, 8), *(PARTS[part]() for part in parts)])
    mask = mask_of(model, min_size=min_size)
    names = [name for name, _ in model.named_parameters()]
    assert sorted([*mask, *mask.left_out]) == sorted(names)
    sizes = [model.get_parameter(name).numel() for name in mask.left_out]
    assert sizes == sorted(sizes, reverse=True)
    too_small = {n for n, why in mask.left_out.items() if why.startswith("smaller than min_size")}
    assert all(model.get_parameter(name).numel() < min_size for name in too_small)


@given(st.lists(st.sampled_from(sorted(PARTS))), st.integers(0, 30))
def test_every_parameter_is_kept_or_left_out_with_a_reason(parts, min_size):
    check_names_each_once(parts, min_size, PruningMask)


def without_small_ones(model, min_size):
    made = PruningMask(model, min_size=min_size)
    told = {n: why for n, why in made.left_out.items() if not why.startswith("smaller")}
    return PruningMask.from_tensors(dict(made), told)


def in_model_order(model, min_size):
    made = PruningMask(model, min_size=min_size)
    names = [name for name, _ in model.named_parameters() if name in made.left_out]
    return PruningMask.from_tensors(dict(made), {name: made.left_out[name] for name in names})


@pytest.mark.parametrize("mutant", [without_small_ones, in_model_order])
def test_other_accounts_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_names_each_once(["linear", "norm", "own"], 20, mutant)


def test_the_reasons():
    model = nn.ModuleDict(
        {
            "tied": tied_head(),
            "own": Own(),
            "norm": nn.LayerNorm(4),
            "fc": nn.Linear(4, 4),
            "small": nn.Linear(2, 1),
            "dense": nn.Linear(4, 4),
            "made": nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
        }
    )
    mask = PruningMask(model, ignore=["dense", "made.weight"], min_size=3)
    assert list(mask) == ["tied.1.weight", "fc.weight"]
    assert mask.left_out == {
        "tied.0.weight": "embedding, shared with tied.2.weight",
        "own.matrix": "no weight of a layer that is known (Own)",
        "dense.weight": "ignored",
        "made.parametrizations.weight.original1": "original of a parametrization",
        "tied.1.bias": "bias",
        "own.scale": "vector",
        "norm.weight": "norm",
        "norm.bias": "bias",
        "fc.bias": "bias",
        "dense.bias": "ignored",
        "made.bias": "bias",
        "made.parametrizations.weight.original0": "original of a parametrization",
        "small.weight": "smaller than min_size 3",
        "small.bias": "bias",
    }
    named = PruningMask(model, targets=["fc"])
    assert named.left_out["dense.weight"] == "not among the targets"


def test_the_repr_names_the_largest_that_is_no_bias_or_norm():
    plain = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    assert repr(PruningMask(plain)) == "PruningMask(6 of 6 weights kept, density 1, 1 layers)"
    mask = PruningMask(nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2), nn.Bilinear(2, 2, 2)))
    assert repr(mask).endswith(
        "1 layers; left out: 2.weight (no weight of a layer that is known (Bilinear)) and 1 more)"
    )


def test_masks_made_from_a_mask_keep_it():
    model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 4))
    mask = PruningMask(model)
    assert mask.left_out == {"0.weight": "embedding", "1.bias": "bias"}
    others = [
        prune(model, mask, sparsity=0.5),
        prune(model, mask, sparsity=0.5, scope="layerwise"),
        prune(model, mask, sparsity=0.5, structure="2:4"),
        prune(model, mask, sparsity=0.5, structure="block:2x2"),
        shuffle(mask, torch.Generator()),
        shuffle(mask, torch.Generator(), structure="2:4"),
        shuffle(mask, torch.Generator(), structure="channel"),
        mask.to("cpu"),
        copy.deepcopy(mask),
        pickle.loads(pickle.dumps(mask)),
    ]
    assert all(other.left_out == mask.left_out for other in others)
    assert PruningMask.from_tensors(dict(mask)).left_out == {}
    assert PruningMask.from_tensors(dict(mask)) == mask  # it is no part of what masks are


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (nn.ReLU(), {}, "no parameters"),
        (
            nn.Sequential(nn.Embedding(9, 4), nn.LayerNorm(4)),
            {},
            (
                "0.weight (embedding), 1.weight (norm), 1.bias (bias); "
                "name what to prune, such as targets=['0.weight']"
            ),
        ),
        (
            nn.Linear(4, 2),
            {"min_size": 9},
            (
                "weight (smaller than min_size 9), bias (bias); leave "
                "less out with ignore= or min_size="
            ),
        ),
        (
            nn.Linear(4, 2),
            {"ignore": ["Linear"]},
            ("weight (ignored), bias (ignored); leave less out with ignore= or min_size="),
        ),
    ],
)
def test_nothing_to_prune(model, options, message):
    for call in (PruningMask, lambda model, **how: prune(model, sparsity=0.5, **how)):
        with pytest.raises(UsageError) as refused:
            call(model, **options)
        assert str(refused.value) == f"nothing to prune: the model has {message}"


def test_what_the_message_names_can_be_pruned():
    model = Own()
    with pytest.raises(UsageError, match=r"such as targets=\['matrix'\]"):
        PruningMask(model)
    assert prune(model, sparsity=0.5, targets=["matrix"]).num_kept == 10
