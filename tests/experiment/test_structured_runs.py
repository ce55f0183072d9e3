"""The scope n:m in the engine: every mask of every arm, held against plain Python."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from every_arm import Made, made_in, wrong_maker
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tiny_runs import TINY, planned

from lottery_ticket.chain import At, Chain
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import Inputs
from lottery_ticket.experiment.cells.cell import MASK
from lottery_ticket.experiment.cells.mask import Shuffle, Structure
from lottery_ticket.experiment.planning.budgets import level_budgets
from lottery_ticket.experiment.planning.replicate import Replicate
from lottery_ticket.masks import PruningMask
from lottery_ticket.models import build
from lottery_ticket.pruning import next_mask
from lottery_ticket.seeds import derive
from lottery_ticket.spec import PruneSpec, Spec, spec_from_mapping

SIZES = {"fc1.weight": 1280, "fc2.weight": 240, "fc3.weight": 120}


def spec_of(arms: list[str], **prune: Any) -> Spec:
    changes = {
        "model": {"name": "LeNet300", "hidden": [20, 12]},
        "train": {"lr": 0.1, "momentum": 0.9, "batch_size": 64, "duration": "12it"},
        "prune": {"scope": "2:4"} | prune,
        "arms": arms,
    }
    return spec_from_mapping(TINY | changes)


def best_of_groups(scores: torch.Tensor, among: torch.Tensor, n: int, m: int) -> torch.Tensor:
    """The n highest of every m along dimension 1, by sorting; on a tie the lower index."""
    kept = torch.zeros_like(among)
    for output in range(scores.shape[0]):
        for start in range(0, scores.shape[1], m):
            left = [i for i in range(start, start + m) if among[output, i]]
            left.sort(key=lambda i: (-float(scores[output, i]), i))
            kept[output, left[:n]] = True
    return kept


# the law, for any weights


def inputs_of(layers: dict[str, tuple[int, ...]], **more: Any) -> Inputs:
    return Inputs("digest", 100, {}, {}, layers, **more)


def chain_of(prune: PruneSpec, weights: list[dict[str, torch.Tensor]]) -> list[PruningMask]:
    """The masks of levels 0, 1, …, each from weights of its own: as the engine makes them."""
    shapes = {name: tuple(value.shape) for name, value in weights[0].items()}
    budgets = level_budgets(prune, inputs_of(shapes))
    ones = {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}
    masks = [PruningMask.from_tensors(ones)]
    for level, trained in enumerate(weights, 1):
        structure = prune.scope_at(level)
        masks.append(
            next_mask("magnitude", masks[-1], budgets[level], structure=structure, weights=trained)
        )
    return masks


@st.composite
def n_of_m_chains(draw):
    """(prune, the weights of each level), with many ties."""
    m = draw(st.integers(2, 6))
    n = draw(st.integers(1, m - 1))
    prune = PruneSpec(scope=f"{n}:{m}", levels=draw(st.none() | st.integers(1, m - n)))
    stream = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    widths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2))
    return prune, [
        {
            str(index): torch.randint(-2, 3, (2, m * width), generator=stream).float()
            for index, width in enumerate(widths)
        }
        for _ in range(prune.num_levels)
    ]


def check_chains(chain_fn) -> None:
    @settings(
        deadline=None,
        max_examples=40,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        report_multiple_bugs=False,
    )
    @given(n_of_m_chains())
    def check(case) -> None:
        prune, weights = case
        m = int(prune.scope.split(":")[1])
        masks = chain_fn(prune, weights)
        assert len(masks) == 1 + prune.num_levels
        for level in range(1, len(masks)):
            n = int(prune.scope_at(level).split(":")[0])
            assert masks[level].is_nested_in(masks[level - 1])
            for name, kept in masks[level].items():
                assert bool((kept.unflatten(1, (-1, m)).sum(-1) == n).all())
                before, scores = masks[level - 1][name], weights[level - 1][name].abs()
                assert torch.equal(kept, best_of_groups(scores, before, n, m))

    check()


def test_every_group_keeps_exactly_the_n_of_its_level():
    check_chains(chain_of)


def each_from_the_dense_net(prune, weights):
    masks = chain_of(prune, weights)
    for level in range(1, len(masks)):
        n, m = (int(part) for part in prune.scope_at(level).split(":"))
        made = {
            name: best_of_groups(value.abs(), torch.ones_like(value, dtype=torch.bool), n, m)
            for name, value in weights[level - 1].items()
        }
        masks[level] = PruningMask.from_tensors(made)
    return masks


def at_once(prune, weights):
    n, m = (int(part) for part in prune.scope.split(":"))
    masks = chain_of(prune, weights)
    for level in range(1, len(masks)):
        made = {
            name: best_of_groups(weights[level - 1][name].abs(), before, n, m)
            for name, before in masks[level - 1].items()
        }
        masks[level] = PruningMask.from_tensors(made)
    return masks


def by_layer_alone(prune, weights):
    """As many of each layer, wherever they lie."""
    masks = chain_of(prune, weights)
    budgets = level_budgets(prune, inputs_of({n: tuple(w.shape) for n, w in weights[0].items()}))
    for level in range(1, len(masks)):
        masks[level] = next_mask(
            "magnitude", masks[level - 1], budgets[level], weights=weights[level - 1]
        )
    return masks


def last_of_the_tied(prune, weights):
    flipped = [{name: value.flip(1) for name, value in level.items()} for level in weights]
    return [
        PruningMask.from_tensors({name: kept.flip(1) for name, kept in mask.items()})
        for mask in chain_of(prune, flipped)
    ]


@pytest.mark.parametrize(
    "mutant", [each_from_the_dense_net, at_once, by_layer_alone, last_of_the_tied]
)
def test_other_chains_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_chains(mutant)


# runs

MASKED = [
    *("ticket", "reinit", "shuffled", "random", "oneshot", "inverted", "lr_rewind"),
    *("magnitude_init", "snip", "grasp"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    return made_in(tmp_path_factory.mktemp("n_of_m"), spec_of([*MASKED, "dense_small"]))


def scores_before(made: Made, arm: str, level: int) -> dict[str, torch.Tensor] | None:
    """What the mask of a level is made from; None where it is drawn, or scored elsewhere."""
    if arm in ("oneshot", "inverted", "ticket", "reinit", "lr_rewind"):
        chain = "lr_rewind" if arm == "lr_rewind" else "ticket"
        weights = made.trained(chain, level - 1 if arm not in ("oneshot", "inverted") else 0)
    elif arm == "magnitude_init":
        seed = derive(derive(made.spec.seed, "replicate", 0), "init")
        weights = build("LeNet300", seed, input_size=64, num_classes=10, hidden=[20, 12])
        weights = weights.state_dict()
    else:
        return None
    sign = -1 if arm == "inverted" else 1
    return {name: sign * weights[name].abs() for name in SIZES}


def check_masks(made: Made, arm: str) -> None:
    masks = [made.mask(arm, level) for level in (1, 2)]
    for level, mask in enumerate(masks, 1):
        n = 4 - level
        assert {name: int(kept.sum()) for name, kept in mask.items()} == {
            name: size // 4 * n for name, size in SIZES.items()
        }
        assert mask.num_kept == made.row(arm, level).num_kept
        assert all(bool((k.unflatten(1, (-1, 4)).sum(-1) == n).all()) for k in mask.values())
        scores = scores_before(made, arm, level)
        if scores is not None:
            is_chain = level == 2 and arm in ("ticket", "reinit", "lr_rewind")
            for name, kept in mask.items():
                among = masks[0][name] if is_chain else torch.ones_like(kept)
                assert torch.equal(kept, best_of_groups(scores[name], among, n, 4))
        elif arm in ("shuffled", "random"):
            ticket = made.mask("ticket", level)
            apart = sum(int((mask[name] != ticket[name]).sum()) for name in mask)
            # by chance 3/8 of 3:4 differ, and half of 2:4
            assert apart > made.plan.budgets[0].total / 4
    if arm != "shuffled":
        assert masks[1].is_nested_in(masks[0])


@pytest.mark.parametrize("arm", MASKED)
def test_every_arm_keeps_n_of_m(arm, made):
    check_masks(made, arm)


def test_the_counts_are_those_of_the_plan(made):
    assert [budget.total for budget in made.plan.budgets] == [1640, 1230, 820]
    assert [made.row("ticket", level).num_kept for level in (0, 1, 2)] == [1640, 1230, 820]
    # two hidden widths of nets about as large
    assert [made.row("dense_small", level).num_kept for level in (1, 2)] == [1210, 830]


def structures_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Structure, "options", lambda structure: {})


def shuffles_nothing(make, cell, parents, workspace):
    made = make(cell, parents, workspace)
    if not isinstance(cell.how, Shuffle):
        return made
    return replace(made, files={MASK: parents.mask().to_bytes()})


def random_over_all_layers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Replicate, "_structure", lambda replicate, scope: Structure("global"))


def pruned_from_the_dense_net(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Chain, "before", lambda chain, at: At())


WRONG = [
    ("shuffled", structures_are_forgotten),
    ("ticket", structures_are_forgotten),
    ("shuffled", wrong_maker("mask", shuffles_nothing)),
    ("random", random_over_all_layers),
    ("lr_rewind", pruned_from_the_dense_net),
    ("inverted", structures_are_forgotten),
]


@pytest.mark.parametrize(("arm", "wrong"), WRONG)
def test_other_masks_are_caught(arm, wrong, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        wrong(patch)
        made = made_in(tmp_path, spec_of(list(dict.fromkeys(["ticket", arm]))))
    with pytest.raises(AssertionError):
        check_masks(made, arm)


def test_equal_masks_are_one_cell():
    """However the level is reached: at once, or as the first of two steps."""
    steps, once = planned(spec_of(["oneshot"])), planned(spec_of(["ticket"], levels=1))
    assert {row.mask for row in once.rows} <= {row.mask for row in steps.rows}
    first = planned(spec_of(["ticket"], scope="3:4"))
    assert {row.mask for row in first.rows} <= {row.mask for row in steps.rows}


PINNED = {"ticket": "6d3c1380", "shuffled": "8d5e7788", "random": "e60ac86d"}


def test_names_are_pinned():
    # another name means that everybody's results of that scope are made again
    made = planned(spec_of(["ticket", "shuffled", "random"]))
    assert {row.arm: (row.mask or "")[:8] for row in made.rows if row.level == 2} == PINNED


# layers that are left dense


def test_ignored_layers_are_in_neither_count(tmp_path):
    made = made_in(tmp_path, spec_of(["ticket", "random", "dense_small"], ignore=["fc3"]))
    assert [budget.total for budget in made.plan.budgets] == [1520, 1140, 760]
    for arm in ("ticket", "random"):
        assert list(made.mask(arm, 2)) == ["fc1.weight", "fc2.weight"]
        assert bool((made.trained(arm, 2)["fc3.weight"] != 0).all())
    # of a net that is about as large as a whole: 1,640 − 380 and 1,640 − 760
    small = [made.row("dense_small", level) for level in (1, 2)]
    hidden = [made.plan.cells[row.cell].inputs()["model"]["hidden"] for row in small]
    counts = [64 * one + one * two + two * 10 for one, two in hidden]
    assert [row.num_kept + 120 for row in small] == counts
    assert counts == pytest.approx([1260, 880], abs=40)


def test_ignoring_makes_other_masks_and_no_other_trainings():
    whole, part = (planned(spec_of(["ticket"], ignore=names)) for names in ([], ["fc3"]))
    assert whole.rows[0].cell == part.rows[0].cell
    assert whole.rows[1].mask != part.rows[1].mask


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": {"name": "LeNet300", "hidden": [20, 10]}},
            (
                "prune: scope '2:4' wants a multiple of 4 inputs, not so: fc3.weight (10, 10); "
                "leave such layers dense with prune.ignore: [fc3]"
            ),
        ),
        (
            {"prune": {"scope": "2:4", "ignore": ["fc9"]}},
            "prune.ignore: the model has no class, module or parameter 'fc9'; did you mean 'fc",
        ),
        (
            {"prune": {"scope": "2:4", "ignore": ["Linear"]}},
            "nothing to prune: the model has fc1.weight (ignored), fc2.weight (ignored), ",
        ),
        (
            {"prune": {"scope": "channel", "densities": [0.5]}},
            "prune: scope 'channel' finds no convolution to prune in this model",
        ),
        (
            {
                "model": {"name": "LeNet300", "hidden": [4, 4]},
                "prune": {"rate": 0.98, "levels": 1, "ignore": ["fc1"]},
                "arms": ["dense_small"],
            },
            "dense_small: the narrower net of level 1 has 244 weights, no more than prune.ignore",
        ),
    ],
)
def test_what_does_not_fit_is_said_before_training(changes, message):
    with pytest.raises(UsageError) as refused:
        planned(spec_from_mapping(TINY | {"prune": {"scope": "2:4"}} | changes))
    assert str(refused.value).startswith(message)
