"""Law 1 for `amount`: it is of what remains, to the last half."""

from fractions import Fraction
from math import floor

import pytest
import torch
from torch import nn

from lottery_ticket import UsageError
from lottery_ticket.masks import PruningMask
from lottery_ticket.pruning import prune


def num_pruned(remaining, amount):
    return floor(Fraction(str(amount)) * remaining + Fraction(1, 2))


def check_amount(prune, model, mask, amount):
    """`floor(amount · remaining + ½)` are pruned of what remains."""
    found = prune(model, mask, amount=amount)
    assert mask.num_kept - found.num_kept == num_pruned(mask.num_kept, amount)


@pytest.mark.parametrize("amount", [0.2, 0.15, 0.3])
def test_amount_is_of_what_remains(amount, case_of):
    model = case_of("MLP").model
    mask = PruningMask(model)
    for _ in range(5):
        check_amount(prune, model, mask, amount)
        mask = prune(model, mask, amount=amount)


def test_half_a_weight_is_rounded_up():
    model = nn.Linear(6, 1, bias=False)
    mask = PruningMask.from_tensors({"weight": torch.tensor([[True] * 5 + [False]])})
    check_amount(prune, model, mask, 0.5)


@pytest.mark.parametrize("scope", ["global", "layerwise", "erk"])
def test_amount_of_channels(scope, case_of):
    """Of the weights that remain, to half a channel of the largest layer (in each layer)."""
    model = case_of("ResNet20").model
    mask = prune(model, density=0.5, structure="channel", scope=scope)
    found = prune(model, mask, amount=0.2, structure="channel", scope=scope)
    assert found.is_nested_in(mask)
    assert found.num_prunable == mask.num_prunable
    channels = [kept[0].numel() for kept in mask.values()]
    off = max(channels) if scope == "global" else sum(channels)
    assert abs(found.num_kept - 0.8 * mask.num_kept) <= off / 2


def test_amount_of_blocks_is_refused(case_of):
    """A density of groups is not one of weights; a chain of densities is of groups throughout."""
    model = case_of("MLP").model
    mask = prune(model, density=0.5, structure="block:4x4", scope="layerwise")
    with pytest.raises(UsageError, match="amount is of the weights that remain"):
        prune(model, mask, amount=0.2, structure="block:4x4")
    found = prune(model, mask, density=0.4, structure="block:4x4", scope="layerwise")
    assert found.is_nested_in(mask)
    assert found.num_kept < mask.num_kept


def test_amount_in_each_layer(case_of):
    """After layers were pruned together, so that one has less left than the others."""
    model = case_of("MLP").model
    mask = prune(model, density=0.2)
    found = prune(model, mask, amount=0.2, scope="layerwise")
    for name, kept in mask.items():
        before, after = int(kept.sum()), int(found[name].sum())
        assert before - after == num_pruned(before, 0.2)


def of_all(model, mask, *, amount, **asked):
    return prune(model, mask, sparsity=min(1 - mask.density + amount, 0.99), **asked)


def test_an_amount_of_all_is_caught(case_of):
    model = case_of("MLP").model
    with pytest.raises(AssertionError):
        check_amount(of_all, model, prune(model, density=0.5), 0.2)
