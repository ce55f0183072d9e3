import math
from fractions import Fraction

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import (
    Budget,
    PruningMask,
    Structure,
    budget_at_rates,
    input_dims,
    num_groups,
    select_groups,
)

law = settings(
    max_examples=60,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
# few values, so that means tie; whole ones, so that sums are exact in floats
score = st.integers(-2, 3)
structures = st.sampled_from(["channel", "block:1x1", "block:2x2", "block:1x3", "block:3x2"])


def cell_of(index, shape, structure, input_dim):
    """The group of one weight, as (row, column) in the grid of groups."""
    index = list(index)
    index[0], index[1] = index[1 - input_dim], index[input_dim]  # (output, input, …)
    sizes = list(shape)
    sizes[0], sizes[1] = sizes[1 - input_dim], sizes[input_dim]
    column = 0
    for position, size in zip(index[1:], sizes[1:], strict=True):
        column = column * size + position
    if structure == "channel":
        return index[0], 0
    rows, columns = Structure.parse(structure).size
    return index[0] // rows, column // columns


def groups_of(scores, mask, structure, dims):
    """(layer, group) → (mean of the kept scores over all its weights, has it a kept weight)."""
    groups = {}
    for name, kept in mask.items():
        for index in torch.cartesian_prod(*map(torch.arange, kept.shape)).tolist():
            cell = cell_of(index, kept.shape, structure, dims.get(name, 1))
            value = int(scores[name][tuple(index)]) if kept[tuple(index)] else 0
            groups.setdefault((name, cell), []).append((value, bool(kept[tuple(index)])))
    return {
        key: (
            Fraction(sum(value for value, _ in weights), len(weights)),
            any(k for _, k in weights),
        )
        for key, weights in groups.items()
    }


def oracle(scores, mask, budget, structure, dims, floor):
    """The groups to keep, by sorting."""
    groups = groups_of(scores, mask, structure, dims)
    layers = list(mask)
    ranked = sorted(
        (key for key, (_, is_kept) in groups.items() if is_kept),
        key=lambda key: (-groups[key][0], layers.index(key[0]), key[1]),
    )
    if budget.per_layer is not None:
        counts = dict(budget.per_layer)
        return {k for n in layers for k in [k for k in ranked if k[0] == n][: counts[n]]}
    chosen = []
    for name in layers:
        least = math.ceil(floor * sum(key[0] == name for key in groups))
        chosen += [key for key in ranked if key[0] == name][:least]
    chosen += [key for key in ranked if key not in chosen][: budget.total - len(chosen)]
    return set(chosen)


@st.composite
def cases(draw):
    """(scores, mask, budget, structure, dims, floor), the budget anything the mask can give."""
    structure = draw(structures)
    scores, masks, dims = {}, {}, {}
    for name in draw(st.sampled_from([["b"], ["b", "a"]])):
        shape = draw(st.sampled_from([(1, 1), (5, 3), (3, 4), (2, 2, 3), (3, 2, 1, 2)]))
        size = math.prod(shape)
        values = draw(st.lists(score, min_size=size, max_size=size))
        kept = draw(st.lists(st.sampled_from([True, True, False]), min_size=size, max_size=size))
        scores[name] = torch.tensor(values, dtype=torch.float32).view(shape)
        masks[name] = torch.tensor(kept).view(shape)
        if draw(st.booleans()):
            dims[name] = draw(st.integers(0, 1))
    mask = PruningMask.from_tensors(masks)
    groups = groups_of(scores, mask, structure, dims)
    kept = [key[0] for key, (_, is_kept) in groups.items() if is_kept]
    scope = draw(st.sampled_from(["global", "layerwise", "floor"]))
    floor = Fraction(0)
    if scope == "floor" and set(kept) == set(mask):  # one group of each layer
        floor = Fraction(1, len(groups))
        return scores, mask, Budget(draw(st.integers(len(mask), len(kept)))), structure, dims, floor
    counts = {name: draw(st.integers(0, kept.count(name))) for name in mask}
    total = sum(counts.values())
    budget = Budget(total, tuple(counts.items()) if scope == "layerwise" else None)
    return scores, mask, budget, structure, dims, floor


def check_selection(select_fn):
    @law
    @given(cases())
    def check(case):
        scores, mask, budget, structure, dims, floor = case
        found = select_fn(
            scores, mask, budget, structure, min_layer_density=float(floor), input_dims=dims
        )
        wanted = oracle(scores, mask, budget, structure, dims, floor)
        assert len(wanted) == budget.total
        assert found.is_nested_in(mask)
        assert list(found) == list(mask)
        for name, kept in found.items():
            assert kept.is_contiguous()
            for index in torch.cartesian_prod(*map(torch.arange, kept.shape)).tolist():
                cell = cell_of(index, kept.shape, structure, dims.get(name, 1))
                is_wanted = (name, cell) in wanted and bool(mask[name][tuple(index)])
                assert bool(kept[tuple(index)]) == is_wanted

    check()


def test_selection():
    check_selection(select_groups)


def with_scores(change):
    """A wrong `select_groups`, of scores that `change` makes from (scores, mask)."""

    def select_fn(scores, mask, budget, structure, *, min_layer_density, input_dims):
        changed = {name: change(scores[name], mask[name]) for name in mask}
        return select_groups(
            changed,
            mask,
            budget,
            structure,
            min_layer_density=min_layer_density,
            input_dims=input_dims,
        )

    return select_fn


def wrong_dims(scores, mask, budget, structure, *, min_layer_density, input_dims):
    return select_groups(scores, mask, budget, structure, min_layer_density=min_layer_density)


def no_floor(scores, mask, budget, structure, *, min_layer_density, input_dims):
    return select_groups(scores, mask, budget, structure, input_dims=input_dims)


def counts_what_was_pruned(scores, mask, budget, structure, *, min_layer_density, input_dims):
    dense = PruningMask.from_tensors({n: torch.ones_like(m) for n, m in mask.items()})
    found = select_groups(
        scores, dense, budget, structure, min_layer_density=min_layer_density, input_dims=input_dims
    )
    return PruningMask.from_tensors({n: found[n] & mask[n] for n in mask})


def brings_back(scores, mask, budget, structure, *, min_layer_density, input_dims):
    """Keeps whole groups, what was pruned in them too."""
    found = select_groups(
        scores, mask, budget, structure, min_layer_density=min_layer_density, input_dims=input_dims
    )
    dense = PruningMask.from_tensors({n: torch.ones_like(m) for n, m in mask.items()})
    scores = {n: found[n].float() for n in found}
    return select_groups(scores, dense, budget, structure, input_dims=input_dims)


def summed(scores, mask, budget, structure, *, min_layer_density, input_dims):
    """By the sum: blocks at the edges, and channels of narrow layers, count less."""
    groups = groups_of(scores, mask, structure, input_dims)
    sizes = dict.fromkeys(groups, 0)
    changed = {}
    for name, kept in mask.items():
        cells = {
            tuple(index): cell_of(index, kept.shape, structure, input_dims.get(name, 1))
            for index in torch.cartesian_prod(*map(torch.arange, kept.shape)).tolist()
        }
        for cell in cells.values():
            sizes[name, cell] += 1
        changed[name] = scores[name].clone()
        for index, cell in cells.items():
            changed[name][index] *= sizes[name, cell]
    return select_groups(
        changed, mask, budget, structure, min_layer_density=min_layer_density, input_dims=input_dims
    )


@pytest.mark.parametrize(
    "mutant",
    [
        with_scores(lambda score, kept: -score),
        with_scores(lambda score, kept: score.abs()),
        with_scores(lambda score, kept: score * score),
        counts_what_was_pruned,
        wrong_dims,
        no_floor,
        brings_back,
        summed,
    ],
)
def test_other_selections_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_selection(mutant)


def all_kept(**shapes):
    return PruningMask.from_tensors(
        {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}
    )


def ints(mask):
    return {name: kept.int().tolist() for name, kept in mask.items()}


def test_literal_channels():
    """L1 norms 5, 4, 4, 6 over channels of two: on a tie the lower one stays."""
    scores = {"w": torch.tensor([[[2.0], [3.0]], [[4.0], [0.0]], [[1.0], [3.0]], [[6.0], [0.0]]])}
    found = select_groups(scores, all_kept(w=(4, 2, 1)), Budget(3), "channel")
    assert ints(found)["w"] == [[[1], [1]], [[1], [1]], [[0], [0]], [[1], [1]]]


def test_channels_of_a_transposed_convolution():
    scores = {"w": torch.tensor([[5.0, 1.0, 0.0], [5.0, 1.0, 9.0]])}
    mask = all_kept(w=(2, 3))
    found = select_groups(scores, mask, Budget(2), "channel", input_dims={"w": 0})
    assert ints(found)["w"] == [[1, 0, 1], [1, 0, 1]]
    assert num_groups(mask, "channel", input_dims={"w": 0}) == {"w": 3}


def test_channels_of_a_small_layer_are_compared_by_their_mean():
    scores = {"wide": torch.full((2, 8), 1.0), "narrow": torch.full((2, 2), 2.0)}
    found = select_groups(scores, all_kept(wide=(2, 8), narrow=(2, 2)), Budget(2), "channel")
    assert (int(found["wide"].sum()), int(found["narrow"].sum())) == (0, 4)


def test_literal_blocks():
    """2 × 2 over (3, 5): two rows of three blocks, ragged below and on the right."""
    scores = {
        "w": torch.tensor(
            [[1.0, 1.0, 4.0, 0.0, 3.0], [1.0, 1.0, 0.0, 0.0, 1.0], [2.0, 0.0, 0.0, 0.5, 0.9]]
        )
    }
    mask = all_kept(w=(3, 5))
    assert num_groups(mask, "block:2x2") == {"w": 6}
    # means 1, 1, 2 / 1, 0.25, 0.9: of the three 1s the first two stay
    found = select_groups(scores, mask, Budget(3), "block:2x2")
    assert ints(found)["w"] == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]
    found = select_groups(scores, mask, Budget(1), "block:2x2")
    assert ints(found)["w"] == [[0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]


def test_blocks_of_a_convolution_lie_on_outputs_and_inputs_times_kernel():
    mask = all_kept(w=(4, 2, 3, 3))
    assert num_groups(mask, "block:4x9") == {"w": 2}
    scores = {"w": torch.zeros(4, 2, 3, 3)}
    scores["w"][:, 1] = 1.0
    found = select_groups(scores, mask, Budget(1), "block:4x9")
    assert torch.equal(found["w"], scores["w"] > 0)


def test_a_block_larger_than_the_layer():
    mask = all_kept(w=(2, 3))
    assert num_groups(mask, Structure("block", (8, 8))) == {"w": 1}
    found = select_groups({"w": torch.ones(2, 3)}, mask, Budget(1), "block:8x8")
    assert found == mask


def test_what_was_pruned_before_counts_zero():
    mask = PruningMask.from_tensors({"w": torch.tensor([[True, False], [True, True]])})
    scores = {"w": torch.tensor([[3.0, 9.0], [2.0, 2.0]])}  # means 1.5 and 2
    found = select_groups(scores, mask, Budget(1), "channel")
    assert ints(found)["w"] == [[0, 0], [1, 1]]


def test_a_pruned_group_is_no_candidate():
    mask = PruningMask.from_tensors({"w": torch.tensor([[False, False], [True, True]])})
    scores = {"w": torch.tensor([[9.0, 9.0], [-2.0, -2.0]])}
    assert ints(select_groups(scores, mask, Budget(1), "channel"))["w"] == [[0, 0], [1, 1]]
    with pytest.raises(UsageError, match="all layers: asked to keep 2 channels of 1 left"):
        select_groups(scores, mask, Budget(2), "channel")
    with pytest.raises(UsageError, match="w: asked to keep 2 blocks of 1 left"):
        select_groups(scores, mask, Budget(2, (("w", 2),)), "block:1x2")


@pytest.mark.parametrize("structure", ["channel", "block:2x3"])
@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_a_chain_of_levels(structure, scope):
    """`pruned = floor(rate · remaining + ½)`, in groups."""
    model = nn.Sequential(nn.Conv2d(3, 12, 3), nn.ConvTranspose2d(4, 10, 2), nn.Linear(7, 9))
    mask = PruningMask(model)
    dims = input_dims(model, mask)
    counts = num_groups(mask, structure, input_dims=dims)
    budgets = budget_at_rates(counts, scope=scope, rate=0.3, levels=5)
    stream = torch.Generator().manual_seed(0)
    for budget in budgets:
        scores = {name: torch.rand(kept.shape, generator=stream) for name, kept in mask.items()}
        found = select_groups(scores, mask, budget, structure, input_dims=dims)
        left = groups_of(scores, found, structure, dims)
        assert sum(is_kept for _, is_kept in left.values()) == budget.total
        assert found.is_nested_in(mask)
        whole = select_groups(scores, PruningMask(model), budget, structure, input_dims=dims)
        assert whole.num_prunable == found.num_prunable
        mask = found


def test_infinite_scores():
    mask = all_kept(w=(2, 2))
    scores = {"w": torch.tensor([[1.0, 1.0], [math.inf, 0.0]])}
    assert ints(select_groups(scores, mask, Budget(1), "channel"))["w"] == [[0, 0], [1, 1]]
    scores = {"w": torch.tensor([[1.0, 1.0], [math.inf, -math.inf]])}
    with pytest.raises(UsageError, match="scores of 'w': a channel holds both \\+inf and -inf"):
        select_groups(scores, mask, Budget(1), "channel")


def test_arguments_stay_and_the_result_is_new():
    mask, scores = all_kept(w=(2, 2)), {"w": torch.arange(4.0).view(2, 2)}
    found = select_groups(scores, mask, Budget(2), "channel")
    found["w"].zero_()
    assert mask == all_kept(w=(2, 2))
    assert scores["w"].tolist() == [[0.0, 1.0], [2.0, 3.0]]


@pytest.mark.parametrize("structure", ["unstructured", "2:4"])
def test_structures_without_groups(structure):
    mask = all_kept(w=(4, 4))
    message = f"structure '{structure}' has no groups to count; wanted block or channel"
    with pytest.raises(UsageError, match=message):
        num_groups(mask, structure)
    with pytest.raises(UsageError, match=message):
        select_groups({"w": torch.ones(4, 4)}, mask, Budget(1), structure)


def test_what_cannot_be():
    mask = all_kept(b=(4, 4), a=(4,), c=())
    with pytest.raises(UsageError) as caught:
        num_groups(mask, "channel")
    assert str(caught.value) == (
        "structure 'channel' is for weights of two or more dimensions; 'a' has shape (4,); make "
        "the mask with ignore=['a', 'c']"
    )
    mask = all_kept(b=(4, 4))
    with pytest.raises(UsageError, match="scores of 'b' contain NaN; nothing was pruned"):
        select_groups({"b": torch.full((4, 4), math.nan)}, mask, Budget(1), "channel")
    with pytest.raises(UsageError, match=r"the budget is for \['a'\], the mask is for \['b'\]"):
        select_groups({"b": torch.ones(4, 4)}, mask, Budget(1, (("a", 1),)), "channel")
    with pytest.raises(UsageError, match="asked to keep 1 channels, but min_layer_density needs 2"):
        select_groups({"b": torch.ones(4, 4)}, mask, Budget(1), "channel", min_layer_density=0.5)
    with pytest.raises(UsageError, match="input_dims: 'x': 1; wanted 0 or 1, of experts in"):
        num_groups(mask, "channel", input_dims={"x": 1})
