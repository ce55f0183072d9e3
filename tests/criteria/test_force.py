"""FORCE and iterative SNIP against their papers' loops, written out."""

import functools
import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from small_nets import all_kept, mlp, pairs, some_kept

from lottery_ticket.criteria import CRITERIA, Criterion, force, iterative_snip, score
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Budget, PruningMask, budget
from lottery_ticket.pruning import next_mask, prune

ROUNDS = 7


def best(scores, count):
    """The `count` highest of a flat tensor; on a tie the first."""
    kept = torch.zeros(len(scores), dtype=torch.bool)
    kept[scores.argsort(descending=True, stable=True)[:count]] = True
    return kept


def written_out(model, batches, first, count, *, comes_back):
    """Rounds of |w · gradient in the pruned net|, of all weights or of those still kept."""
    weights = {n: p.detach().clone() for n, p in model.named_parameters()}
    names = list(first)
    flat = torch.cat([first[n].flatten() for n in names])
    among, kept, num = flat.clone(), flat.clone(), int(flat.sum())
    for number in range(1, ROUNDS + 1):
        parts = kept.split([first[n].numel() for n in names])
        pruned = dict(weights)
        for name, part in zip(names, parts, strict=True):
            pruned[name] = (weights[name] * part.view(weights[name].shape)).requires_grad_()
        x, y = torch.cat([b[0] for b in batches]), torch.cat([b[1] for b in batches])
        loss = F.cross_entropy(torch.func.functional_call(model, pruned, (x,)), y)
        found = torch.autograd.grad(loss, [pruned[n] for n in names])
        scores = torch.cat(
            [(weights[n] * g).abs().flatten() for n, g in zip(names, found, strict=True)]
        )
        scores[~(among if comes_back else kept)] = -1.0
        left = count if number == ROUNDS else exactly(num, count, number, len(flat))
        kept = best(scores, left)
    parts = kept.split([first[n].numel() for n in names])
    return {n: part.view(first[n].shape) for n, part in zip(names, parts, strict=True)}


def exactly(num, count, number, size):
    """What a round keeps of all `size` weights, as `budget` rounds it."""
    density = num / size * (count / num) ** (number / ROUNDS)
    return budget({"all": (size,)}, scope="global", density=density).total


def check_rounds(criterion, comes_back):
    for seed in range(4):
        model, batches = mlp(3, 8, 6, 3, seed=seed), pairs(5, 9, seed=seed)
        for first in (all_kept(model), some_kept(model)):
            mask = PruningMask.from_tensors(first)
            count = mask.num_kept // 5
            found = next_mask(
                Criterion(criterion, rounds=ROUNDS), mask, Budget(count), model=model,
                batches=batches,
            )  # fmt: skip
            wanted = written_out(model, batches, first, count, comes_back=comes_back)
            assert found.num_kept == count
            assert found.is_nested_in(mask)
            for name, kept in found.items():
                assert kept.tolist() == wanted[name].tolist()


def test_rounds_are_those_of_the_paper():
    check_rounds(force, comes_back=True)
    check_rounds(iterative_snip, comes_back=False)


def of_the_whole_net(model, mask, kept, batches, batch_loss):
    return force(model, mask, mask, batches, batch_loss)


def of_pruned_weights(model, mask, kept, batches, batch_loss):
    found = force(model, mask, kept, batches, batch_loss)
    return {name: score * kept[name] for name, score in found.items()}


@pytest.mark.parametrize(
    "wrong", [of_the_whole_net, of_pruned_weights, iterative_snip], ids=lambda f: f.__name__
)
def test_other_rounds_are_caught(wrong):
    with pytest.raises(AssertionError):
        check_rounds(wrong, comes_back=True)


def test_a_way_back_is_caught():
    with pytest.raises(AssertionError):
        check_rounds(force, comes_back=False)


def test_weights_come_back():
    model, batches = mlp(3, 8, 6, 3), pairs(5, 9)
    seen = []

    def watched(model, mask, kept, batches, batch_loss):
        seen.append(PruningMask.from_tensors(kept))
        return force(model, mask, kept, batches, batch_loss)

    mask = PruningMask.from_tensors(all_kept(model))
    next_mask(Criterion(watched, rounds=20), mask, Budget(9), model=model, batches=batches)
    assert seen[0] == mask
    pairs_of_rounds = itertools.pairwise(seen)
    assert any(not later.is_nested_in(earlier) for earlier, later in pairs_of_rounds)


@pytest.mark.filterwarnings("ignore::lottery_ticket.masks.LayerCollapseWarning")
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 78))
def test_counts_are_exact(count):
    model = mlp(3, 8, 5, 3)  # 79 weights
    for name in ("force", "iterative_snip"):
        mask = prune(
            model, PruningMask(model), sparsity=1 - count / 79, criterion=name, batches=pairs(4)
        )
        assert mask.num_kept == count


def test_what_it_was_scored_by_is_as_it_was():
    model, batches = mlp(3, 4, 3), pairs(4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    score("force", model=model, mask=all_kept(model), kept=some_kept(model), batches=batches)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert (CRITERIA["force"].rounds, CRITERIA["iterative_snip"].rounds) == (60, 60)
    assert (CRITERIA["force"].regrows, CRITERIA["iterative_snip"].regrows) == (True, False)


def test_what_was_kept_must_fit():
    model = mlp(3, 4, 3)
    scored = functools.partial(score, "force", model=model, mask=all_kept(model), batches=pairs(4))
    with pytest.raises(UsageError, match=r"kept: no '2\.weight'"):
        scored(kept={"0.weight": all_kept(model)["0.weight"]})
