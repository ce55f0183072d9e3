"""Saliency and SNIP against numerical derivatives with respect to a gate on each weight."""

import functools

import pytest
import torch
from small_nets import (
    all_kept,
    assert_same_scores,
    central_differences,
    joined,
    loss_at,
    mlp,
    pairs,
    pruned_copy,
    some_kept,
)
from torch import nn

from lottery_ticket.criteria import CRITERIA, score

BATCHES = pairs(7, 3, 1)


@functools.cache
def gate_derivatives():
    """∂L/∂c at c = 1 for the loss L over all examples, with c·w in place of each weight w."""
    model, mask = net()
    parameters = pruned_copy(model, mask)

    def loss(gates):
        gated = {n: parameters[n] * gates[n] if n in gates else parameters[n] for n in parameters}
        return loss_at(model, gated, joined(BATCHES))

    gates = {name: torch.ones_like(parameters[name]) for name in mask}
    return central_differences(loss, gates, step=1e-5)


def net():
    model = mlp(3, 4, 3, 3)
    return model, some_kept(model)


def scored(criterion):
    model, mask = net()
    return score(criterion, model=model, mask=mask, batches=BATCHES)


def check_saliency(criterion):
    """|∂L/∂c| of the loss over all examples, however they are cut into batches."""
    wanted = {name: gate.abs() for name, gate in gate_derivatives().items()}
    assert_same_scores(scored(criterion), wanted, atol=1e-9)


def check_snip(criterion):
    """|∂L/∂c| / Σ|∂L/∂c|, the sum over all layers; in the order of saliency."""
    total = sum(gate.abs().sum() for gate in gate_derivatives().values())
    wanted = {name: gate.abs() / total for name, gate in gate_derivatives().items()}
    found = scored(criterion)
    assert_same_scores(found, wanted, atol=1e-9)
    assert sum(float(values.sum()) for values in found.values()) == pytest.approx(1, abs=1e-12)


def test_saliency_is_the_derivative_by_a_gate():
    check_saliency("saliency")


def test_snip_is_the_normalised_derivative_by_a_gate():
    check_snip("snip")


def means(model, batches, batch_loss, of_batch, weigh):
    parameters = dict(model.named_parameters())
    found = []
    for batch in batches:
        grads = torch.autograd.grad(batch_loss(model, batch), list(parameters.values()))
        found.append(
            (
                weigh(batch),
                {
                    n: of_batch(g, parameters[n].detach())
                    for n, g in zip(parameters, grads, strict=True)
                },
            )
        )
    total = sum(weight for weight, _ in found)
    return {n: sum(w * values[n] for w, values in found) / total for n in parameters}


def size(batch):
    return len(batch[0])


def gradient_alone(model, mask, batches, batch_loss):
    found = means(model, batches, batch_loss, lambda g, w: g, size)
    return {name: found[name].abs() for name in mask}


def signed(model, mask, batches, batch_loss):
    found = means(model, batches, batch_loss, lambda g, w: g * w, size)
    return {name: found[name] for name in mask}


def squared(model, mask, batches, batch_loss):
    return {n: v.square() for n, v in signed(model, mask, batches, batch_loss).items()}


def each_batch_alike(model, mask, batches, batch_loss):
    found = means(model, batches, batch_loss, lambda g, w: g * w, lambda batch: 1)
    return {name: found[name].abs() for name in mask}


def absolute_values_of_batches(model, mask, batches, batch_loss):
    found = means(model, batches, batch_loss, lambda g, w: (g * w).abs(), size)
    return {name: found[name] for name in mask}


def first_batch_only(model, mask, batch, batch_loss):
    return CRITERIA["saliency"].function(model, mask, [batch], batch_loss)


def unmasked(model, mask, batches, batch_loss):
    model.load_state_dict(net()[0].state_dict())
    return CRITERIA["saliency"].function(model, mask, batches, batch_loss)


WRONG = [
    gradient_alone,
    signed,
    squared,
    each_batch_alike,
    absolute_values_of_batches,
    first_batch_only,
    unmasked,
]


@pytest.mark.parametrize("mutant", [*WRONG, CRITERIA["snip"]])
def test_other_saliencies_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_saliency(mutant)


def by_layer(model, mask, batches, batch_loss):
    scores = CRITERIA["saliency"].function(model, mask, batches, batch_loss)
    return {name: values / values.sum() for name, values in scores.items()}


def by_the_largest(model, mask, batches, batch_loss):
    scores = CRITERIA["saliency"].function(model, mask, batches, batch_loss)
    largest = max(values.max() for values in scores.values())
    return {name: values / largest for name, values in scores.items()}


@pytest.mark.parametrize("mutant", [by_layer, by_the_largest, CRITERIA["saliency"], *WRONG])
def test_other_snips_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_snip(mutant)


def test_snip_ranks_as_saliency_to_the_last_tie():
    """In float32 a division could make two scores one."""
    model = mlp(3, 40, 40, 3).float()
    batches = [(x.float(), y) for x, y in BATCHES]
    both = [
        score(name, model=model, mask=all_kept(model), batches=batches)
        for name in ("saliency", "snip")
    ]
    flat = [torch.cat([values.flatten() for values in scores.values()]) for scores in both]
    assert flat[0].dtype == torch.float32
    assert flat[1].dtype == torch.float64
    ranks = [values.unique(return_inverse=True)[1] for values in flat]
    assert torch.equal(*ranks)


@pytest.mark.parametrize("name", ["saliency", "snip"])
def test_pruned_and_dead_weights_score_zero(name):
    model, mask = net()
    scores = score(name, model=model, mask=mask, batches=BATCHES)
    assert not any(scores[n][~mask[n]].any() for n in mask)
    assert all(scores[n][mask[n]].any() for n in mask)
    dead = {n: torch.zeros_like(kept) for n, kept in mask.items()}
    assert not any(v.any() for v in score(name, model=model, mask=dead, batches=BATCHES).values())


def check_rescaling(name):
    """A ReLU net computes the same when a layer is scaled up and the next one down."""
    model = mlp(3, 4, 5, 3, activation=nn.ReLU)
    arguments = {"mask": some_kept(model), "batches": BATCHES}
    wanted = score(name, model=model, **arguments)
    with torch.no_grad():
        model[0].weight.mul_(8), model[0].bias.mul_(8), model[2].weight.div_(8)
    assert_same_scores(score(name, model=model, **arguments), wanted)


@pytest.mark.parametrize("name", ["saliency", "snip"])
def test_scores_do_not_depend_on_the_scale_of_layers(name):
    check_rescaling(name)


def test_scores_that_depend_on_the_scale_of_layers_are_caught():
    with pytest.raises(AssertionError):
        check_rescaling("magnitude")


def test_a_tied_weight_is_scored_for_all_its_uses():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(3, 3, bias=False, dtype=torch.float64)
            self.two = nn.Linear(3, 3, bias=False, dtype=torch.float64)
            self.two.weight = self.one.weight

        def forward(self, x):
            return self.two(self.one(x).tanh())

    model = Tied()
    parameters = {"one.weight": model.one.weight.detach()}
    gradients = central_differences(
        lambda moved: loss_at(model, moved, joined(BATCHES)), parameters, step=1e-5
    )
    wanted = gradients["one.weight"] * parameters["one.weight"]
    for name in ("one.weight", "two.weight"):
        mask = {name: torch.ones(3, 3, dtype=torch.bool)}
        found = score("saliency", model=model, mask=mask, batches=BATCHES)
        assert_same_scores(found, {name: wanted.abs()}, atol=1e-9)
