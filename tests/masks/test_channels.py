"""Whole channels: the nearest number of weights, by the mean of each, never all of a layer."""

import math
import warnings
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import (
    Asked,
    Budget,
    MissedDensityWarning,
    PruningMask,
    budget_erk,
    channels_at,
    is_cut_by_channels,
    select_channels,
    warn_if_missed,
)

law = settings(
    max_examples=80,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
SHAPES = [(1, 1), (5, 3), (3, 4), (2, 2, 3), (3, 2, 1, 2), (6, 1)]
# few values, so that means tie; whole ones, so that sums are exact in floats
SCORES = st.integers(-2, 3)


def channels_of(scores, mask, dims):
    """(layer, channel) → (mean score of its kept weights, how many those are), by loops."""
    found = {}
    for name, kept in mask.items():
        output = 1 - dims.get(name, 1)
        for index in torch.cartesian_prod(*map(torch.arange, kept.shape)).tolist():
            values = found.setdefault((name, index[output]), [])
            if bool(kept[tuple(index)]):
                values.append(int(scores[name][tuple(index)]))
    return {key: (Fraction(sum(v), len(v)), len(v)) for key, v in found.items() if v}


def nearest(channels, names, target, least):
    """Which channels to keep: of all ways to cut the lowest, the nearest to the target."""
    ranked = sorted(
        (key for key in channels if key[0] in names),
        key=lambda key: (-channels[key][0], names.index(key[0]), key[1]),
    )
    first = {key for n in names for key in [k for k in ranked if k[0] == n][: least[n]]}
    others = [key for key in ranked if key not in first]
    ways = [first | set(others[:count]) for count in range(len(others) + 1)]

    def missed(kept):
        size = sum(channels[key][1] for key in kept)
        return abs(size - target), size

    return min(ways, key=missed)


def oracle(scores, mask, asked, dims):
    channels, names = channels_of(scores, mask, dims), list(mask)
    least = {}
    for name in names:
        all_of = mask[name].shape[1 - dims.get(name, 1)]
        least[name] = max(1, math.ceil(Fraction(str(asked.min_layer_density)) * all_of))
    sizes = {name: mask[name].numel() for name in names}
    if isinstance(asked.keep, Budget):
        target, counts = Fraction(asked.keep.total), dict(asked.keep.per_layer or ())
    else:
        target, counts = Fraction(str(asked.keep)) * sum(sizes.values()), {}
    if not counts and asked.scope == "layerwise":
        counts = {name: target * size / sum(sizes.values()) for name, size in sizes.items()}
    if not counts and asked.scope == "erk":
        shapes = {name: tuple(kept.shape) for name, kept in mask.items()}
        counts = dict(budget_erk(shapes, float(target / sum(sizes.values()))).per_layer)
    if not counts:
        return nearest(channels, names, target, least)
    return {key for name in names for key in nearest(channels, [name], counts[name], least)}


@st.composite
def cases(draw):
    """(scores, mask, what is asked for, dims), some of it pruned already."""
    scores, masks, dims = {}, {}, {}
    for name in draw(st.sampled_from([["b"], ["b", "a"], ["c", "b", "a"]])):
        shape = draw(st.sampled_from(SHAPES))
        size = math.prod(shape)
        values = draw(st.lists(SCORES, min_size=size, max_size=size))
        kept = draw(st.lists(st.sampled_from([True] * 4 + [False]), min_size=size, max_size=size))
        scores[name] = torch.tensor(values, dtype=torch.float32).view(shape)
        masks[name] = torch.tensor(kept).view(shape) if draw(st.booleans()) else scores[name] > -9
        if draw(st.booleans()):
            dims[name] = draw(st.integers(0, 1))
    mask = PruningMask.from_tensors(masks)
    left = {name: int(kept.sum()) for name, kept in mask.items()}
    counts = {name: draw(st.integers(0, n)) for name, n in left.items()}
    keep = draw(
        st.one_of(
            st.integers(0, 100).map(lambda percent: percent / 100 * mask.density),
            st.just(Budget(sum(counts.values()))),
            st.just(Budget(sum(counts.values()), tuple(counts.items()))),
        )
    )
    scope = draw(st.sampled_from(["global", "layerwise", "erk"]))
    is_dense = all(bool(kept.all()) for kept in masks.values())
    if scope != "global" and not is_dense:  # a layer may have less left than it is to keep
        scope = "global"
    return scores, mask, Asked(keep, scope, draw(st.sampled_from([0.0, 0.5]))), dims


def check_selection(select_fn):
    @law
    @given(cases())
    def check(case):
        scores, mask, asked, dims = case
        found = select_fn(scores, mask, asked, input_dims=dims)
        wanted = oracle(scores, mask, asked, dims)
        assert list(found) == list(mask)
        assert found.is_nested_in(mask)
        for name, kept in found.items():
            assert kept.is_contiguous()
            assert bool(kept.any()) == bool(mask[name].any())
            for index in torch.cartesian_prod(*map(torch.arange, kept.shape)).tolist():
                is_wanted = (name, index[1 - dims.get(name, 1)]) in wanted
                assert bool(kept[tuple(index)]) == (is_wanted and bool(mask[name][tuple(index)]))

    check()


def test_the_nearest_number_of_weights_is_kept():
    check_selection(select_channels)


def by_sums(scores, mask, asked, *, input_dims):
    """Large channels are favoured."""
    summed = {}
    for name, value in scores.items():
        dim = 1 - (input_dims or {}).get(name, 1)
        rows = (value * mask[name]).transpose(0, dim).flatten(1)
        sums = rows.sum(1, keepdim=True).expand(rows.shape)
        summed[name] = sums.reshape(value.transpose(0, dim).shape).transpose(0, dim)
    return select_channels(summed, mask, asked, input_dims=input_dims)


def by_channels(scores, mask, asked, *, input_dims):
    """A budget of so many channels, whatever their size."""
    same = {
        n: torch.ones(k.shape[1 - (input_dims or {}).get(n, 1)], 1) > 0 for n, k in mask.items()
    }
    rows = {}
    for name, value in scores.items():
        dim = 1 - (input_dims or {}).get(name, 1)
        kept = mask[name].transpose(0, dim).flatten(1)
        flat = (value.transpose(0, dim).flatten(1) * kept).double().sum(1)
        rows[name] = (flat / kept.sum(1).clamp(min=1)).view(-1, 1)
    keep = asked.keep
    if isinstance(keep, Budget):
        keep = keep.total / max(mask.num_prunable, 1)
    ones = PruningMask.from_tensors(same)
    found = select_channels(rows, ones, Asked(min(keep, 1.0), asked.scope, asked.min_layer_density))
    made = {}
    for name, kept in mask.items():
        dim = 1 - (input_dims or {}).get(name, 1)
        shape = [1] * kept.ndim
        shape[dim] = -1
        made[name] = kept & found[name].view(shape)
    return PruningMask.from_tensors(made)


def without_a_floor(scores, mask, asked, *, input_dims):
    """Layers may go whole: as if all were one."""
    channels = channels_of(scores, mask, input_dims or {})
    target = asked.keep.total if isinstance(asked.keep, Budget) else asked.keep * mask.num_prunable
    wanted = nearest(channels, list(mask), Fraction(target), dict.fromkeys(mask, 0))
    made = {}
    for name, kept in mask.items():
        output = 1 - (input_dims or {}).get(name, 1)
        rows = torch.tensor([(name, i) in wanted for i in range(kept.shape[output])])
        shape = [1] * kept.ndim
        shape[output] = -1
        made[name] = kept & rows.view(shape)
    return PruningMask.from_tensors(made)


def last_of_the_tied(scores, mask, asked, *, input_dims):
    """The higher index is kept on a tie."""
    flip = {n: 1 - (input_dims or {}).get(n, 1) for n in mask}
    turned = PruningMask.from_tensors({n: k.flip(flip[n]) for n, k in mask.items()})
    scores = {n: value.flip(flip[n]) for n, value in scores.items()}
    found = select_channels(scores, turned, asked, input_dims=input_dims)
    return PruningMask.from_tensors({n: k.flip(flip[n]).contiguous() for n, k in found.items()})


def never_below(scores, mask, asked, *, input_dims):
    """Rounds up: one channel more wherever less than what was asked for would be kept."""
    found = select_channels(scores, mask, asked, input_dims=input_dims)
    target = asked.keep.total if isinstance(asked.keep, Budget) else asked.keep * mask.num_prunable
    while found.num_kept < target:
        target += 1
        keep = Budget(math.ceil(target))
        more = Asked(keep, "global", asked.min_layer_density)
        if target > mask.num_kept:
            break
        found = select_channels(scores, mask, more, input_dims=input_dims)
    return found


def wrong_dims(scores, mask, asked, *, input_dims):
    return select_channels(scores, mask, asked)


@pytest.mark.parametrize(
    "mutant", [by_sums, by_channels, without_a_floor, last_of_the_tied, never_below, wrong_dims]
)
def test_other_selections_are_caught(mutant):
    with pytest.raises((AssertionError, UsageError)):
        check_selection(mutant)


def test_literal_channels():
    """Means 1, 2.5, 1.5 of twos and 2, 1.5 of fours; 7 of 14 weights are asked for: 6 are as near
    as 8, and fewer. On the tie of 1.5 the first layer is kept."""
    scores = {
        "a": torch.tensor([[1.0, 1.0], [0.0, 5.0], [3.0, 0.0]]),
        "b": torch.tensor([[2.0, 2.0, 2.0, 2.0], [0.0, 6.0, 0.0, 0.0]]),
    }
    mask = PruningMask.from_tensors({n: torch.ones_like(s) > 0 for n, s in scores.items()})
    found = select_channels(scores, mask, Asked(0.5))
    assert {n: kept.any(1).tolist() for n, kept in found.items()} == {
        "a": [False, True, False],
        "b": [True, False],
    }
    assert select_channels(scores, mask, Asked(Budget(8)))["a"].any(1).tolist() == [0, 1, 1]


def chain(select_fn, seed, scope, floor):
    stream = torch.Generator().manual_seed(seed)
    shapes = {"a": (6, 4, 3, 3), "b": (8, 3, 2), "c": (4, 2, 1, 1)}
    mask = PruningMask.from_tensors({n: torch.ones(s) > 0 for n, s in shapes.items()})
    masks = [mask]
    for level in range(1, 8):
        scores = {n: torch.rand(s, generator=stream) for n, s in shapes.items()}
        masks.append(select_fn(scores, masks[-1], Asked(0.75**level, scope, floor)))
    return masks


@pytest.mark.parametrize("scope", ["global", "layerwise", "erk"])
@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_chains_nest(scope, floor):
    masks = chain(select_channels, 0, scope, floor)
    for before, mask in pairwise(masks):
        assert mask.is_nested_in(before)
        assert mask.num_prunable == before.num_prunable
        assert all(bool(kept.any()) for kept in mask.values())


@law
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 100))
def test_counts_known_in_advance_are_those_selected(num_channels, size, percent):
    """`channels_at`, by which runs count, against the selection itself."""
    density = percent / 100
    scores = {"w": torch.rand(num_channels, size, generator=torch.Generator().manual_seed(0))}
    mask = PruningMask.from_tensors({"w": torch.ones(num_channels, size) > 0})
    for scope in ("global", "layerwise"):
        found = select_channels(scores, mask, Asked(density, scope))
        assert int(found["w"].any(1).sum()) == channels_at(num_channels, Fraction(str(density)))


