"""A shuffled mask keeps its structure, and how much each group or layer keeps; it does permute."""

from collections import Counter
from itertools import combinations

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import (
    Budget,
    PruningMask,
    Structure,
    is_nm,
    num_groups,
    select_groups,
    select_nm,
    shuffle,
)

law = settings(
    deadline=None,
    max_examples=40,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)


def ones(**shapes):
    return PruningMask.from_tensors(
        {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}
    )


def stream(seed):
    return torch.Generator().manual_seed(seed)


def scores_of(mask, seed):
    numbers = stream(seed)
    return {name: torch.rand(kept.shape, generator=numbers) for name, kept in mask.items()}


@st.composite
def n_of_m_masks(draw):
    """(mask, "n:m", input_dims): linear, convolutional and transposed layers."""
    m = draw(st.integers(2, 8))
    n = draw(st.integers(1, m - 1))
    shapes, dims = {}, {}
    for name in draw(st.sampled_from([["a"], ["a", "b"]])):
        shape = list(draw(st.sampled_from([(5,), (3, 2), (2, 2, 2)])))
        dims[name] = draw(st.integers(0, 1))
        shape.insert(dims[name], m * draw(st.integers(1, 4)))
        shapes[name] = shape
    mask = ones(**shapes)
    mask = select_nm(scores_of(mask, draw(st.integers(0, 99))), mask, n, m, input_dims=dims)
    return mask, f"{n}:{m}", dims


def in_groups(kept, m, dim):
    return kept.movedim(dim, -1).unflatten(-1, (-1, m))


def check_groups_keep_their_counts(shuffle_fn):
    @law
    @given(n_of_m_masks())
    def check(case):
        mask, structure, dims = case
        n, m = Structure.parse(structure).size
        found = shuffle_fn(mask, stream(1), structure=structure, input_dims=dims)
        assert list(found) == list(mask)
        for name, kept in found.items():
            assert kept.shape == mask[name].shape
            assert is_nm(kept, n, m, dim=dims[name])
            assert bool((in_groups(kept, m, dims[name]).sum(-1) == n).all())
        assert found == shuffle_fn(mask, stream(1), structure=structure, input_dims=dims)

    check()


def check_every_pattern_is_as_likely(shuffle_fn):
    """Each of the 6 patterns of 2:4 in a sixth of 3,000 groups, whatever it was before."""
    scores = {"w": torch.arange(3000 * 4).view(3000, 4)}
    mask = select_nm(scores, ones(w=(3000, 4)))  # 0011 in each group
    found = shuffle_fn(mask, stream(0), structure="2:4", input_dims=None)["w"]
    patterns = Counter(tuple(row.nonzero().flatten().tolist()) for row in found)
    assert set(patterns) == set(combinations(range(4), 2))
    # 500 expected of each, with a standard deviation of 20
    assert all(400 < count < 600 for count in patterns.values())
    assert found.view(-1, 4)[:-1].ne(found[1:]).any()


def test_n_of_m():
    check_groups_keep_their_counts(shuffle)
    check_every_pattern_is_as_likely(shuffle)


def forgets_to_permute(mask, generator, *, structure, input_dims):
    return PruningMask.from_tensors({name: kept.clone() for name, kept in mask.items()})


def forgets_the_structure(mask, generator, *, structure, input_dims):
    return shuffle(mask, generator)


def along_the_outputs(mask, generator, *, structure, input_dims):
    m = Structure.parse(structure).size[1]
    dims = dict.fromkeys(mask, 1) | (input_dims or {})
    turned = {name: 1 - dim for name, dim in dims.items()}
    if any(mask[name].shape[dim] % m for name, dim in turned.items()):
        return shuffle(mask, generator)
    return shuffle(mask, generator, structure=structure, input_dims=turned)


def one_draw_for_all_groups(mask, generator, *, structure, input_dims):
    m = Structure.parse(structure).size[1]
    order = torch.randperm(m, generator=generator)
    made = {}
    for name, kept in mask.items():
        dim = (input_dims or {}).get(name, 1)
        made[name] = in_groups(kept, m, dim)[..., order].flatten(-2).movedim(-1, dim)
    return PruningMask.from_tensors(made)


def moves_groups_alone(mask, generator, *, structure, input_dims):
    made = {}
    for name, kept in mask.items():
        groups = in_groups(kept, 4, 1).flatten(0, -2)
        order = torch.randperm(len(groups), generator=generator)
        made[name] = groups[order].view(kept.shape)
    return PruningMask.from_tensors(made)


