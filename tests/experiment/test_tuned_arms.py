"""A grid of recipes, each arm at its own best point."""

import dataclasses
import itertools
import signal
from typing import Any

import numpy as np
import pytest
from torch.nn.functional import cross_entropy

import lottery_ticket
from lottery_ticket import (
    LotteryError,
    UsageError,
    load_run,
    register_arm,
    register_loss,
    sweep,
)
from lottery_ticket.arms import ARMS
from lottery_ticket.data import load_dataset
from lottery_ticket.experiment import Plan, tuned_controls
from lottery_ticket.store import Store
from lottery_ticket.tuning import LargeSweepWarning, LeftOutWarning, asked_of

SMALL = [
    *("replicates=2", "prune.levels=2", "train.duration=2ep", "model.hidden=[12, 8]"),
    "arms=[ticket,reinit,shuffled,oneshot]",
]
HOW: dict[str, Any] = {"jobs": 1, "threads": 1}
QUIET: dict[str, Any] = {**HOW, "progress": False}
GRID: dict[str, list[Any]] = {"train.lr": [0.03, 0.1], "rewind": ["0it", "5it"]}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    store = tmp_path_factory.mktemp("sweep") / "store"
    return sweep("quickstart", GRID, overrides=SMALL, store=store, **QUIET), store


_ALONE = ("reinit", "shuffled", "rolled", "borrowed", "permuted")
_FREE = {"cell": None, "mask": None, "num_kept": None}  # what does not tell rows apart


@pytest.fixture
def rolled(forgotten):
    """An arm of one's own, with masks of its own making."""

    def roll(mask, generator):
        return {name: kept.roll(1, dims=0) for name, kept in mask.items()}

    register_arm("rolled", mask=roll)


def check_masks(makes):
    """The law: controls have the recipe of their own point and the masks of the ticket's."""
    arms = "arms=[ticket,{reinit: {draws: 2}},shuffled,oneshot,rolled,borrowed,permuted]"
    asked = asked_of("quickstart", GRID, overrides=[*SMALL[:-1], arms], **HOW)
    plans = [each.plan for each in asked.prepared]
    tickets = {1: plans[3], 2: plans[0]}
    for plan in plans:
        part = makes(plan, tickets)
        assert {(row.arm, row.level, row.draw) for row in part.rows} == {
            (arm, level, draw)
            for level in (1, 2)
            for arm, draw in (*zip(_ALONE, [0] * 5, strict=True), ("reinit", 1))
        }
        for row in part.rows:
            own, lent = (
                next(r for r in rows if vars(r) | _FREE == vars(row) | _FREE)
                for rows in (plan.rows, tickets[row.level].rows)
            )
            assert row.mask == lent.mask
            cell, plain = part.cells[row.cell], plan.cells[own.cell]
            assert cell.parents["mask"] == row.mask
            assert dataclasses.replace(cell, parents=plain.parents, feeds=plain.feeds) == plain
            assert (row.cell == own.cell) == (row.mask == own.mask)


@pytest.mark.usefixtures("rolled")
def test_controls_are_under_the_masks_of_the_tickets_points():
    check_masks(tuned_controls)


@pytest.mark.usefixtures("rolled")
@pytest.mark.parametrize("wrong", ["own masks", "one level's masks", "other recipe"])
def test_other_controls_are_caught(wrong):
    def makes(plan: Plan, tickets: dict[int, Plan]):
        if wrong == "own masks":
            return tuned_controls(plan, dict.fromkeys(tickets, plan))
        if wrong == "one level's masks":
            return tuned_controls(plan, dict.fromkeys(tickets, tickets[1]))
        return tuned_controls(tickets[1], tickets)

    with pytest.raises(AssertionError):
        check_masks(makes)


