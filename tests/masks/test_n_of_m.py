import itertools
import math

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask, input_dims, is_nm, select_nm

law = settings(
    max_examples=60,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
score = st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 1.0, math.inf]) | st.floats(
    width=32, allow_nan=False
)


@st.composite
def cases(draw):
    """(scores, mask, n, m, input_dims) over linear, convolutional and transposed shapes."""
    m = draw(st.integers(2, 4))
    n = draw(st.integers(1, m - 1))
    scores, masks, dims = {}, {}, {}
    for name in draw(st.sampled_from([["b"], ["b", "a"]])):
        dim = draw(st.integers(0, 1))
        rest = draw(st.sampled_from([(1,), (3,), (m,), (m, 2), (1, 2, 2)]))
        shape = list(rest)
        shape.insert(dim, m * draw(st.integers(1, 2)))
        size = math.prod(shape)
        values = draw(st.lists(score, min_size=size, max_size=size))
        kept = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        scores[name] = torch.tensor(values).view(shape)
        masks[name] = torch.tensor(kept).view(shape)
        if dim == 0 or draw(st.booleans()):
            dims[name] = dim
    return scores, PruningMask.from_tensors(masks), n, m, dims


def groups_of(shape, m, dim):
    """The index tuples of each group of m neighbours along `dim`."""
    others = [range(size) for size in shape[:dim]], [range(size) for size in shape[dim + 1 :]]
    for before in itertools.product(*others[0]):
        for after in itertools.product(*others[1]):
            for start in range(0, shape[dim], m):
                yield [(*before, start + offset, *after) for offset in range(m)]


def check_selection(select_fn):
    @law
    @given(cases())
    def check(case):
        scores, mask, n, m, dims = case
        found = select_fn(scores, mask, n, m, input_dims=dims)
        assert found.is_nested_in(mask)
        assert list(found) == list(mask)
        for name, kept in found.items():
            dim = dims.get(name, 1)
            assert is_nm(kept, n, m, dim=dim)
            for group in groups_of(kept.shape, m, dim):
                candidates = [index for index in group if mask[name][index]]
                # sorted is stable: on a tie the earlier one comes first
                best = sorted(candidates, key=lambda index: -float(scores[name][index]))[:n]
                assert [index for index in group if kept[index]] == sorted(best)

    check()


def test_selection():
    check_selection(select_nm)


def by_rule(rule, dim_of=lambda dims, name: dims.get(name, 1)):
    """A wrong `select_nm` from a rule (scores, is_kept, n) on rows of m."""

    def select_fn(scores, mask, n, m, *, input_dims):
        found = {}
        for name, kept in mask.items():
            dim = dim_of(input_dims, name)
            if kept.shape[dim] % m:
                dim = 1 - dim
            rows = kept.movedim(dim, -1)
            chosen = rule(
                scores[name].movedim(dim, -1).reshape(-1, m), rows.reshape(-1, m), n
            ).view(rows.shape)
            found[name] = chosen.movedim(-1, dim)
        return PruningMask.from_tensors(found)

    return select_fn


def stable(scores, is_kept, n):
    """The right rule, written another way."""
    chosen = torch.zeros_like(is_kept)
    for row, (values, kept) in enumerate(zip(scores, is_kept, strict=True)):
        order = (-values.double()).argsort(stable=True)
        chosen[row, order[kept[order]][:n]] = True
    return chosen


def top_n_of_all(scores, is_kept, n):
    return stable(scores, torch.ones_like(is_kept), n) & is_kept


def last_of_the_tied(scores, is_kept, n):
    return stable(scores.flip(1), is_kept.flip(1), n).flip(1)


def threshold(scores, is_kept, n):
    lowest = scores.sort(descending=True).values[:, n - 1 : n]
    return is_kept & (scores >= lowest)


def pruned_at_zero(scores, is_kept, n):
    return stable(torch.where(is_kept, scores, 0.0), torch.ones_like(is_kept), n) & is_kept


def n_pruned(scores, is_kept, n):
    return stable(scores, is_kept, scores.shape[1] - n)


def test_the_mutants_have_a_right_sibling():
    check_selection(by_rule(stable))


@pytest.mark.parametrize(
    "rule", [top_n_of_all, last_of_the_tied, threshold, pruned_at_zero, n_pruned]
)
def test_other_rules_are_caught(rule):
    with pytest.raises(AssertionError):
        check_selection(by_rule(rule))


def test_other_dimensions_are_caught():
    with pytest.raises(AssertionError):
        check_selection(by_rule(stable, lambda dims, name: 1))
    with pytest.raises(AssertionError):
        check_selection(by_rule(stable, lambda dims, name: 0))


def all_kept(**shapes):
    return PruningMask.from_tensors(
        {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}
    )


def test_literal_2_of_4():
    scores = {
        "w": torch.tensor(
            [[1.0, 3.0, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0], [0.0, -1.0, -2.0, -3.0, 9.0, 0.0, 0.0, 9.0]]
        )
    }
    found = select_nm(scores, all_kept(w=(2, 8)))
    assert found["w"].int().tolist() == [[0, 1, 0, 1, 1, 1, 0, 0], [1, 1, 0, 0, 1, 0, 0, 1]]
    assert found.density == 0.5


