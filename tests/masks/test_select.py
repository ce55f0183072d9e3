import math

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Budget, PruningMask, _highest, select

law = settings(
    max_examples=80,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
# many ties, both zeros, infinities; and any finite float
score = st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 1.0, math.inf]) | st.floats(
    width=32, allow_nan=False
)


@st.composite
def cases(draw, scope):
    """(scores, mask, budget), the budget anything the mask can give."""
    scores, masks = {}, {}
    # not in alphabetical order: layers count in model order
    for name in draw(st.sampled_from([["b"], ["b", "a"], ["c", "a", "b"]])):
        shape = draw(st.sampled_from([(1,), (5,), (2, 3), (2, 1, 2, 2)]))
        size = math.prod(shape)
        values = draw(st.lists(score, min_size=size, max_size=size))
        kept = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        scores[name] = torch.tensor(values).view(shape)
        masks[name] = torch.tensor(kept).view(shape)
    counts = {name: draw(st.integers(0, int(mask.sum()))) for name, mask in masks.items()}
    total = sum(counts.values())
    budget = Budget(total) if scope == "global" else Budget(total, tuple(counts.items()))
    return scores, PruningMask.from_tensors(masks), budget


def oracle(scores, mask, budget):
    """Sort by (score downwards, layer, index) and keep the first: slow and plainly right."""
    entries = [
        (-value, layer, index, name)
        for layer, name in enumerate(mask)
        for index, value in enumerate(scores[name].flatten().tolist())
        if mask[name].flatten()[index]
    ]
    entries.sort(key=lambda entry: entry[:3])
    if budget.per_layer is None:
        chosen = entries[: budget.total]
    else:
        chosen = []
        for name, count in budget.per_layer:
            chosen += [entry for entry in entries if entry[3] == name][:count]
    kept = {name: torch.zeros(mask[name].numel(), dtype=torch.bool) for name in mask}
    for _, _, index, name in chosen:
        kept[name][index] = True
    return {name: flat.view(mask[name].shape) for name, flat in kept.items()}


def check_selection(select_fn, scope):
    @law
    @given(cases(scope))
    def check(case):
        scores, mask, budget = case
        found = select_fn(scores, mask, budget)
        assert found.num_kept == budget.total
        assert found.is_nested_in(mask)
        for name, wanted in oracle(scores, mask, budget).items():
            assert found[name].tolist() == wanted.tolist()
        if budget.per_layer is not None:
            assert [(name, int(kept.sum())) for name, kept in found.items()] == list(
                budget.per_layer
            )
        assert list(found) == list(mask)

    check()


@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_selection(scope):
    check_selection(select, scope)


@pytest.mark.parametrize("size", [1, 4])
def test_selection_in_chunks_of_any_size(size, monkeypatch):
    monkeypatch.setattr(_highest, "_CHUNK", size)
    check_selection(select, "global")


def test_chunks_that_lose_a_layer_are_caught(monkeypatch):
    monkeypatch.setattr(_highest, "_joined", lambda together: together[0])
    with pytest.raises(
        (AssertionError, IndexError, RuntimeError)
    ):  # there are not as many as are asked for
        check_selection(select, "global")


def pool(scores, mask, names):
    """All entries of some layers as flat (scores, is_kept)."""
    return torch.cat([scores[n].flatten() for n in names]), torch.cat(
        [mask[n].flatten() for n in names]
    )


def with_rule(choose, *, order=list):
    """A wrong `select` from a rule (scores, is_kept, count) → chosen, and an order of layers."""

    def select_fn(scores, mask, budget):
        groups = (
            [(order(mask), budget.total)]
            if budget.per_layer is None
            else [([name], count) for name, count in budget.per_layer]
        )
        kept = {}
        for names, count in groups:
            flat = choose(*pool(scores, mask, names), count)
            for name, piece in zip(
                names, flat.split([mask[n].numel() for n in names]), strict=True
            ):
                kept[name] = piece.view(mask[name].shape)
        return PruningMask.from_tensors({name: kept[name] for name in mask})

    return select_fn


