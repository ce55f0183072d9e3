"""GraSP against an explicit Hessian, numerical gradient flow, and its paper's rule."""

import functools

import pytest
import torch
import torch.nn.functional as F
from small_nets import (
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

from lottery_ticket.criteria import CRITERIA, grasp, score
from lottery_ticket.errors import UsageError

BATCHES = pairs(6, 2, 3)


def net():
    model = mlp(3, 4, 3)
    return model, some_kept(model, density=0.8)


def flat_loss(model, mask, temperature, batch):
    """The loss as a function of all scored weights in one vector, and that vector."""
    parameters = pruned_copy(model, mask)

    def loss(vector):
        pieces = vector.split([parameters[name].numel() for name in mask])
        moved = {n: p.view(mask[n].shape) for n, p in zip(mask, pieces, strict=True)}
        return loss_at(model, {**parameters, **moved}, batch, temperature)

    return loss, torch.cat([parameters[name].flatten() for name in mask])


@functools.cache
def by_hessian(temperature):
    """w · (H g), H in full."""
    model, mask = net()
    loss, vector = flat_loss(model, mask, temperature, joined(BATCHES))
    gradient = torch.autograd.functional.jacobian(loss, vector)
    hessian = torch.autograd.functional.hessian(loss, vector)
    assert hessian.shape == (24, 24)
    pieces = (vector * (hessian @ gradient)).split([kept.numel() for kept in mask.values()])
    return {n: piece.view(mask[n].shape) for n, piece in zip(mask, pieces, strict=True)}


def check_grasp(criterion, temperature):
    model, mask = net()
    found = score(criterion, model=model, mask=mask, batches=BATCHES)
    assert_same_scores(found, by_hessian(temperature), rtol=1e-8, atol=1e-18)
    values = torch.cat([scores.flatten() for scores in found.values()])
    assert (values > 0).any()
    assert (values < 0).any()


def test_grasp_is_weight_times_hessian_times_gradient():
    check_grasp("grasp", temperature=200.0)
    check_grasp(functools.partial(grasp, temperature=1), temperature=1.0)
    check_grasp(functools.partial(grasp, temperature=3.0), temperature=3.0)


def negated(model, mask, batches, batch_loss):
    return {n: -s for n, s in grasp(model, mask, batches, batch_loss).items()}


def absolute(model, mask, batches, batch_loss):
    return {n: s.abs() for n, s in grasp(model, mask, batches, batch_loss).items()}


def batch_by_batch(model, mask, batches, batch_loss):
    """Σ H_b g_b instead of H g."""
    found = [(len(b[0]), grasp(model, mask, [b], batch_loss)) for b in batches]
    return {n: sum(size * scores[n] for size, scores in found) / 11 for n in mask}


def each_batch_alike(model, mask, batches, batch_loss):
    found = [grasp(model, mask, [b], batch_loss) for b in batches]
    return {n: sum(scores[n] for scores in found) / 3 for n in mask}


def biases_too(model, mask, batches, batch_loss):
    everything = dict(model.named_parameters())
    scores = grasp(model, everything, batches, batch_loss)
    return {name: scores[name] for name in mask}


def without_hessian(model, mask, batches, batch_loss):
    """w·g·g."""
    scores = CRITERIA["saliency"].function(model, mask, batches, batch_loss)
    return {n: s.square() for n, s in scores.items()}


MUTANTS = [
    negated,
    absolute,
    batch_by_batch,
    each_batch_alike,
    biases_too,
    without_hessian,
    functools.partial(grasp, temperature=1),
]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_other_scores_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_grasp(mutant, temperature=200.0)


def check_gradient_flow(criterion):
    """The score is half of what gᵀg loses, to first order, as the weight is scaled to zero."""
    model, mask = net()
    loss, vector = flat_loss(model, mask, 1.0, joined(BATCHES))

    def flow(gates):
        moved = (vector * gates["c"]).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(moved), moved)
        return gradient.square().sum()

    found = score(criterion, model=model, mask=mask, batches=BATCHES)
    by_gate = central_differences(flow, {"c": torch.ones_like(vector)}, step=1e-5)["c"]
    values = torch.cat([scores.flatten() for scores in found.values()])
    torch.testing.assert_close(values, by_gate / 2, rtol=1e-5, atol=1e-10)


def test_what_the_score_means():
    check_gradient_flow(functools.partial(grasp, temperature=1))


@pytest.mark.parametrize("mutant", [negated, absolute, batch_by_batch, grasp])
def test_scores_that_mean_something_else_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_gradient_flow(mutant)


def test_the_highest_of_the_papers_measure_are_removed():
    """The paper removes the highest S = −w·Hg; we keep the highest scores."""
    model, mask = net()
    scores = score("grasp", model=model, mask=mask, batches=BATCHES)
    ours = torch.cat([values.flatten() for values in scores.values()])
    theirs = -torch.cat([values.flatten() for values in by_hessian(200.0).values()])
    num_removed = 8
    removed = theirs.topk(num_removed).indices
    assert sorted(ours.topk(len(ours) - num_removed).indices.tolist()) == [
        index for index in range(len(ours)) if index not in removed
    ]


def test_attention_is_differentiated_twice():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(4, 12, bias=False)
            self.out = nn.Linear(4, 3)

        def forward(self, x):
            q, k, v = self.qkv(x)[:, None].chunk(3, dim=-1)
            return self.out(F.scaled_dot_product_attention(q, k, v)[:, 0].mean(1))

    torch.manual_seed(0)
    model = Attention()
    x, y = torch.randn(5, 6, 4), torch.randint(3, (5,))
    mask = {"qkv.weight": torch.ones(12, 4, dtype=torch.bool)}
    found = score("grasp", model=model, mask=mask, batches=[(x, y)])["qkv.weight"]
    wanted = score("grasp", model=model.double(), mask=mask, batches=[(x.double(), y)])
    torch.testing.assert_close(found.double(), wanted["qkv.weight"], rtol=1e-3, atol=1e-13)
    assert found.any()


def test_a_loss_without_curvature_scores_zero():
    model = nn.Linear(3, 2)
    scores = score(
        grasp,
        model=model,
        mask={"weight": torch.ones(2, 3, dtype=torch.bool)},
        batches=[torch.ones(4, 3)],
        batch_loss=lambda model, batch: model(batch).mean(),
    )
    assert not scores["weight"].any()


def test_a_model_that_computes_its_loss_is_not_tempered():
    class Output(dict):
        pass

    class Own(nn.Linear):
        def forward(self, x, labels):
            return Output(loss=F.cross_entropy(super().forward(x), labels))

    torch.manual_seed(0)
    model = Own(3, 3).double()
    (x, y) = joined(BATCHES)
    given = {"mask": {"weight": torch.ones(3, 3, dtype=torch.bool)}, "model": model}
    with pytest.raises(
        UsageError,
        match=r"output is a Output, which cannot be divided by the temp"
        r"erature 200; pass functools.partial\(grasp, temperature=1\)",
    ):
        score("grasp", batches=[{"x": x, "labels": y}], **given)
    assert not model._forward_hooks
    found = score(functools.partial(grasp, temperature=1), batches=[{"x": x, "labels": y}], **given)
    plain = nn.Linear(3, 3).double()
    plain.load_state_dict(model.state_dict())
    given["model"] = plain
    assert_same_scores(
        found, score(functools.partial(grasp, temperature=1), batches=[(x, y)], **given)
    )
