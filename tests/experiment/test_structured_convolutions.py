"""The scope channel in the engine, and n:m of convolutions."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from every_arm import Made, made_in
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import Inputs
from lottery_ticket.experiment.objects.layers import pruned_layers
from lottery_ticket.experiment.planning.budgets import level_budgets
from lottery_ticket.masks import MissedDensityWarning, PruningMask, is_nm
from lottery_ticket.models import build
from lottery_ticket.pruning import next_mask, prune
from lottery_ticket.spec import PruneSpec, spec_from_mapping


def inputs_of(layers: dict[str, tuple[int, ...]], **more: Any) -> Inputs:
    return Inputs("digest", 100, {}, {}, layers, **more)


def conv_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ConvTranspose2d(6, 9, 2), nn.Flatten(), nn.Linear(9, 4)
    )


LAYERS = {"0.weight": (6, 3, 3, 3), "1.weight": (6, 9, 2, 2)}
TRANSPOSED = {"1.weight": 0}


def check_channels(budgets_of) -> None:
    """The same law as for weights, by the channels of each layer."""
    prune = PruneSpec(scope="channel", rate=0.5, levels=2)
    budgets = budgets_of(prune, inputs_of(LAYERS, input_dims=TRANSPOSED))
    assert [dict(budget.per_layer or ()) for budget in budgets] == [
        {"0.weight": 6 * 27, "1.weight": 9 * 24},
        {"0.weight": 3 * 27, "1.weight": 4 * 24},
        {"0.weight": 1 * 27, "1.weight": 2 * 24},
    ]
    assert [budget.total for budget in budgets] == [378, 177, 75]


def test_channels_are_counted_exactly():
    check_channels(level_budgets)


def inputs_taken_for_outputs(prune, inputs):
    return level_budgets(prune, inputs_of(LAYERS))


def half_of_the_weights(prune, inputs):
    return level_budgets(PruneSpec(scope="layerwise", rate=0.5, levels=2), inputs)


@pytest.mark.parametrize("mutant", [inputs_taken_for_outputs, half_of_the_weights])
def test_other_counts_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_channels(mutant)


def test_channels_are_those_of_convolutions():
    prune = PruneSpec(scope="channel", densities=(0.5,))
    assert list(pruned_layers(prune, conv_net())) == list(LAYERS)
    assert list(pruned_layers(PruneSpec(densities=(0.5,)), conv_net())) == [*LAYERS, "3.weight"]


def test_each_layer_keeps_a_channel_and_more_than_asked_is_said():
    prune = PruneSpec(scope="channel", densities=(0.5, 0.05))
    message = (
        "prune: level 2: asked to keep 19 of 378 weights (density 0.05), kept 51 (0.1349): each "
        "layer keeps at least one channel"
    )
    with pytest.warns(MissedDensityWarning, match=re.escape(message)):
        budgets = level_budgets(prune, inputs_of(LAYERS, input_dims=TRANSPOSED))
    assert dict(budgets[2].per_layer or ()) == {"0.weight": 27, "1.weight": 24}


def test_a_level_that_prunes_nothing_is_refused():
    prune = PruneSpec(scope="channel", densities=(0.1, 0.05))
    with (
        pytest.warns(MissedDensityWarning),
        pytest.raises(UsageError, match="level 2 would prune nothing"),
    ):
        level_budgets(prune, inputs_of(LAYERS, input_dims=TRANSPOSED))


def test_channels_of_a_transposed_convolution_are_selected_whole():
    weights = {name: torch.rand(shape) for name, shape in LAYERS.items()}
    ones = PruningMask.from_tensors(
        {n: torch.ones_like(w, dtype=torch.bool) for n, w in weights.items()}
    )
    prune = PruneSpec(scope="channel", densities=(0.5,))
    budget = level_budgets(prune, inputs_of(LAYERS, input_dims=TRANSPOSED))[1]
    mask = next_mask(
        "magnitude", ones, budget, structure="channel", input_dims=TRANSPOSED, weights=weights
    )
    assert mask.num_kept == budget.total
    for name, outputs in (("0.weight", 0), ("1.weight", 1)):
        matrix = mask[name].transpose(0, outputs).flatten(1)
        assert torch.equal(matrix.any(1), matrix.all(1))
        strength = weights[name].transpose(0, outputs).flatten(1).abs().sum(1)
        assert strength[matrix.all(1)].min() > strength[~matrix.all(1)].max()


# runs of a Conv-4 with 4 and 8 channels, on a few images of noise

ARMS = ["ticket", "shuffled", "random", "inverted", "synflow"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("images") / "noise.npz"
    x, y = rng.normal(size=(60, 3, 32, 32)).astype("float32"), np.arange(60) % 10
    np.savez(path, x=x, y=y)
    return path


def made_of(folder, images, arms: list[str], **prune: Any) -> Made:
    spec = spec_from_mapping(
        {
            "name": "images",
            "data": {"name": "arrays", "path": str(images)},
            "model": {"name": "Conv4", "width": 1 / 16},
            "train": {"lr": 0.1, "batch_size": 16, "duration": "2it"},
            "prune": prune,
            "arms": arms,
        }
    )
    return made_in(folder, spec)


CONVOLUTIONS = {"features.0": 4, "features.2": 4, "features.5": 8, "features.7": 8}


def test_a_run_keeps_half_of_the_channels(images, tmp_path):
    made = made_of(tmp_path, images, ARMS, scope="channel", densities=[0.5])
    assert [budget.total for budget in made.plan.budgets] == [108 + 144 + 288 + 576, 558]
    masks = {arm: made.mask(arm, 1) for arm in ARMS}
    for mask in masks.values():
        channels = {name: kept.flatten(1) for name, kept in mask.items()}
        assert all(torch.equal(kept.any(1), kept.all(1)) for kept in channels.values())
        assert {name: int(kept.any(1).sum()) for name, kept in channels.items()} == {
            f"{name}.weight": count // 2 for name, count in CONVOLUTIONS.items()
        }
    assert masks["shuffled"] != masks["ticket"] != masks["random"]
    for name, kept in masks["ticket"].items():
        strength = made.trained("ticket", 0)[name].flatten(1).abs().sum(1)
        chosen = kept.flatten(1).any(1)
        assert strength[chosen].min() >= strength[~chosen].max()
        assert torch.equal(masks["inverted"][name], ~kept)
    assert bool((made.trained("ticket", 1)["classifier.weight"] != 0).all())


def check_same_as_the_library(made: Made, prune_fn) -> None:
    """At each level, from the weights that the run scored: the same mask, bit for bit."""
    model = build("Conv4", 0, **made.plan.inputs.model_options)
    mask = None
    for level in (1, 2):
        model.load_state_dict(made.trained("ticket", level - 1), strict=False)
        density = made.plan.spec.prune.densities[level - 1]
        mask = prune_fn(model, mask, density=density, structure="channel", scope="layerwise")
        assert mask == made.mask("ticket", level)
        assert mask.to_bytes() == made.mask("ticket", level).to_bytes()


@pytest.fixture(scope="module")
def two_levels(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_levels")
    return made_of(folder, images, ["ticket", "random"], scope="channel", densities=[0.6, 0.3])


def test_a_run_and_the_library_make_the_same_masks(two_levels):
    check_same_as_the_library(two_levels, prune)


def ranked_together(model, mask, **how):
    return prune(model, mask, **how | {"scope": "global"})


def from_the_dense_net(model, mask, **how):
    return prune(model, None, **how | {"criterion": "random"})


@pytest.mark.parametrize("mutant", [ranked_together, from_the_dense_net])
def test_other_masks_are_caught(two_levels, mutant):
    with pytest.raises(AssertionError):
        check_same_as_the_library(two_levels, mutant)


def test_a_rate_is_of_weights_at_every_level(images, tmp_path):
    """Rounded anew from (1 − rate)^level, so that layers of few channels keep up with the rest."""
    layers = {"wide.weight": (100, 4, 1, 1), "narrow.weight": (4, 100, 1, 1)}
    budgets = level_budgets(PruneSpec(scope="channel", rate=0.2, levels=6), inputs_of(layers))
    counts = [dict(budget.per_layer or ()) for budget in budgets]
    assert [count["wide.weight"] // 4 for count in counts] == [100, 80, 64, 51, 41, 33, 26]
    assert [count["narrow.weight"] // 100 for count in counts] == [4, 3, 3, 2, 2, 1, 1]
    rates = PruneSpec(scope="channel", rate=0.2, levels=1, rates={"narrow": 0.5})
    assert dict(level_budgets(rates, inputs_of(layers))[1].per_layer or ()) == {
        "wide.weight": 320,
        "narrow.weight": 200,
    }


def test_the_output_of_a_net_of_convolutions_is_not_cut():
    model = nn.Sequential(
        *(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    spec, x = PruneSpec(scope="channel", densities=(0.5,)), torch.zeros(2, 3, 8, 8)
    assert list(pruned_layers(spec, model, x)) == ["0.weight"]
    # a scope of weights takes all
    assert list(pruned_layers(PruneSpec(densities=(0.5,)), model, x)) == ["0.weight", "2.weight"]


def test_masks_of_channels_alone_have_new_names(two_levels, images, tmp_path):
    inputs = [cell.inputs() for cell in two_levels.plan.cells.values() if "keep" in cell.inputs()]
    assert inputs
    assert all(mask["numerics"] == 2 and mask["scope"] == "channel" for mask in inputs)
    others = made_of(tmp_path, images, ["ticket"], scope="layerwise", densities=[0.6])
    inputs = [cell.inputs() for cell in others.plan.cells.values() if "keep" in cell.inputs()]
    assert inputs
    assert all(mask["numerics"] == 1 for mask in inputs)


def test_a_run_of_convolutions_keeps_2_of_4(images, tmp_path):
    arms = ["ticket", "shuffled"]
    made = made_of(tmp_path, images, arms, scope="2:4", levels=1, ignore=["features.0"])
    for arm in arms:
        mask, weights = made.mask(arm, 1), made.trained(arm, 1)
        assert "features.0.weight" not in mask
        assert mask.density == 0.5
        # of four input channels at one kernel position
        assert all(is_nm(weights[name], 2, 4) for name in mask)
    assert made.mask("ticket", 1) != made.mask("shuffled", 1)