def above_a_threshold(scores, is_kept, count):
    """open_lth: the largest pruned score is the threshold; all that tie with it go too."""
    ranked = scores[is_kept].sort().values
    num = len(ranked) - count
    return is_kept & (scores > ranked[num - 1]) if num else is_kept


def at_least_a_threshold(scores, is_kept, count):
    ranked = scores[is_kept].sort(descending=True).values
    return is_kept & (scores >= ranked[count - 1]) if count else torch.zeros_like(is_kept)


def stable(scores, is_kept, count):
    """The right rule, written another way."""
    ranked = scores.sort(descending=True, stable=True).indices
    chosen = torch.zeros_like(is_kept)
    chosen[ranked[is_kept[ranked]][:count]] = True
    return chosen


def last_of_the_tied(scores, is_kept, count):
    return stable(scores.flip(0), is_kept.flip(0), count).flip(0)


def pruned_ones_too(scores, is_kept, count):
    return stable(scores, torch.ones_like(is_kept), count)


def pruned_ones_at_score_zero(scores, is_kept, count):
    """Multiplying scores by the mask: a pruned weight ties with zeros and beats negatives."""
    return stable(torch.where(is_kept, scores, 0.0), torch.ones_like(is_kept), count)


def largest_magnitude(scores, is_kept, count):
    return stable(scores.abs(), is_kept, count)


def test_the_mutants_have_a_right_sibling():
    check_selection(with_rule(stable), "global")
    check_selection(with_rule(stable), "layerwise")


@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize(
    "rule",
    [
        above_a_threshold,
        at_least_a_threshold,
        last_of_the_tied,
        pruned_ones_too,
        pruned_ones_at_score_zero,
        largest_magnitude,
    ],
)
def test_wrong_rules_are_caught(rule, scope):
    with pytest.raises(AssertionError):
        check_selection(with_rule(rule), scope)


@pytest.mark.parametrize("order", [sorted, lambda mask: list(mask)[::-1]])
def test_other_layer_orders_are_caught(order):
    with pytest.raises(AssertionError):
        check_selection(with_rule(stable, order=order), "global")


def test_one_scope_for_the_other_is_caught():
    def layer_by_layer(scores, mask, budget):
        share = budget.total // len(mask)
        return select(scores, mask, Budget(0, tuple((name, share) for name in mask)))

    scores = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0, 4.0])}
    mask = all_kept(a=(2,), b=(2,))

    def check_ranks_all_layers_together(select_fn):
        found = select_fn(scores, mask, Budget(2))
        assert {name: kept.tolist() for name, kept in found.items()} == {
            "a": [False, False],
            "b": [True, True],
        }

    check_ranks_all_layers_together(select)
    with pytest.raises(AssertionError):
        check_ranks_all_layers_together(layer_by_layer)


def all_kept(**shapes):
    return PruningMask.from_tensors(
        {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}
    )


def test_literal_ties_across_layers():
    scores = {"b": torch.tensor([[1.0, 5.0], [1.0, 0.0]]), "a": torch.tensor([1.0, 1.0, -3.0])}
    found = select(scores, all_kept(b=(2, 2), a=(3,)), Budget(4))
    assert found["b"].tolist() == [[True, True], [True, False]]
    assert found["a"].tolist() == [True, False, False]


def test_positive_and_negative_zero_tie():
    scores = {"w": torch.tensor([-0.0, 0.0, -0.0, 0.0])}
    assert select(scores, all_kept(w=(4,)), Budget(2))["w"].tolist() == [True, True, False, False]


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_all_infinite(value):
    scores = {"w": torch.full((3,), value)}
    assert select(scores, all_kept(w=(3,)), Budget(1))["w"].tolist() == [True, False, False]


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64]
)
def test_any_dtype(dtype):
    scores = {"w": torch.tensor([1, 4, 2, 3], dtype=dtype)}
    assert select(scores, all_kept(w=(4,)), Budget(2))["w"].tolist() == [False, True, False, True]