def test_a_convolution_is_grouped_over_its_input_channels():
    """At one kernel position, whatever lies at the others."""
    scores = torch.zeros(1, 4, 1, 2)
    scores[0, :, 0, 0] = torch.tensor([4.0, 3.0, 2.0, 1.0])
    scores[0, :, 0, 1] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    found = select_nm({"w": scores}, all_kept(w=(1, 4, 1, 2)))["w"]
    assert found[0, :, 0, 0].tolist() == [True, True, False, False]
    assert found[0, :, 0, 1].tolist() == [False, False, True, True]
    # as it lies in channels-last memory: groups of four neighbours
    in_memory = found.permute(0, 2, 3, 1).reshape(-1, 4)
    assert in_memory.sum(1).tolist() == [2, 2]
    assert is_nm(found)
    assert not is_nm(torch.ones(1, 4, 1, 2))


def test_on_layers_of_a_model():
    model = nn.Sequential(
        nn.Conv2d(8, 3, 3), nn.ConvTranspose2d(4, 3, 2), nn.LSTM(4, 4), nn.Linear(8, 1)
    )
    mask = PruningMask(model)
    dims = input_dims(model, mask)
    scores = {name: torch.randn(kept.shape, generator=G) for name, kept in mask.items()}
    found = select_nm(scores, mask, input_dims=dims)
    assert found.density == 0.5
    assert all(is_nm(kept, dim=dims[name]) for name, kept in found.items())
    assert not is_nm(found["1.weight"], dim=1)
    found.apply(model)
    assert all(
        is_nm(value, dim=dims[name]) for name, value in model.named_parameters() if name in found
    )


G = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_any_dtype(dtype):
    scores = {"w": torch.tensor([[1, 4, 2, 3]], dtype=dtype)}
    assert select_nm(scores, all_kept(w=(1, 4)))["w"].tolist() == [[False, True, False, True]]


def test_arguments_stay_and_the_result_is_new():
    mask, scores = all_kept(w=(2, 4)), {"w": torch.arange(8.0).view(2, 4)}
    found = select_nm(scores, mask)
    found["w"].zero_()
    assert mask == all_kept(w=(2, 4))
    assert scores["w"].tolist() == torch.arange(8.0).view(2, 4).tolist()


def test_twice_changes_nothing():
    mask, scores = all_kept(w=(3, 8)), {"w": torch.randn(3, 8, generator=G)}
    once = select_nm(scores, mask)
    assert select_nm({"w": -scores["w"]}, once) == once


@pytest.mark.parametrize(
    ("tensor", "wanted"),
    [
        ([[1.0, 0.0, 0.0, -2.0]], True),
        ([[1.0, 0.0, 0.5, -2.0]], False),
        ([[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]], True),
        ([[0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]], True),
        ([[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0]], False),
        ([[math.nan, math.inf, 1.0, 0.0]], False),
        ([[0.0, 0.0, 0.0]], False),  # not a multiple of 4
        ([0.0, 0.0, 0.0, 0.0], False),  # no second dimension
    ],
)
def test_is_nm(tensor, wanted):
    assert is_nm(torch.tensor(tensor)) is wanted


def test_inputs_that_are_not_a_multiple():
    mask = all_kept(conv1=(8, 3, 3, 3), fc=(6, 4), up=(4, 6), head=(2, 10))
    scores = {name: torch.ones(kept.shape) for name, kept in mask.items()}
    with pytest.raises(UsageError) as caught:
        select_nm(scores, mask, input_dims={"up": 0})
    assert str(caught.value) == (
        "structure '2:4' wants a multiple of 4 inputs, not so: conv1 (8, 3, 3, 3), head (2, 10); "
        "make the mask with ignore=['conv1', 'head']"
    )


def test_what_cannot_be():
    mask = all_kept(b=(4, 4), a=(4,))
    scores = {"b": torch.ones(4, 4), "a": torch.ones(4)}
    with pytest.raises(UsageError) as caught:
        select_nm(scores, mask)
    assert str(caught.value) == (
        "structure '2:4' is for weights of two or more dimensions; 'a' has shape (4,); make the "
        "mask with ignore=['a']"
    )
    mask = all_kept(b=(4, 4))
    with pytest.raises(UsageError, match="scores of 'b' contain NaN; nothing was pruned"):
        select_nm({"b": torch.full((4, 4), math.nan)}, mask)
    with pytest.raises(UsageError, match=r"scores are for \['a', 'b'\], the mask is for \['b'\]"):
        select_nm(scores, mask)
    with pytest.raises(UsageError, match=r"scores: 'b' has shape \(4,\), its mask has \(4, 4"):
        select_nm({"b": torch.ones(4)}, mask)
    with pytest.raises(UsageError, match="structure '4:4' keeps n of every m weights, 0 < n < m"):
        select_nm({"b": torch.ones(4, 4)}, mask, 4, 4)
    with pytest.raises(UsageError, match="the mask names no layer"):
        select_nm({}, PruningMask.from_tensors({}))
    for dims in ({"b": 2}, {"c": 1}):
        with pytest.raises(UsageError, match=r"input_dims: .*; wanted 0 or 1, of experts in"):
            select_nm({"b": torch.ones(4, 4)}, mask, input_dims=dims)
