import math

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import (
    Asked,
    Budget,
    PruningMask,
    Structure,
    budget,
    input_dims,
    is_nm,
    num_groups,
    select,
    select_at,
    select_channels,
    select_groups,
    select_nm,
)

law = settings(
    max_examples=50,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
SHAPES = {"conv": (6, 4, 3, 3), "up": (8, 3, 2), "fc": (10, 12)}
DIMS = {"up": 0}


def all_kept(shapes=SHAPES):
    return PruningMask.from_tensors(
        {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}
    )


def random_scores(seed):
    stream = torch.Generator().manual_seed(seed)
    # many ties
    return {n: torch.randint(0, 9, shape, generator=stream).float() for n, shape in SHAPES.items()}


def check_same_as_parts(select_at_fn):
    """`select_at` is one of the four others, with what they want for that density."""

    @law
    @given(
        st.integers(0, 99),
        st.integers(20, 100),
        st.sampled_from(["global", "layerwise", "erk"]),
        st.sampled_from(["unstructured", "channel", "block:2x2", "2:4"]),
        st.sampled_from([0.0, 0.19]),
    )
    def check(seed, percent, scope, structure, floor):
        scores, mask = random_scores(seed), all_kept()
        options = {"scope": scope, "density": percent / 100, "min_layer_density": floor}
        if structure == "2:4":
            options["density"] = 0.5
            wanted = select_nm(scores, mask, input_dims=DIMS)
        elif structure == "unstructured":
            made = budget(SHAPES, **options)
            in_select = floor if scope == "global" else 0.0
            wanted = select(scores, mask, made, min_layer_density=in_select)
        elif structure == "channel":
            asked = Asked(percent / 100, scope, floor)
            wanted = select_channels(scores, mask, asked, input_dims=DIMS)
        else:
            groups = num_groups(mask, structure, input_dims=DIMS)
            made = budget(SHAPES, **options, num_groups=groups)
            in_select = floor if scope == "global" else 0.0
            wanted = select_groups(
                scores, mask, made, structure, min_layer_density=in_select, input_dims=DIMS
            )
        found = select_at_fn(scores, mask, **options, structure=structure, input_dims=DIMS)
        assert found == wanted
        assert list(found) == list(mask)

    check()


def test_same_as_its_parts():
    check_same_as_parts(select_at)


@pytest.mark.parametrize(
    "forgotten", ["scope", "structure", "min_layer_density", "input_dims", "density"]
)
def test_forgetting_an_argument_is_caught(forgotten):
    def forgets(scores, mask, **options):
        if forgotten == "density":
            options["density"] = 0.5
        else:
            del options[forgotten]
        return select_at(scores, mask, **options)

    with pytest.raises((AssertionError, UsageError)):
        check_same_as_parts(forgets)


@pytest.mark.parametrize("structure", ["unstructured", "channel", "block:2x2"])
@pytest.mark.parametrize("scope", ["global", "layerwise", "erk"])
@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_masks_nest_along_a_chain(structure, scope, floor):
    mask = all_kept()
    for level in range(8):
        density = 0.8**level
        found = select_at(
            random_scores(level),
            mask,
            density=density,
            scope=scope,
            structure=structure,
            min_layer_density=floor,
            input_dims=DIMS,
        )
        assert found.is_nested_in(mask)
        if structure == "unstructured":
            assert found.num_kept == budget(SHAPES, scope=scope, density=density).total
        mask = found


def test_2_of_4_on_top_of_another_mask():
    scores = random_scores(0)
    mask = select_at(scores, all_kept(), density=0.8)
    found = select_at(scores, mask, structure="2:4", input_dims=DIMS)
    assert found.is_nested_in(mask)
    assert found.density < 0.5
    assert all(is_nm(kept, dim=DIMS.get(name, 1)) for name, kept in found.items())


def test_a_structure_may_be_given_as_such():
    scores, mask = random_scores(0), all_kept()
    as_text = select_at(scores, mask, density=0.5, structure="block:3x1", input_dims=DIMS)
    made = select_at(
        scores, mask, density=0.5, structure=Structure("block", (3, 1)), input_dims=DIMS
    )
    assert made == as_text


def test_a_budget_in_place_of_a_density():
    scores, mask = random_scores(0), all_kept()
    assert select_at(scores, mask, budget=Budget(77)) == select(scores, mask, Budget(77))
    assert select_at(scores, mask, budget=Budget(77), density=0.9).num_kept == 77
    per_layer = Budget(60, (("conv", 10), ("up", 20), ("fc", 30)))
    assert select_at(scores, mask, budget=per_layer) == select(scores, mask, per_layer)


def test_channels_take_the_weights_of_a_budget():
    scores, mask = random_scores(0), all_kept()
    half = Budget(mask.num_prunable // 2)
    found = select_at(scores, mask, budget=half, structure="channel", input_dims=DIMS)
    assert found == select_at(scores, mask, density=0.5, structure="channel", input_dims=DIMS)
    # 36, 16 and 12 weights a channel
    per_layer = Budget(154, (("conv", 108), ("up", 16), ("fc", 30)))
    found = select_at(scores, mask, budget=per_layer, structure="channel", input_dims=DIMS)
    wanted = Budget(6, (("conv", 3), ("up", 1), ("fc", 2)))
    assert found == select_groups(scores, mask, wanted, "channel", input_dims=DIMS)


def test_blocks_take_the_densities_of_a_budget():
    scores, mask = random_scores(0), all_kept()
    # 54, 12 and 30 blocks at 1/2, 1/3 and 1/4; of the last 22.5 are pruned, and half a one
    per_layer = Budget(154, (("conv", 108), ("up", 16), ("fc", 30)))
    options = {"structure": "block:2x2", "input_dims": DIMS}
    found = select_at(scores, mask, budget=per_layer, **options)
    groups = num_groups(mask, "block:2x2", input_dims=DIMS)
    counts = {"conv": groups["conv"] // 2, "up": round(groups["up"] / 3), "fc": 7}
    wanted = Budget(sum(counts.values()), tuple(counts.items()))
    assert found == select_groups(scores, mask, wanted, **options)


def test_a_floor_in_channels():
    scores, mask = random_scores(0), all_kept()
    per_layer = Budget(43, (("conv", 24), ("up", 6), ("fc", 13)))
    options = {"budget": per_layer, "structure": "channel", "input_dims": DIMS}
    without = select_at(scores, mask, **options)
    assert {n: int(kept.sum()) for n, kept in without.items()} == {"conv": 36, "up": 16, "fc": 12}
    found = select_at(scores, mask, **options, min_layer_density=0.25)
    assert {n: int(kept.sum()) for n, kept in found.items()} == {"conv": 72, "up": 16, "fc": 36}


@pytest.mark.parametrize(
    ("options", "got"),
    [
        ({"density": 0.2}, "96 of 480 (0.2)"),
        ({"density": 1.0}, "480 of 480 (1)"),
        ({"budget": Budget(241)}, "241 of 480 (0.5021)"),
        ({"budget": Budget(240, (("a", 120), ("b", 120)))}, "120 of 160 (0.75)"),
    ],
)
def test_2_of_4_is_a_half(options, got):
    shapes = {"a": (8, 20), "b": (16, 20)}
    mask = all_kept(shapes)
    scores = {name: torch.ones(shape) for name, shape in shapes.items()}
    with pytest.raises(UsageError) as caught:
        select_at(scores, mask, structure="2:4", **options)
    assert str(caught.value) == (f"structure '2:4' keeps 0.5 of every layer; asked to keep {got}")
    for fitting in ({}, {"density": 0.5}, {"budget": Budget(240)}):
        assert select_at(scores, mask, structure="2:4", **fitting).num_kept == 240
    layers = Budget(240, (("a", 80), ("b", 160)))
    assert select_at(scores, mask, structure="2:4", budget=layers).num_kept == 240


def test_a_fraction_that_decimals_cannot_write():
    scores, mask = {"w": torch.arange(600).view(2, 300)}, all_kept({"w": (2, 300)})
    found = select_at(scores, mask, structure="1:3", density=0.3333333333)
    assert found.num_kept == 200
    assert found == select_at(scores, mask, structure="1:3", density=1 / 3)


def test_2_of_4_under_a_floor():
    mask = PruningMask.from_tensors({"w": torch.tensor([[True] + [False] * 7])})
    scores = {"w": torch.ones(1, 8)}
    assert select_at(scores, mask, structure="2:4", min_layer_density=0.1).num_kept == 1
    with pytest.raises(UsageError) as caught:
        select_at(scores, mask, structure="2:4", min_layer_density=0.2)
    assert str(caught.value) == (
        "w: structure '2:4' keeps 1 weights, but min_layer_density 0.2 needs 2"
    )


@pytest.mark.parametrize("structure", ["unstructured", "channel"])
def test_neither_density_nor_budget(structure):
    with pytest.raises(UsageError, match="select_at wants a density or a budget, got neither"):
        select_at(random_scores(0), all_kept(), structure=structure)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"density": 0.5, "structure": "4:2"}, "structure '4:2' keeps n of every m weights"),
        ({"density": 0.5, "structure": "filters"}, "structure: got 'filters', wanted one of"),
        ({"density": 0.5, "scope": "all"}, "unknown scope 'all'"),
        ({"density": 1.5}, "density: 1.5 is not a fraction between 0 and 1"),
        (
            {"density": 5, "structure": "2:4"},
            "density: 5 is not a fraction between 0 and 1; for 5 % write 0.05",
        ),
        ({"density": 0.1, "min_layer_density": 0.5}, "density 0.1 keeps 38 of 384, but min_layer"),
        ({"structure": "3:5"}, "wants a multiple of 5 inputs, not so: conv (6, 4,"),
    ],
)
def test_what_cannot_be(options, problem):
    with pytest.raises(UsageError) as caught:
        select_at(random_scores(0), all_kept(), **options)
    assert problem in str(caught.value)


@pytest.mark.parametrize("structure", ["unstructured", "channel", "block:2x2", "2:4"])
def test_nan_raises(structure):
    scores = {**random_scores(0), "fc": torch.full(SHAPES["fc"], math.nan)}
    with pytest.raises(UsageError, match="scores of 'fc' contain NaN; nothing was pruned"):
        select_at(scores, all_kept(), density=0.5, structure=structure, input_dims=DIMS)


def test_on_a_model():
    """The four lines a search needs."""
    model = nn.Sequential(nn.ConvTranspose2d(4, 3, 2), nn.Flatten(), nn.LSTM(12, 8))
    mask = PruningMask(model)
    dims = input_dims(model, mask)
    scores = {name: value.detach().abs() for name, value in model.named_parameters()}
    scores = {name: scores[name] for name in mask}
    for structure in ("unstructured", "channel", "block:4x4", "2:4"):
        found = select_at(scores, mask, density=0.5, structure=structure, input_dims=dims)
        assert found.is_nested_in(mask)
        assert found.density == pytest.approx(0.5, abs=0.08)
