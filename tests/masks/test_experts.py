"""Experts that are one parameter: structures lie within each, along its inputs."""

import functools

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import (
    Budget,
    PruningMask,
    num_groups,
    select_groups,
    select_nm,
    shuffle,
)

law = settings(
    max_examples=15,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)


@st.composite
def experts(draw):
    """(scores, mask, input dimension) of (experts, 4, 4·k), or with inputs first."""
    shape = [draw(st.integers(1, 3)), 4, 4 * draw(st.integers(1, 2))]
    dim = draw(st.sampled_from([2, -2]))
    if dim == -2:
        shape[1:] = reversed(shape[1:])
    stream = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    scores = torch.randint(-3, 4, shape, generator=stream).float()
    kept = torch.rand(shape, generator=stream) < 0.7
    return scores, PruningMask.from_tensors({"w": kept}), dim


def as_layer(tensor, dim):
    """The same weights as a linear layer's (experts · out, in)."""
    return (tensor if dim == 2 else tensor.transpose(1, 2)).flatten(0, 1)


def check_like_a_linear_layer(choose):
    """`choose(scores, mask, input_dims)` keeps of experts what it keeps of one below the other."""

    @law
    @given(experts())
    def check(case):
        scores, mask, dim = case
        found = choose({"w": scores}, mask, {"w": dim})["w"]
        layer = PruningMask.from_tensors({"w": as_layer(mask["w"], dim)})
        wanted = choose({"w": as_layer(scores, dim)}, layer, {})["w"]
        assert found.shape == mask["w"].shape
        assert torch.equal(as_layer(found, dim), wanted)

    check()


def by_groups(structure, scores, mask, dims):
    total = num_groups(mask, structure, input_dims=dims)["w"]
    num_kept = num_groups(PruningMask.from_tensors(dict(mask)), structure, input_dims=dims)["w"]
    budget = Budget(min(total, num_kept) // 4)
    return select_groups(scores, mask, budget, structure, input_dims=dims)


def two_of_four(scores, mask, dims):
    return select_nm(scores, mask, input_dims=dims)


CHOICES = [
    two_of_four,
    *(functools.partial(by_groups, name) for name in ("channel", "block:2x2", "block:4x1")),
]


@pytest.mark.parametrize("choose", CHOICES)
def test_structures_of_experts(choose):
    check_like_a_linear_layer(choose)


def otherwise_along(choose, dims_of):
    """Takes the layer alone as it is."""

    def chosen(scores, mask, dims):
        return choose(scores, mask, {name: dims_of[dim] for name, dim in dims.items()})

    return chosen


@pytest.mark.parametrize("choose", CHOICES)
@pytest.mark.parametrize("dims_of", [{2: -2, -2: 2}, {2: 1, -2: 1}])
def test_other_dimensions_are_caught(choose, dims_of):
    with pytest.raises((AssertionError, UsageError)):
        check_like_a_linear_layer(otherwise_along(choose, dims_of))


@pytest.mark.parametrize("structure", ["2:4", "channel", "block:2x2"])
@pytest.mark.parametrize("dim", [2, -2])
def test_shuffled_experts_keep_the_structure(structure, dim):
    ones = PruningMask.from_tensors({"w": torch.ones(3, 4, 4, dtype=torch.bool)})
    scores, dims = {"w": torch.arange(48.0).view(3, 4, 4)}, {"w": dim}
    choose = two_of_four if structure == "2:4" else functools.partial(by_groups, structure)
    mask = choose(scores, ones, dims)
    moved = shuffle(mask, torch.Generator().manual_seed(0), structure=structure, input_dims=dims)
    assert moved.num_kept == mask.num_kept
    assert not torch.equal(moved["w"], mask["w"])
    again = choose({"w": moved["w"].float()}, ones, dims)  # nothing to be changed
    assert torch.equal(again["w"], moved["w"])


def test_a_whole_expert_is_no_channel():
    mask = PruningMask.from_tensors({"w": torch.ones(3, 4, 8, dtype=torch.bool)})
    assert num_groups(mask, "channel", input_dims={"w": 2}) == {"w": 12}
    assert num_groups(mask, "channel", input_dims={"w": -2}) == {"w": 24}


def test_blocks_that_would_lie_across_two_experts():
    mask = PruningMask.from_tensors({"w": torch.ones(3, 6, 8, dtype=torch.bool)})
    with pytest.raises(UsageError) as refused:
        num_groups(mask, "block:4x4", input_dims={"w": 2})
    assert str(refused.value) == (
        "structure 'block:4x4': 'w' has experts of 6 outputs, wanted a multiple of 4; make the "
        "mask with ignore=['w']"
    )
    assert num_groups(mask, "block:4x4", input_dims={"w": -2}) == {"w": 12}


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4, 4)])
def test_experts_have_three_dimensions(shape):
    mask = PruningMask.from_tensors({"w": torch.ones(shape, dtype=torch.bool)})
    with pytest.raises(UsageError, match="of experts in three dimensions 2 or -2"):
        num_groups(mask, "channel", input_dims={"w": 2})
