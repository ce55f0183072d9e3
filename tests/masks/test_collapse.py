import warnings

import pytest
import torch
from torch import nn

from lottery_ticket.masks import (
    Budget,
    LayerCollapseWarning,
    PruningMask,
    collapsed_layers,
    select,
    warn_on_collapse,
)


def mask_of(**rows):
    return PruningMask.from_tensors(
        {name.replace("_", "."): torch.tensor(row, dtype=torch.bool) for name, row in rows.items()}
    )


def test_collapsed_layers():
    mask = mask_of(b_weight=[0, 0], a_weight=[0, 1], c=[[0], [0]], b_bias=[0, 0], empty=[])
    assert collapsed_layers(mask) == ["b.weight", "c"]
    assert collapsed_layers(mask_of(w=[1])) == []
    assert collapsed_layers({}) == []


def test_a_bias_is_known_by_the_last_part_of_its_name():
    mask = {
        name: torch.tensor([False])
        for name in ("bias_net.weight", "0.bias", "lstm.bias_ih_l0", "attention.in_proj_bias")
    }
    assert collapsed_layers(mask) == ["bias_net.weight"]


def test_the_warning_names_the_layers_and_what_to_do():
    with pytest.warns(LayerCollapseWarning) as caught:
        warn_on_collapse(mask_of(a=[0], b=[1], c=[0]))
    assert str(caught[0].message) == (
        "layer collapse: no weight of a, c is kept, so nothing passes through; give "
        "min_layer_density (0.01, say), use scope='layerwise' or 'erk', or prune less (fewer "
        "levels)"
    )
    with pytest.warns(LayerCollapseWarning, match="no weight of a, b, c and 2 more is kept"):
        warn_on_collapse(mask_of(a=[0], b=[0], c=[0], d=[0], e=[0]))


def test_the_warning_points_at_the_caller_of_who_warns():
    def prune():
        warn_on_collapse(mask_of(a=[0]))

    with pytest.warns(LayerCollapseWarning) as caught:
        prune()
    assert caught[0].filename == __file__


def test_selection_itself_is_silent():
    mask = PruningMask(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)))
    scores = {"0.weight": torch.ones(2, 2), "2.weight": torch.zeros(1, 2)}
    scores = dict(zip(mask, scores.values(), strict=True))
    found = select(scores, mask, Budget(3))
    assert collapsed_layers(found) == ["1.weight"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_on_collapse(mask)
        warn_on_collapse(select(scores, mask, Budget(3), min_layer_density=0.1))