def test_each_arm_is_held_at_its_best_on_validation(found):
    result, _ = found
    table = result.table
    for row in result.choice.to_dict("records"):
        if row["arm"] == "dense":
            continue
        own = table.loc[(table["arm"] == row["arm"]) & (table["level"] == row["level"])]
        means = own.groupby("point")["val_accuracy"].mean()
        assert means[row["point"]] == pytest.approx(means.max())
        chosen = own.loc[own["is_chosen"]]
        assert set(chosen["point"]) == {row["point"]}
        assert chosen["test_accuracy"].mean() == pytest.approx(row["test"])
        assert (row["train.lr"], row["rewind"]) == (
            GRID["train.lr"][row["point"] // 2],
            GRID["rewind"][row["point"] % 2],
        )


def test_tables_say_whose_masks_controls_have(found):
    result, _ = found
    at = {r["level"]: r["point"] for r in result.choice.to_dict("records") if r["arm"] == "ticket"}
    for row in result.table.to_dict("records"):
        lent = at[row["level"]] if row["level"] and ARMS[row["arm"]].branches else None
        assert (row["masks_from"] if row["masks_from"] == row["masks_from"] else None) in (
            [lent] if lent is not None else [None]
        )
    assert list(result.table)[:4] == ["train.lr", "rewind", "point", "masks_from"]


def test_what_has_no_effect_on_an_arm_is_one_point(found):
    """reinit is never rewound, and its masks are given: of four points two differ."""
    result, _ = found
    numbers = {row["arm"]: row["num_points"] for row in result.choice.to_dict("records")}
    assert numbers == {"dense": 2, "ticket": 4, "reinit": 2, "shuffled": 4, "oneshot": 4}


def test_the_verdict_is_of_the_chosen_nets_on_test(found):
    result, _ = found
    chosen = result.table.loc[result.table["is_chosen"]]
    own = chosen.loc[(chosen["arm"] == "ticket") & (chosen["level"] == 2)].set_index("replicate")
    other = chosen.loc[(chosen["arm"] == "reinit") & (chosen["level"] == 2)].set_index("replicate")
    difference = (own["test_accuracy"] - other["test_accuracy"]).mean()
    assert result.verdict.contrast(2, "reinit")["difference"] == pytest.approx(difference)


def test_each_point_is_a_run(found):
    result, store = found
    for point, run in enumerate(result.runs):
        loaded = load_run(run, store=store)
        assert loaded.record.spec["train"]["lr"] == GRID["train.lr"][point // 2]
        own = result.table.loc[result.table["point"] == point]
        assert set(own["run"]) == {run}
        assert set(own["cell"]) <= loaded.record.cells()
        if loaded.table["level"].loc[loaded.table["arm"] == "reinit"].max() == 0:
            assert "no reinit is trained yet" in loaded.verdict().sentence
        tickets = loaded.table.loc[loaded.table["arm"] == "ticket"]
        assert len(tickets) == 6


def test_the_same_call_trains_nothing_more_and_nothing_can_be_tidied_away(found):
    result, store = found
    before = Store(store).cell_names()
    again = sweep("quickstart", GRID, overrides=SMALL, store=store, **QUIET)
    assert again.to_dict() == result.to_dict()
    assert Store(store).cell_names() == before
    kept = set().union(*(load_run(run, store=store).record.cells() for run in result.runs))
    assert before <= kept


def check_one_point(judged, plain):
    """The law: a grid of one point says what the plain run says, to the last digit."""
    one, other = judged.to_dict(), plain.to_dict()
    assert one == other
    assert judged.sentence == plain.sentence


def test_one_point_is_the_plain_run(found):
    _, store = found
    overrides = [*SMALL, "train.lr=0.1"]
    one = sweep("quickstart", {"rewind": ["5it"]}, overrides=overrides, store=store, **QUIET)
    run = lottery_ticket.run(
        "quickstart", overrides=[*overrides, "rewind=5it"], store=store, **QUIET
    )
    assert run.outcome is not None
    assert run.outcome.num_made == 0
    check_one_point(one.verdict, run.verdict())
    assert one.fairness == "All arms were trained at one point: rewind=5it."
    other = sweep("quickstart", {"rewind": ["0it"]}, overrides=overrides, store=store, **QUIET)
    with pytest.raises(AssertionError):  # that of another point is another
        check_one_point(other.verdict, run.verdict())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The digits with labels as they are, with others in the test part, in the validation part."""
    folder = tmp_path_factory.mktemp("digits")
    data = load_dataset("digits")
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    arrays = {f"x_{name}": split.x.numpy() for name, split in parts.items()}
    labels = {f"y_{name}": split.y.numpy() for name, split in parts.items()}
    turned = {name: (values + 5) % 10 for name, values in labels.items()}
    for name in ("plain", "test", "validation"):
        changed = labels | ({} if name == "plain" else {f"y_{name}": turned[f"y_{name}"]})
        np.savez(folder / f"{name}.npz", **arrays, **changed)
    return folder


def test_other_labels_of_the_test_part_change_no_choice(files, tmp_path):
    """The law once more, from the data to the choice; what differs trains under other masks."""

    def chosen(name):
        spec = {
            "name": "mine",
            "data": {"name": "arrays", "path": str(files / f"{name}.npz")},
            "model": {"name": "MLP", "hidden": [8]},
            "train": {"lr": 0.1, "batch_size": 64, "duration": "2ep"},
            "prune": {"rate": 0.5, "levels": 1},
            "arms": ["ticket", "reinit"],
            "margin": 1,
        }
        result = sweep(spec, {"train.lr": [0.01, 0.1, 0.3]}, store=tmp_path / name, **QUIET)
        return result.choice["point"].tolist(), result.verdict.dense

    (plain, dense), (other, lower), (turned, _) = map(chosen, ("plain", "test", "validation"))
    assert other == plain
    assert lower < dense - 0.2  # the test part was another
    assert turned != plain


def test_a_point_that_fails_is_left_out(tmp_path):
    grid = {"train.lr": [0.1, 3e30]}
    with pytest.warns(LeftOutWarning, match=r"left out, for it failed:\nlr=3e\+30: ticket level 0"):
        result = sweep("quickstart", grid, overrides=SMALL, store=tmp_path, **QUIET)
    assert set(result.choice["point"]) == {0}
    assert "the training loss became nan" in "".join(result.failed[1])
    assert set(result.choice["num_points"]) == {1}


def test_where_no_point_is_left_there_is_no_verdict(tmp_path):
    grid = {"train.lr": [1e30, 3e30]}
    with pytest.raises(LotteryError, match="at no point all tickets of level 1 could be trained"):
        sweep("quickstart", grid, overrides=SMALL, store=tmp_path, **QUIET)


def test_an_end_of_the_grid_is_said(found):
    result, _ = found
    assert "At an end of the grid, beyond which a better point may lie" in result.edges
    assert "rewind" not in result.edges  # which is no number


def test_a_claim_is_that_of_the_sweep(tmp_path):
    overrides = [*SMALL, "claim={level: 2}"]
    grid = {"train.lr": [0.05, 0.1]}
    result = sweep("quickstart", grid, overrides=overrides, store=tmp_path, **QUIET)
    claim = result.verdict.claim
    assert claim is not None
    assert (claim.level, claim.num_trained) == (2, 0)
    again = sweep("quickstart", grid, overrides=overrides, store=tmp_path, **QUIET)
    assert again.verdict.claim == claim


def test_cost_is_that_of_the_tickets_own_point(tmp_path):
    overrides = [*SMALL[:2], *SMALL[3:-1], "arms=[ticket]"]
    grid = {"train.duration": ["1ep", "3ep"]}
    result = sweep("quickstart", grid, overrides=overrides, store=tmp_path, **QUIET)
    cost = result.verdict.cost
    assert cost is not None
    chosen = result.choice.loc[result.choice["level"] == cost.level, "point"].item()
    steps = [19, 57][chosen]
    assert (cost.ticket_steps, cost.search_steps) == (steps, cost.level * steps)


@pytest.mark.parametrize(
    ("spec", "grid", "overrides", "said"),
    [
        ("quickstart", None, [], "quickstart names no grid; write --grid train.lr=0.01,0.03"),
        ("lenet-mnist", {"train.lr": [1.0]}, [], "write --set data.validation=N"),
        ("quickstart", {"train.lr": [1.0]}, ["train.lr=0.1"], "--set train.lr: the grid has"),
        ("quickstart", {"train.lr": [1.0]}, ["arms=[oneshot]"], "wanted 'ticket' among them"),
        ("lenet-mnist-to-fashion", {"train.lr": [1.0]}, [], "a sweep finds its own"),
        ("quickstart", {"train.lr": [1.0]}, ["until_decided=true"], "a sweep is looked at once"),
        ("quickstart", {"rewind": ["0it", "0ep"]}, [], "rewind=0ep is the very same run as"),
        ("quickstart", {"rewind": ["99ep"]}, [], "quickstart at rewind=99ep: rewind"),
        ("quickstart", {"train.lrr": [1.0]}, [], "did you mean 'train.lr'"),
    ],
)
def test_what_makes_no_sweep(spec, grid, overrides, said, tmp_path):
    with pytest.raises(UsageError) as caught:
        sweep(spec, grid, overrides=overrides, store=tmp_path / "store", **QUIET)
    assert said in str(caught.value)
    assert not (tmp_path / "store" / "cells").exists()


def test_looks_of_a_staged_run_are_honoured(tmp_path):
    """Whoever has looked at a training before has spent some of what a claim may spend."""
    rule = "until_decided={looks: [3, 4], alphas: [0.01, 0.04]}"
    staged = [*SMALL[1:-1], "arms=[ticket,reinit]"]
    lottery_ticket.run("quickstart", overrides=[*staged, rule], store=tmp_path, **QUIET)
    grid = {"train.lr": [0.03, 0.1]}
    with pytest.raises(UsageError, match=r"looked at from 3 replicates on: --set replicates=3"):
        sweep("quickstart", grid, overrides=[*staged, "replicates=2"], store=tmp_path, **QUIET)
    found = sweep("quickstart", grid, overrides=[*staged, "replicates=3"], store=tmp_path, **QUIET)
    assert 0.1 in set(found.choice.loc[found.choice["arm"] == "ticket", "train.lr"])
    assert found.verdict.look is not None
    assert found.verdict.look.alpha == 0.01


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        (None, "scope=1:4 has 3 levels, scope=2:4 has 2; levels are compared"),
        (2, "level 1 keeps 1,776 weights at scope=1:4, 2,664 at scope=2:4"),
    ],
)
def test_points_have_the_same_levels(levels, said, tmp_path):
    spec = {
        "name": "mine",
        "data": {"name": "digits"},
        "model": {"name": "MLP", "hidden": [48]},
        "train": {"lr": 0.1, "batch_size": 64, "duration": "1ep"},
        "prune": {"scope": "2:4", **({} if levels is None else {"levels": levels})},
    }
    with pytest.raises(UsageError) as caught:
        asked_of(spec, {"prune.scope": ["2:4", "1:4"]}, store=tmp_path, **HOW)
    assert said in str(caught.value)


def test_misspelt_arguments_are_said():
    with pytest.raises(UsageError, match="did you mean 'margin'"):
        sweep("quickstart", GRID, margn=1)  # type: ignore[call-arg]


def test_a_very_large_grid_is_said(tmp_path):
    grid = {"train.lr": [0.001 * (i + 1) for i in range(101)]}
    with pytest.warns(LargeSweepWarning, match="101 points"):
        asked_of("quickstart", grid, overrides=SMALL, store=tmp_path, **HOW)


def test_the_grid_of_a_spec(tmp_path):
    asked = asked_of("lenet-mnist-sweep", store=tmp_path, **HOW)
    assert [point.label for point in asked.points] == [
        "lr=0.003", "lr=0.01", "lr=0.03", "lr=0.1",
    ]  # fmt: skip
    assert len({row.cell for part in asked.own for row in part.rows}) == 4 * 15


def _results(result):
    columns = ["point", "arm", "level", "replicate", "val_loss", "test_loss", "cell", "is_chosen"]
    return result.table[columns].to_dict("records")


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("at", [100, 750])  # while tickets are trained, and their controls
def test_ctrl_c_ends_it_and_the_same_call_goes_on(at, tmp_path):
    calls, is_deaf = itertools.count(), []

    @register_loss("stopping")
    def stopping(output, y):
        if next(calls) == at and not is_deaf:
            signal.raise_signal(signal.SIGINT)
        return cross_entropy(output, y)

    overrides = [*SMALL[:-1], "arms=[ticket,reinit]", "train.loss=stopping"]
    grid = {"train.lr": [0.03, 0.1]}
    with pytest.raises(KeyboardInterrupt, match="the same call continues"):
        sweep("quickstart", grid, overrides=overrides, store=tmp_path / "one", **QUIET)
    is_deaf.append(True)
    stopped = len(Store(tmp_path / "one").cell_names())
    again = sweep("quickstart", grid, overrides=overrides, store=tmp_path / "one", **QUIET)
    assert 0 < stopped < len(Store(tmp_path / "one").cell_names())
    other = sweep("quickstart", grid, overrides=overrides, store=tmp_path / "two", **QUIET)
    assert _results(again) == _results(other)
