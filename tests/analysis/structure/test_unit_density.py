import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lottery_ticket.analysis.structure import (
    MaskPlace,
    input_density,
    layer_density,
    unit_density,
)
from lottery_ticket.masks import PruningMask

CONV = torch.zeros(2, 3, 2, 2, dtype=torch.bool)
CONV[0, 0, 0, 0] = CONV[0, 2] = CONV[1, 2, 1, 1] = True  # 1 + 4 + 1 weights
LINEAR = torch.tensor([[1, 0], [1, 1], [0, 0]], dtype=torch.bool)
MASK = PruningMask.from_tensors(
    {"conv.weight": CONV, "fc.weight": LINEAR, "fc.bias": torch.tensor([True, False, True])}
)
MASKS = {MaskPlace("r", "ticket", 3, 1, 2): MASK}


def test_layers():
    table = layer_density(MASKS)
    assert list(table.columns) == [
        *MaskPlace._fields,
        "layer",
        "num_kept",
        "num_prunable",
        "density",
    ]
    assert table.to_numpy().tolist() == [
        ["r", "ticket", 3, 1, 2, "conv.weight", 6, 24, 0.25],
        ["r", "ticket", 3, 1, 2, "fc.weight", 3, 6, 0.5],
        ["r", "ticket", 3, 1, 2, "fc.bias", 2, 3, pytest.approx(2 / 3)],
    ]


def test_units_are_counted_on_both_sides():
    table = unit_density(MASKS).drop(columns=list(MaskPlace._fields))
    assert table.to_numpy().tolist() == [
        ["conv.weight", "input", 0, 1, 8, 1 / 8],
        ["conv.weight", "input", 1, 0, 8, 0],
        ["conv.weight", "input", 2, 5, 8, 5 / 8],
        ["conv.weight", "output", 0, 5, 12, pytest.approx(5 / 12)],
        ["conv.weight", "output", 1, 1, 12, pytest.approx(1 / 12)],
        ["fc.weight", "input", 0, 2, 3, pytest.approx(2 / 3)],
        ["fc.weight", "input", 1, 1, 3, pytest.approx(1 / 3)],
        ["fc.weight", "output", 0, 1, 2, 1 / 2],
        ["fc.weight", "output", 1, 2, 2, 1],
        ["fc.weight", "output", 2, 0, 2, 0],
    ]


def test_inputs_are_those_of_the_first_layer():
    table = input_density(MASKS)
    assert list(table["input"]) == [0, 1, 2]
    assert list(table["num_kept"]) == [1, 0, 5]
    assert list(table["num_prunable"]) == [8, 8, 8]


def check_sides(units_of, kept):
    """Both sides of a layer count the same weights, each unit its own row or column."""
    mask = PruningMask.from_tensors({"w": kept})
    table = units_of({MaskPlace(): mask})
    for side, sums in (("output", kept.sum(1)), ("input", kept.sum(0))):
        rows = table[table["side"] == side]
        assert list(rows["num_kept"]) == sums.tolist()
        assert (rows["num_kept"] / rows["num_prunable"] == rows["density"]).all()
        assert rows["num_prunable"].sum() == kept.numel()


def sides_swapped(masks):
    table = unit_density(masks)
    return table.assign(side=table["side"].map({"input": "output", "output": "input"}))


@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_both_sides_count_the_same_weights(rows, columns, data):
    values = st.lists(st.booleans(), min_size=columns, max_size=columns)
    kept = data.draw(st.lists(values, min_size=rows, max_size=rows))
    check_sides(unit_density, torch.tensor(kept))


def test_swapped_sides_are_caught():
    with pytest.raises(AssertionError):
        check_sides(sides_swapped, LINEAR)


def test_masks_without_units_have_no_rows():
    masks = {MaskPlace(): PruningMask.from_tensors({"b": torch.tensor([True])})}
    assert unit_density(masks).empty
    assert input_density(masks).empty
    assert layer_density({}).empty