def test_more_than_was_asked_for_is_said():
    mask = PruningMask.from_tensors({"a": torch.ones(4, 9) > 0, "b": torch.ones(2, 8) > 0})
    scores = {n: torch.rand(k.shape) for n, k in mask.items()}
    asked = Asked(Budget(6))
    made = select_channels(scores, mask, asked)
    assert made.num_kept == 17
    with pytest.warns(MissedDensityWarning) as said:
        warn_if_missed(mask, made, asked)
    assert str(said[0].message) == (
        "structure 'channel': asked to keep 6 of 52 weights (density 0.1154), kept 17 (0.3269): "
        "each layer keeps at least one channel"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for asked in (Asked(Budget(13)), Asked(0.5), Asked(0.4, "layerwise")):
            warn_if_missed(mask, select_channels(scores, mask, asked), asked)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"asked": Asked(Budget(60))}, "all layers: asked to keep 60 weights of 52 left"),
        ({"asked": Asked(Budget(-1))}, "all layers: asked to keep -1 weights of 52 left"),
        ({"asked": Asked(1.5)}, "density: 1.5 is not a fraction between 0 and 1"),
        ({"asked": Asked(0.5, "all")}, "unknown scope 'all'"),
        ({"asked": Asked(0.5, "global", 2.0)}, "min_layer_density: 2 is not a fraction"),
        ({"asked": Asked(Budget(1, (("a", 1),)))}, "the budget is for ['a'], the mask is for"),
        ({"b": torch.full((2, 8), math.nan)}, "scores of 'b' contain NaN; nothing was pruned"),
        ({"b": torch.tensor([[math.inf, -math.inf] * 4] * 2)}, "holds both +inf and -inf"),
    ],
)
def test_what_cannot_be(changes, message):
    mask = PruningMask.from_tensors({"a": torch.ones(4, 9) > 0, "b": torch.ones(2, 8) > 0})
    scores = {n: torch.ones(k.shape) for n, k in mask.items()}
    asked = changes.pop("asked", Asked(0.5))
    with pytest.raises(UsageError) as refused:
        select_channels(scores | changes, mask, asked)
    assert message in str(refused.value)


def test_whether_channels_were_cut():
    ones = torch.ones(3, 2) > 0
    cut = ones.clone()
    cut[1] = False
    partly = cut.clone()
    partly[0, 0] = False
    assert [is_cut_by_channels(kept) for kept in (ones, cut, partly)] == [False, True, False]
    assert is_cut_by_channels(cut.T, 0)
    assert not is_cut_by_channels(cut.T, 1)
