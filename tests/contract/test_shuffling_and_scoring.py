"""Law 5: a shuffled mask is permuted within its layers; scoring leaves no trace."""

import random

import numpy as np
import pytest
import torch
from contract_nets import BUILT_IN, NETS
from torch import nn

from lottery_ticket.criteria import score
from lottery_ticket.masks import PruningMask, shuffle
from lottery_ticket.pruning import prune
from lottery_ticket.seeds import generator


def check_shuffles(shuffle, case):
    """Counts per layer stay; positions are as by chance, rows and columns included."""
    for structure in ("unstructured", "channel"):
        ones = PruningMask(case.model, targets=["re:.*"])
        mask = prune(case.model, ones, density=0.5, scope="layerwise", structure=structure)
        before = PruningMask.from_tensors({name: kept.clone() for name, kept in mask.items()})
        found, again = (shuffle(mask, generator(0, "control", draw)) for draw in (0, 1))
        assert mask == before
        assert found == shuffle(mask, generator(0, "control", 0))
        for name, kept in mask.items():
            assert found[name].shape == kept.shape
            assert int(found[name].sum()) == int(kept.sum()), f"{name} has another count"
            check_by_chance(found[name], kept)
            check_by_chance(found[name], again[name])
        rows = torch.cat([kept.flatten(1).float().mean(1) for kept in found.values()])
        assert ((rows > 0) & (rows < 1)).float().mean() > 0.9, "whole rows were moved"


def check_by_chance(found, kept):
    """Both keep `density²` of the weights, within five standard deviations."""
    density = kept.float().mean()
    deviation = density * (1 - density) / (kept.numel() - 1) ** 0.5
    overlap = (found & kept).float().mean()
    assert abs(overlap - density**2) <= 5 * deviation


@pytest.mark.parametrize("net", NETS)
def test_shuffled_masks_are_permuted(net, case_of):
    check_shuffles(shuffle, case_of(net))


def not_at_all(mask, stream):
    return mask


def the_same_each_time(mask, stream):
    return shuffle(mask, generator(7))


def over_all_layers(mask, stream):
    flat = torch.cat([kept.flatten() for kept in mask.values()])
    flat = flat[torch.randperm(len(flat), generator=stream)]
    pieces = flat.split([kept.numel() for kept in mask.values()])
    return PruningMask.from_tensors(
        {n: p.view(mask[n].shape) for n, p in zip(mask, pieces, strict=True)}
    )


def rows_only(mask, stream):
    return PruningMask.from_tensors(
        {n: k[torch.randperm(len(k), generator=stream)] for n, k in mask.items()}
    )


def in_place(mask, stream):
    for name, kept in shuffle(mask, stream).items():
        mask[name].copy_(kept)
    return mask


@pytest.mark.parametrize("net", ["MLP", "LeNet5"])
@pytest.mark.parametrize(
    "mutant", [not_at_all, the_same_each_time, over_all_layers, rows_only, in_place]
)
def test_other_shuffles_are_caught(mutant, net, case_of):
    with pytest.raises(AssertionError):
        check_shuffles(mutant, case_of(net))


def bits(tensor):
    return None if tensor is None else tensor.detach().contiguous().numpy().tobytes()


def portrait(model):
    """All that training on would notice."""
    tensors = {
        name: (id(p), bits(p), p.requires_grad, id(p.grad), bits(p.grad))
        for name, p in model.named_parameters()
    }
    buffers = {name: (id(b), bits(b)) for name, b in model.named_buffers()}
    modules = {
        path: (id(m), m.training, len(m._forward_hooks), len(m._forward_pre_hooks))
        for path, m in model.named_modules()
    }
    return tensors, buffers, modules, list(model.state_dict())


def random_states():
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()


def check_leaves_no_trace(score, case, criterion):
    """In mixed modes, and with some gradients there."""
    model = case.model
    model.train()
    list(model.modules())[-1].eval()
    x, y = case.batches[0]
    nn.functional.cross_entropy(model(x), y).backward()
    parameters = list(model.parameters())
    parameters[0].grad = None
    parameters[-1].requires_grad_(False)
    mask = prune(model, density=0.5, scope="layerwise")
    given = {**case.given, "batches": [(x.clone(), y.clone())]}
    before, numbers = portrait(model), random_states()
    scores = score(criterion, model=model, mask=mask, generator=generator(0), **given)
    assert {n: s.shape for n, s in scores.items()} == {n: k.shape for n, k in mask.items()}
    for values in scores.values():
        values.fill_(7.0)  # shares no memory with the model
    # compared outside assert: pytest would spend minutes on the difference of a caught mutant
    is_same_model, are_same_numbers = portrait(model) == before, random_states() == numbers
    assert is_same_model
    assert are_same_numbers
    assert torch.equal(given["batches"][0][0], x)


@pytest.mark.parametrize("criterion", BUILT_IN)
@pytest.mark.parametrize("net", NETS)
def test_scoring_leaves_no_trace(net, criterion, case_of):
    check_leaves_no_trace(score, case_of(net), criterion)


def magnitudes(model, mask):
    return {name: model.get_parameter(name).detach().abs() for name in mask}


def by_hand(criterion, *, model, mask, batches, **_):
    """Gradients as a script takes them."""
    x, y = batches[0]
    nn.functional.cross_entropy(model(x), y).backward()
    return magnitudes(model, mask)


def runs_it(criterion, *, model, mask, batches, **_):
    with torch.no_grad():
        model(batches[0][0])
    return magnitudes(model, mask)


def leaves_evaluation_mode(criterion, *, model, mask, **_):
    model.eval()
    return magnitudes(model, mask)


def leaves_zeros(criterion, *, model, mask, **_):
    mask.apply(model)
    return magnitudes(model, mask)


def returns_the_weights(criterion, *, model, mask, **_):
    return {name: model.get_parameter(name).detach() for name in mask}


@pytest.mark.parametrize(
    ("mutant", "net"),
    [
        *((by_hand, net) for net in NETS),
        *((runs_it, net) for net in ("attention", "ResNet20")),  # dropout draws, averages move
        *((leaves_evaluation_mode, net) for net in ("MLP", "LSTM")),
        (leaves_zeros, "LeNet5"),
        (returns_the_weights, "LSTM"),
    ],
)
def test_traces_are_caught(mutant, net, case_of):
    with pytest.raises(AssertionError):
        check_leaves_no_trace(mutant, case_of(net), "magnitude")
