"""Law 2: along a chain masks nest, by the LTH's own counts; ignored layers count nowhere."""

from fractions import Fraction
from math import floor

import pytest
import torch
from contract_nets import SCOPES, brief, rows

from lottery_ticket.masks import Budget, PruningMask
from lottery_ticket.pruning import iterative, next_mask
from lottery_ticket.seeds import generator

RATE, LEVELS = 0.35, 3


def chain_of(dense, scope):
    shapes = {name: tuple(kept.shape) for name, kept in dense.items()}
    return iterative(RATE, LEVELS).budgets(shapes, scope=scope)[1:]


@torch.no_grad()
def jostle_(model, level):
    """Other weights at each level, so that no chain nests by luck; pruned ones grow back."""
    stream = torch.Generator().manual_seed(level)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            noise = torch.randn(parameter.shape, generator=stream)
            parameter.add_(noise * parameter.std())


def check_chain(next_mask, case, criterion, scope):
    """The first and the last layer are ignored."""
    every = PruningMask(case.model)
    layers = list(every)
    mask = PruningMask(case.model, ignore=[layers[0], layers[-1]])
    assert list(mask) == layers[1:-1]
    for level, keep in enumerate(chain_of(mask, scope)):
        jostle_(case.model, level)
        given = {"scope": scope, "model": case.model, "generator": stream(), **case.given}
        found = next_mask(brief(criterion), mask, keep, **given)
        assert found.is_nested_in(mask)
        check_pruned(found, mask, scope)
        assert found.num_prunable == sum(every[name].numel() for name in layers[1:-1])
        assert found.density == found.num_kept / found.num_prunable
        ignored = case.model.get_parameter(layers[0]).detach().clone()
        found.apply(case.model)
        assert torch.equal(case.model.get_parameter(layers[0]), ignored)
        mask = found


def check_pruned(found, mask, scope):
    """`floor(rate · remaining + ½)` fewer: over all layers, or in each."""
    counts = [
        (sum(before), sum(after)) if scope != "layerwise" else (before[number], after[number])
        for before, after in [[[int(k.sum()) for k in m.values()] for m in (mask, found)]]
        for number in range(len(before))
    ]
    for before, after in counts:
        assert before - after == floor(Fraction(str(RATE)) * before + Fraction(1, 2))


def stream():
    return generator(0, "mask")


ROWS = [
    *rows(nets=("MLP", "LSTM", "attention"), has_long=False),
    *((net, "magnitude", scope) for net in ("LeNet5", "ResNet20") for scope in SCOPES),
]


@pytest.mark.parametrize(("net", "criterion", "scope"), ROWS)
def test_masks_nest(net, criterion, scope, case_of):
    check_chain(next_mask, case_of(net), criterion, scope)


def from_scratch(criterion, mask, keep, **given):
    ones = {name: torch.ones_like(kept) for name, kept in mask.items()}
    return next_mask(criterion, PruningMask.from_tensors(ones), keep, **given)


def one_more(criterion, mask, keep, **given):
    layers = None
    if keep.per_layer is not None:
        (name, count), *rest = keep.per_layer
        layers = ((name, count + 1), *rest)
    return next_mask(criterion, mask, Budget(keep.total + 1, layers), **given)


def counts_ignored_layers(criterion, mask, keep, *, model, **given):
    """As if what is ignored were prunable, and kept."""
    every = PruningMask(model)
    whole = PruningMask.from_tensors({name: mask.get(name, every[name]) for name in every})
    num_others = whole.num_prunable - mask.num_prunable
    asked = {**given, "model": model, "scope": "global"}
    found = next_mask(criterion, whole, Budget(keep.total + num_others), **asked)
    return PruningMask.from_tensors({name: found[name] for name in mask})


@pytest.mark.parametrize("scope", ["global", "layerwise", "erk"])
@pytest.mark.parametrize("net", ["MLP", "LSTM"])
@pytest.mark.parametrize("mutant", [from_scratch, one_more, counts_ignored_layers])
def test_other_chains_are_caught(mutant, net, scope, case_of):
    with pytest.raises(AssertionError):
        check_chain(mutant, case_of(net), "magnitude", scope)