def test_float64_scores_are_not_rounded():
    scores = {"w": torch.tensor([1.0, 1.0 + 1e-12], dtype=torch.float64)}
    assert select(scores, all_kept(w=(2,)), Budget(1))["w"].tolist() == [False, True]


def test_a_large_layer_keeps_exactly():
    scores = {"w": torch.randint(0, 7, (1000, 300), generator=torch.Generator().manual_seed(0))}
    for count in (0, 1, 123_457, 299_999, 300_000):
        assert select(scores, all_kept(w=(1000, 300)), Budget(count)).num_kept == count


def check_refuses_nan(select_fn, scores, mask, budget):
    message = "NaN was selected upon"
    try:
        select_fn(scores, mask, budget)
    except UsageError as error:
        message = str(error)
    assert message == "scores of 'a' contain NaN; nothing was pruned"


NAN = {"b": torch.ones(2), "a": torch.tensor([0.0, math.nan])}


@pytest.mark.parametrize("budget", [Budget(2), Budget(2, (("b", 1), ("a", 1)))])
def test_nan_raises(budget):
    mask = all_kept(b=(2,), a=(2,))
    check_refuses_nan(select, NAN, mask, budget)
    with pytest.raises(AssertionError):
        check_refuses_nan(with_rule(stable), NAN, mask, budget)


def test_asking_for_more_than_is_kept():
    mask = PruningMask.from_tensors({"w": torch.tensor([True, False])})
    scores = {"w": torch.ones(2)}
    with pytest.raises(UsageError, match="all layers: asked to keep 2 weights of 1 left"):
        select(scores, mask, Budget(2))
    with pytest.raises(UsageError, match="w: asked to keep 2 weights of 1 left"):
        select(scores, mask, Budget(2, (("w", 2),)))
    with pytest.raises(UsageError, match="asked to keep -1 weights"):
        select(scores, mask, Budget(-1))


def test_names_and_shapes_must_fit():
    mask = all_kept(a=(2,), b=(2,))
    scores = {"a": torch.ones(2), "b": torch.ones(2)}
    with pytest.raises(UsageError, match=r"scores are for \['a'\], the mask is for \['a', 'b'\]"):
        select({"a": torch.ones(2)}, mask, Budget(1))
    with pytest.raises(UsageError, match=r"scores: 'b' has shape \(1, 2\), its mask has \(2,\)"):
        select({"a": torch.ones(2), "b": torch.ones(1, 2)}, mask, Budget(1))
    with pytest.raises(UsageError, match=r"the budget is for \['a'\], the mask is for"):
        select(scores, mask, Budget(1, (("a", 1),)))
    with pytest.raises(UsageError, match="the mask names no layer"):
        select({}, PruningMask.from_tensors({}), Budget(0))


@pytest.mark.parametrize("budget", [Budget(3), Budget(3, (("b", 1), ("a", 2)))])
def test_arguments_stay_and_the_result_is_new(budget):
    scores = {"b": torch.tensor([3.0, 1.0]), "a": torch.tensor([[2.0, 2.0]])}
    mask = all_kept(b=(2,), a=(1, 2))
    before = {name: value.clone() for name, value in scores.items()}
    found = select(scores, mask, budget)
    assert mask == all_kept(b=(2,), a=(1, 2))
    assert all(torch.equal(scores[name], before[name]) for name in scores)
    for name in found:
        found[name].zero_()
    assert mask.num_kept == 4


def test_large_integer_scores_are_told_apart():
    mask = PruningMask.from_tensors({"w": torch.ones(3, dtype=torch.bool)})
    scores = {"w": torch.tensor([2**24, 2**24 + 1, 2**24])}
    assert select(scores, mask, Budget(1))["w"].tolist() == [False, True, False]
