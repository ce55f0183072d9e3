"""Copies of trainings in other orders of the data, and the lines between them."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from torch import nn

import lottery_ticket
from lottery_ticket import UsageError, level_connectivity, load_run, register_model, stability
from lottery_ticket.analysis import THRESHOLD, barriers, connectivity_of
from lottery_ticket.analysis.stability.barriers import barrier_statistics
from lottery_ticket.api import prepare
from lottery_ticket.data import load_dataset
from lottery_ticket.experiment import Copying, copies, read_weights
from lottery_ticket.experiment.objects.initial import recorded_model
from lottery_ticket.store import Store
from lottery_ticket.train import LOSSES, evaluate

SMALL = ["replicates=2", "prune.levels=2", "train.duration=2ep", "arms=[ticket,random]"]
HOW = {"jobs": 1, "threads": 1, "progress": False}
ASKED = {"levels": [0, 2], "arms": ["ticket", "random"], "points": 5, "copies": 3}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    store = tmp_path_factory.mktemp("stability") / "store"
    at = ["0it", "5it"]
    return stability("quickstart", at=at, overrides=SMALL, store=store, **ASKED, **HOW), store


def planned(rewind="5it", asked=None):
    plan = prepare("quickstart", overrides=[*SMALL, f"rewind={rewind}"], **_quiet()).plan
    return plan, asked or Copying((0, 2), ("ticket", "random"), 3, 5)


def _quiet():
    return {"jobs": 1, "threads": 1}


def check_copies(made, rewind):
    """The law: copies differ from one another in what is drawn on the way, and in nothing else;
    those of a pruned net from its own training, too."""
    plan, asked = planned(rewind)
    work = made(plan, asked)
    trainings = {name: cell for name, cell in work.cells.items() if cell.kind == "train"}
    lines = [cell for cell in work.cells.values() if cell.kind == "path"]
    assert len(lines) == 2 * 3 * 3  # of two replicates; dense, ticket, random; three pairs
    assert len(work.trained) == 2 * 3 * 2
    for line in lines:
        one, other = (trainings[line.parents[role]] for role in ("weights", "other_weights"))
        a, b = one.inputs(), other.inputs()
        seeds = a.pop("seeds"), b.pop("seeds")
        assert {name for name in seeds[0] if seeds[0][name] != seeds[1][name]} == {"order", "noise"}
        if line.label.level or one.name in work.trained or rewind == "0it":
            assert a == b
        else:  # the dense training itself began at step 0
            assert b["start_step"] == 5
            point = trainings[b["parents"]["weights"]]
            assert b["parents"]["weights"] == b["parents"]["optimizer"]
            assert point.until_step == 5
            assert point.inputs()["seeds"] == {**seeds[0]}
        masks = line.parents.get("mask"), line.parents.get("other_mask")
        assert masks == (one.parents.get("mask"), other.parents.get("mask"))


@pytest.mark.parametrize("rewind", ["0it", "5it"])
def test_copies(rewind):
    check_copies(copies, rewind)


def test_copies_of_fresh_weights_begin_where_these_do():
    """They are not rewound: θ_k is of other weights."""
    overrides = [*SMALL[:-1], "arms=[ticket,reinit]", "rewind=5it"]
    plan = prepare("quickstart", overrides=overrides, **_quiet()).plan
    work = copies(plan, Copying((0, 2), ("reinit",), 2, 5))
    for line in (cell for cell in work.cells.values() if cell.kind == "path"):
        ends = [work.cells[line.parents[role]].inputs() for role in ("weights", "other_weights")]
        seeds = [end.pop("seeds") for end in ends]
        assert ends[0] == ends[1]
        assert seeds[0]["init"] == seeds[1]["init"]


def _with_cells(work, change):
    cells = {name: change(cell) for name, cell in work.cells.items()}
    return dataclasses.replace(work, cells=cells)


@pytest.mark.parametrize("wrong", ["same order", "other weights", "other step"])
def test_other_copies_are_caught(wrong):
    def made(plan, asked):
        work = copies(plan, asked)

        def change(cell):
            if cell.name not in work.trained:
                return cell
            if wrong == "other step":
                return dataclasses.replace(cell, first_step=cell.first_step + 1)
            name = "order" if wrong == "same order" else "init"
            seeds = dataclasses.replace(cell.seeds, **{name: 1})
            return dataclasses.replace(cell, seeds=seeds)

        return _with_cells(work, change)

    with pytest.raises(AssertionError):
        check_copies(made, "5it")


def test_a_plan_is_of_what_is_needed_alone():
    plan, _ = planned("0it")
    work = copies(plan, Copying((1,), ("ticket",), 2, 5))
    assert {cell.label.level for cell in work.cells.values()} == {0, 1}
    assert work.step == 0
    assert copies(*planned("5it")).step == 5


def test_ends_of_a_line_are_the_nets_themselves(found):
    result, store = found
    run = load_run(result.runs[5], store=store)
    probes = run.probes
    data = load_dataset("digits")
    opened = Store(store)
    for cell in probes["cell"].unique()[:4]:
        rows = probes[probes["cell"] == cell]
        record = opened.get(cell)
        assert record is not None
        for role, alpha in (("weights", 0.0), ("other_weights", 1.0)):
            training = record.inputs["parents"][role]
            model = recorded_model(opened.get(training))
            model.load_state_dict(read_weights(opened, training))
            there = rows[(rows["alpha"] == alpha) & (rows["split"] == "test")]
            values = dict(zip(there["metric"], there["value"], strict=True))
            judged = evaluate(model, data.test, LOSSES["cross_entropy"])
            assert values["error"] == 1 - judged.accuracy
            assert values["loss"] == judged.loss
        assert sorted(rows["alpha"].dropna().unique()) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_all_is_in_the_table(found):
    result, _ = found
    table = result.table
    places = {(row["step"], row["arm"], row["level"]) for row in table.to_dict("records")}
    of_step = {("ticket", 0), ("ticket", 2), ("random", 2)}  # random's dense net is the ticket's
    assert places == {(step, *place) for step in (0, 5) for place in of_step}
    assert (table["n"] == 2).all()
    assert (table["barrier"] >= 0).all()
    assert (table["distance"] > 0).all()
    assert table["disagreement"].between(0, 1).all()
    assert len(result.lines) == 2 * 2 * 3 * 3
    assert str(result) == result.sentence
    assert "The dense net" in result.sentence
    assert set(result.to_dict()) == {"threshold", "runs", "levels", "sentence"}


def test_what_is_there_is_not_made_again_and_is_kept(found):
    result, store = found
    before = Store(store).cell_names()
    again = stability("quickstart", at=["5it"], overrides=SMALL, store=store, **ASKED, **HOW)
    assert Store(store).cell_names() == before
    pd.testing.assert_frame_equal(
        again.table, result.table[result.table["step"] == 5].reset_index(drop=True)
    )
    # of a run by its id, too; a run that goes on keeps its copies
    run = load_run(result.runs[5], store=store)
    named = stability(run.id, store=store, **ASKED, **HOW)
    assert named.runs == {5: run.id}
    assert Store(store).cell_names() == before
    others = set(run.record.others)
    lottery_ticket.run(run.id, store=store, **HOW)
    record = load_run(run.id, store=store).record
    assert others - {row.cell for row in record.rows} <= record.cells()
    assert record.probes == run.record.probes
    assert before <= record.cells() | load_run(result.runs[0], store=store).record.cells()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arms": ["reinit"]}, "no arm 'reinit'|did you mean"),
        ({"levels": [3]}, "ticket has no level 3; it has 0 to 2"),
        ({"copies": 1}, "copies: got 1, wanted 2 or more"),
        ({"points": 2}, "points: got 2, wanted 3 or more"),
        ({"levels": [-1]}, "levels: got"),
        ({"at": ["5it", "5it"]}, "at: '5it' is step 5, as '5it' is"),
        ({"at": ["soon"]}, "rewind"),
        ({"at": ["50ep"]}, "rewind"),
        ({"arms": ["gradual"], "levels": [1]}, "gradual: trainings of it differ in mask"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_trains(changes, said, tmp_path):
    spec, overrides, before = "quickstart", SMALL, set()
    if "gradual" in changes.get("arms", ()):  # which a run must have first
        overrides = [*SMALL[:-1], "arms=[ticket,gradual]"]
    if "arms" in changes:
        spec = lottery_ticket.run(spec, overrides=overrides, store=tmp_path, **HOW).id
        overrides, before = [], Store(tmp_path).cell_names()
    asked = {**ASKED, "at": ["0it"], **changes}
    with pytest.raises(UsageError, match=said):
        stability(spec, overrides=overrides, store=tmp_path, **asked, **HOW)
    assert (Store(tmp_path).cell_names() if before else set()) == before


@pytest.mark.parametrize("ask", [stability, level_connectivity])
def test_a_misspelt_argument_is_named(ask):
    with pytest.raises(UsageError, match=r"unknown argument 'jbos'; did you mean 'jobs'\?"):
        ask("quickstart", jbos=1)


# what barriers say


def lines(values):
    """A table of lines, of one arm and level, by replicate."""
    rows = [
        {"arm": "ticket", "level": 1, "replicate": replicate, "draw": 0, "density": 0.5,
         "cell": f"{replicate}-{number}", "metric": "error", "barrier": value,
         **dict.fromkeys(("end", "train_barrier", "loss_barrier", "interpolated_barrier",
                          "distance", "angle", "sign_flips", "disagreement", "union"), 0.0)}
        for replicate, of in enumerate(values) for number, value in enumerate(of)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def check_states(judged):
    """The law: by the ends of a t interval over means of replicates, against two points."""
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        n = int(rng.integers(2, 6))
        values = [
            list(rng.normal(rng.choice([0.005, 0.02, 0.06]), 0.01, size=rng.integers(1, 4)))
            for _ in range(n)
        ]
        (row,) = judged(lines(values)).to_dict("records")
        means = [np.mean(of) for of in values]
        half = stats.t.ppf(0.975, n - 1) * np.std(means, ddof=1) / np.sqrt(n)
        low, high = np.mean(means) - half, np.mean(means) + half
        assert row["low"] == pytest.approx(low)
        assert row["high"] == pytest.approx(high)
        wanted = "stable" if high < 0.02 else "unstable" if low > 0.02 else "not decided"
        assert row["state"] == wanted
        seen.add(wanted)
    assert seen == {"stable", "unstable", "not decided"}


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (("stable", "stable"), "is stable from initialisation on"),
        (("unstable", "stable"), "is stable from k = 5 on"),
        (("not decided", "stable"), "is stable from k = 5 on"),
        (("stable", "unstable"), "is unstable at k = 5"),
        (("not decided", "unstable"), "is unstable at k = 5"),
        (("unstable", "unstable"), "is unstable at initialisation, k = 5"),
        (("unstable", "not decided"), "is not decided to be stable at k = 5"),
    ],
)
def test_sentences(found, states, said):
    table = found[0].table
    one = table[(table["arm"] == "ticket") & (table["level"] == 2)].assign(state=states)
    assert f"Ticket at level 2 {said}:" in dataclasses.replace(found[0], table=one).sentence


def test_states():
    check_states(barrier_statistics)
    (row,) = barrier_statistics(lines([[0.0]])).to_dict("records")
    assert row["state"] == "not decided"  # one replicate has no interval
    assert THRESHOLD == 0.02


def test_other_states_are_caught():
    def by_the_mean(table):
        found = barrier_statistics(table)
        return found.assign(state=np.where(found["barrier"] < 0.02, "stable", "unstable"))

    def of_lines(table):
        return barrier_statistics(table.assign(replicate=range(len(table))))

    for wrong in (by_the_mean, of_lines):
        with pytest.raises(AssertionError):
            check_states(wrong)


def test_batch_norms_count_with_their_own_statistics():
    """Both barriers are told; that of refitted statistics counts."""
    rows = [
        {"arm": "ticket", "level": 1, "replicate": 0, "density": 0.5, "cell": "x",
         "metric": metric, "split": split, "statistics": way, "alpha": alpha, "value": value}
        for way, middle in (("interpolated", 0.9), ("refitted", 0.3))
        for split in ("test", "train") for metric in ("error", "loss")
        for alpha, value in ((0.0, 0.1), (0.5, middle), (1.0, 0.2))
    ]  # fmt: skip
    rows.append({**rows[0], "metric": "distance", "split": None, "statistics": None,
                 "alpha": float("nan"), "value": 3.0})  # fmt: skip
    (line,) = barriers(pd.DataFrame(rows)).to_dict("records")
    assert line["barrier"] == pytest.approx(0.15)
    assert line["interpolated_barrier"] == pytest.approx(0.75)
    assert line["distance"] == 3.0


@pytest.mark.parametrize("limit", [300, 501])  # one example more than a whole batch
def test_a_net_with_batch_norms(limit, tmp_path, forgotten):
    @register_model("Normed")
    def normed(num_classes=10):
        layers = [nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, num_classes)]
        return nn.Sequential(*layers)

    overrides = [*SMALL[1:3], "replicates=1", "arms=[ticket]", "model={name: Normed}"]
    overrides += [f"data.limit={limit}"]
    found = stability(
        "quickstart", overrides=overrides, levels=[1], points=3, store=tmp_path, **HOW
    )
    (row,) = found.table.to_dict("records")
    assert row["interpolated_barrier"] == row["interpolated_barrier"]
    assert row["state"] == "not decided"


# nets of successive levels


def test_successive_levels(tmp_path):
    run = lottery_ticket.run("quickstart", overrides=SMALL, store=tmp_path, **HOW)
    before = Store(tmp_path).cell_names()
    found = level_connectivity(run.id, store=tmp_path, points=5, **HOW)
    made = Store(tmp_path).cell_names() - before
    assert {Store(tmp_path).get(name).inputs["kind"] for name in made} == {"path"}
    table = found.table.to_dict("records")
    assert [row["level"] for row in table] == [1, 2]
    assert all(row["n"] == 2 and row["barrier"] >= 0 for row in table)
    kept = {row["level"]: row["num_kept"] for row in run.rows if row["arm"] == "ticket"}
    (union,) = {row["union"] for row in table if row["level"] == 2}
    assert union == kept[1]  # masks are nested: a line keeps what the denser one does
    assert str(found) == found.sentence
    assert set(found.to_dict()) == {"run", "arm", "threshold", "levels", "sentence"}
    again = level_connectivity(run.id, store=tmp_path, points=5, **HOW)
    pd.testing.assert_frame_equal(again.table, found.table)
    with pytest.raises(UsageError, match=r"no arm 'reinit'; it has: random, ticket"):
        level_connectivity(run.id, arm="reinit", store=tmp_path, **HOW)


def test_nothing_to_connect_is_said(tmp_path):
    overrides = [*SMALL, "replicates=1", "prune.levels=1"]
    run = lottery_ticket.run(
        "quickstart", overrides=overrides, store=tmp_path, keep="needed", **HOW
    )
    with pytest.raises(UsageError, match=r"were not kept .*--keep all"):
        level_connectivity(run.id, store=tmp_path, **HOW)


def test_connected_where_it_matches():
    table = pd.concat([lines([[0.001], [0.002], [0.0]]), lines([[0.2], [0.21], [0.2]])])
    rows = []
    for number, line in enumerate(table.to_dict("records")):
        level = 1 + number // 3
        place = {"arm": "ticket", "level": level, "replicate": number % 3, "density": 0.5**level,
                 "cell": str(number), "metric": "error", "statistics": "interpolated"}  # fmt: skip
        for metric in ("error", "loss"):
            for split in ("test", "train"):
                values = (0.1, 0.1 + line["barrier"], 0.1)
                rows += [
                    {**place, "metric": metric, "split": split, "alpha": alpha, "value": value}
                    for alpha, value in zip((0.0, 0.5, 1.0), values, strict=True)
                ]
    found = connectivity_of(pd.DataFrame(rows), {1: "matches", 2: "worse"}, "run")
    assert list(found.table["state"]) == ["connected", "apart"]
    said = "Of 2 levels of which both is decided, 2 are connected and matching dense, or apart and"
    assert said in str(found)
    assert "connected to the one before: level 1; apart from the one before: level 2." in str(found)
