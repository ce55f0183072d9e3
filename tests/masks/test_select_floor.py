import math
from fractions import Fraction

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Budget, PruningMask, budget, select

law = settings(
    max_examples=80,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
score = st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 1.0, 2.0, math.inf])


@st.composite
def cases(draw):
    """(scores, mask, budget, floor): the mask keeps what the floor needs, and something more."""
    floor = draw(st.integers(0, 60)) / 100
    scores, masks, least = {}, {}, 0
    for name in draw(st.sampled_from([["b"], ["b", "a"], ["c", "a", "b"]])):
        shape = draw(st.sampled_from([(1,), (5,), (2, 3), (2, 1, 2, 2)]))
        size = math.prod(shape)
        needed = math.ceil(Fraction(str(floor)) * size)
        order = draw(st.permutations(range(size)))
        num_kept = draw(st.integers(needed, size))
        masks[name] = torch.tensor([index < num_kept for index in order]).view(shape)
        values = draw(st.lists(score, min_size=size, max_size=size))
        scores[name] = torch.tensor(values).view(shape)
        least += needed
    mask = PruningMask.from_tensors(masks)
    return scores, mask, Budget(draw(st.integers(least, mask.num_kept))), floor


def oracle(scores, mask, budget, floor):
    """All entries in the order of `select`; first each layer's share, then the rest."""
    entries = [
        (-value, layer, index, name)
        for layer, name in enumerate(mask)
        for index, value in enumerate(scores[name].flatten().tolist())
        if mask[name].flatten()[index]
    ]
    entries.sort(key=lambda entry: entry[:3])
    chosen = []
    for name in mask:
        least = math.ceil(Fraction(str(floor)) * mask[name].numel())
        chosen += [entry for entry in entries if entry[3] == name][:least]
    rest = [entry for entry in entries if entry not in chosen]
    chosen += rest[: budget.total - len(chosen)]
    return {(name, index) for _, _, index, name in chosen}


def kept_of(mask):
    return {
        (name, index)
        for name, kept in mask.items()
        for index in kept.flatten().nonzero().flatten().tolist()
    }


def check_floor(select_fn):
    @law
    @given(cases())
    def check(case):
        scores, mask, budget, floor = case
        found = select_fn(scores, mask, budget, min_layer_density=floor)
        assert found.num_kept == budget.total
        assert found.is_nested_in(mask)
        assert list(found) == list(mask)
        for kept in found.values():
            assert int(kept.sum()) >= Fraction(str(floor)) * kept.numel()
        assert kept_of(found) == oracle(scores, mask, budget, floor)

    check()


def test_floor():
    check_floor(select)


def ignored(scores, mask, budget, *, min_layer_density):
    return select(scores, mask, budget)


def of_what_is_kept(scores, mask, budget, *, min_layer_density):
    """The floor as a fraction of what the mask keeps, not of the layer."""
    counts = {n: math.ceil(min_layer_density * int(m.sum())) for n, m in mask.items()}
    return reserve(scores, mask, budget, counts)


def rounded_down(scores, mask, budget, *, min_layer_density):
    counts = {n: math.floor(min_layer_density * m.numel()) for n, m in mask.items()}
    return reserve(scores, mask, budget, counts)


def on_top(scores, mask, budget, *, min_layer_density):
    """First the best of all, then each layer is filled up: too many."""
    counts = {n: math.ceil(min_layer_density * m.numel()) for n, m in mask.items()}
    filled = select(scores, mask, Budget(0, tuple(counts.items())))
    best = select(scores, mask, budget)
    return PruningMask.from_tensors({n: filled[n] | best[n] for n in mask})


def any_of_the_layer(scores, mask, budget, *, min_layer_density):
    """Reserves the first weights of a layer, not its best."""
    counts = {n: math.ceil(Fraction(str(min_layer_density)) * m.numel()) for n, m in mask.items()}
    return reserve(scores, mask, budget, counts, {n: torch.zeros(m.shape) for n, m in mask.items()})