@pytest.mark.parametrize("mutant", [forgets_the_structure, along_the_outputs])
def test_shuffles_that_lose_the_structure_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_groups_keep_their_counts(mutant)


@pytest.mark.parametrize(
    "mutant", [forgets_to_permute, one_draw_for_all_groups, moves_groups_alone]
)
def test_shuffles_that_permute_too_little_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_every_pattern_is_as_likely(mutant)


def groups_kept(mask, structure, dims):
    """Per layer and kind of block: kept and all; every group whole."""
    structure = Structure.parse(structure)
    found = {}
    for name, kept in mask.items():
        matrix = (kept if dims.get(name, 1) == 1 else kept.transpose(0, 1)).flatten(1)
        rows, columns = structure.size or (1, matrix.shape[1])
        counts = Counter()
        for block in (part for row in matrix.split(rows) for part in row.split(columns, dim=1)):
            assert bool(block.all()) or not bool(block.any())
            counts[tuple(block.shape), bool(block.all())] += 1
        found[name] = counts
    return found


GROUPED = [("channel", {}), ("channel", {"a": 0}), ("block:4x4", {}), ("block:3x2", {"a": 0})]


def check_groups_stay_whole(shuffle_fn, structure, dims):
    dense = ones(a=(31, 20, 3, 3), b=(26, 33))
    groups = num_groups(dense, structure, input_dims=dims)
    keep = Budget(0, tuple((name, count // 3) for name, count in groups.items()))
    mask = select_groups(scores_of(dense, 0), dense, keep, structure, input_dims=dims)
    before = {name: kept.clone() for name, kept in mask.items()}
    found = shuffle_fn(mask, stream(0), structure=structure, input_dims=dims)
    assert groups_kept(found, structure, dims) == groups_kept(mask, structure, dims)
    for name, kept in found.items():
        assert not torch.equal(kept, mask[name])
        assert int(kept.sum()) == int(mask[name].sum())
        assert torch.equal(mask[name], before[name])
    assert found == shuffle_fn(mask, stream(0), structure=structure, input_dims=dims)
    assert found != shuffle_fn(mask, stream(1), structure=structure, input_dims=dims)


@pytest.mark.parametrize(("structure", "dims"), GROUPED)
def test_channels_and_blocks(structure, dims):
    check_groups_stay_whole(shuffle, structure, dims)


def moves_blocks_of_any_size(mask, generator, *, structure, input_dims):
    """A random choice of as many groups: those at the edges are smaller."""
    groups = num_groups(mask, structure, input_dims=input_dims)
    keep = Budget(0, tuple((name, count // 3) for name, count in groups.items()))
    dense = ones(**{name: kept.shape for name, kept in mask.items()})
    numbers = {name: torch.rand(kept.shape, generator=generator) for name, kept in mask.items()}
    return select_groups(numbers, dense, keep, structure, input_dims=input_dims)


@pytest.mark.parametrize(
    ("mutant", "structure"),
    [
        (forgets_the_structure, "channel"),
        (forgets_to_permute, "channel"),
        (forgets_the_structure, "block:4x4"),
        (moves_blocks_of_any_size, "block:4x4"),
    ],
)
def test_other_shuffles_of_groups_are_caught(mutant, structure):
    with pytest.raises(AssertionError):
        check_groups_stay_whole(mutant, structure, {})


def test_literal_channel():
    """Rows change places whole."""
    kept = torch.tensor([[True, True], [False, False], [False, False]])
    order = torch.randperm(3, generator=stream(2))
    found = shuffle(PruningMask.from_tensors({"w": kept}), stream(2), structure="channel")
    assert found["w"].tolist() == kept[order].tolist()


def test_what_cannot_be():
    with pytest.raises(UsageError, match="structure '2:4' wants a multiple of 4 inputs, not so: w"):
        shuffle(ones(w=(4, 6)), stream(0), structure="2:4")
    with pytest.raises(UsageError, match="for weights of two or more dimensions; 'w' has shape"):
        shuffle(ones(w=(4,)), stream(0), structure="channel")
    with pytest.raises(UsageError, match="structure: got '2/4', wanted one of"):
        shuffle(ones(w=(4, 8)), stream(0), structure="2/4")