def reserve(scores, mask, budget, counts, reserve_by=None):
    first = select(reserve_by or scores, mask, Budget(0, tuple(counts.items())))
    rest = PruningMask.from_tensors({n: mask[n] & ~first[n] for n in mask})
    more = select(scores, rest, Budget(budget.total - first.num_kept))
    return PruningMask.from_tensors({n: first[n] | more[n] for n in mask})


def test_the_mutants_have_a_right_sibling():
    def right(scores, mask, budget, *, min_layer_density):
        floor = Fraction(str(min_layer_density))
        counts = {n: math.ceil(floor * m.numel()) for n, m in mask.items()}
        return reserve(scores, mask, budget, counts)

    check_floor(right)


@pytest.mark.parametrize(
    "mutant", [ignored, of_what_is_kept, rounded_down, on_top, any_of_the_layer]
)
def test_other_floors_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_floor(mutant)


SCORES = {"b": torch.tensor([9.0, 8.0, 7.0, 6.0]), "a": torch.tensor([1.0, 2.0, 3.0, 3.0])}


def all_kept():
    return PruningMask.from_tensors({name: torch.ones(4, dtype=torch.bool) for name in SCORES})


def test_literal():
    found = select(SCORES, all_kept(), Budget(4), min_layer_density=0.25)
    assert found["b"].tolist() == [True, True, True, False]
    assert found["a"].tolist() == [False, False, True, False]
    assert select(SCORES, all_kept(), Budget(4))["a"].tolist() == [False] * 4


def test_a_chain_nests():
    mask = all_kept()
    for total in (6, 5, 4, 3, 2):
        found = select(SCORES, mask, Budget(total), min_layer_density=0.1)
        assert found.is_nested_in(mask)
        assert (found.num_kept, found["a"].sum() > 0) == (total, True)
        mask = found


def test_too_little_for_the_floor():
    with pytest.raises(UsageError) as caught:
        select(SCORES, all_kept(), Budget(3), min_layer_density=0.5)
    assert str(caught.value) == (
        "all layers: asked to keep 3 weights, but min_layer_density needs 4: b 2, a 2"
    )


def test_a_layer_already_below_the_floor():
    mask = select(SCORES, all_kept(), Budget(5))
    with pytest.raises(
        UsageError, match=r"^a, min_layer_density: asked to keep 2 weights of 1 left$"
    ):
        select(SCORES, mask, Budget(4), min_layer_density=0.5)


def test_more_than_is_kept():
    mask = select(SCORES, all_kept(), Budget(5))
    with pytest.raises(
        UsageError,
        match="all layers, beyond min_layer_density: asked to keep 4 weights of 3 left",
    ):
        select(SCORES, mask, Budget(6), min_layer_density=0.25)
    with pytest.raises(UsageError, match="asked to keep -1 weights"):
        select(SCORES, all_kept(), Budget(-1))


def test_a_budget_per_layer_must_have_the_floor_in_it():
    shapes = dict.fromkeys(SCORES, (4,))
    made = budget(shapes, scope="layerwise", density=0.5, min_layer_density=0.25)
    assert select(SCORES, all_kept(), made, min_layer_density=0.25) == select(
        SCORES, all_kept(), made
    )
    with pytest.raises(UsageError) as caught:
        select(SCORES, all_kept(), Budget(4, (("b", 4), ("a", 0))), min_layer_density=0.25)
    assert str(caught.value) == (
        "a: the budget keeps 0 weights, but min_layer_density needs 1; make the budget with it: "
        "budget(…, min_layer_density=…)"
    )


@pytest.mark.parametrize("floor", [-0.1, 1.1, math.nan, "0.1"])
def test_no_fraction(floor):
    with pytest.raises(UsageError, match=r"min_layer_density: .*a fraction"):
        select(SCORES, all_kept(), Budget(4), min_layer_density=floor)
