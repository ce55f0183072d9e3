"""`verdict` and `compare`, on real digits."""

import json

import pytest
from tiny_command import TINY

from lottery_ticket.store import RunClaim, Store


def three_replicates(*settings):
    """TINY with replicates to judge."""
    changed = [part.replace("replicates=1", "replicates=3") for part in TINY]
    return [*changed, *(part for setting in settings for part in ("--set", setting))]


def test_one_replicate_has_no_verdict(ready):
    said = ready("verdict")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[1].startswith("No verdict from one replicate")
    assert "– " in said.out


def test_a_verdict_in_words_and_as_json(ready, tmp_path):
    made = ready(*three_replicates())
    assert made.code == 0
    run = Store(tmp_path / "store").run("last")
    said = ready("verdict", run.id[:15])
    lines = said.out.splitlines()
    assert (said.code, said.err) == (0, "")
    assert lines[0].startswith(f"{run.id}, LeNet300")
    assert max(map(len, lines)) <= 80
    values = json.loads(ready("verdict", "--json").out)
    assert " ".join(said.out.split()).startswith(f"{lines[0]} {values['sentence']}")
    assert (values["num_replicates"], values["num_test"], values["margin_stated"]) == (3, 300, 1.0)
    assert values["about"]["criterion"] == "magnitude"
    row = next(row for row in values["contrasts"] if row["control"] == "dense")
    assert row["image_low"] < row["difference"] < row["image_high"]  # from the stored bits
    assert values["speed"]  # from the validation split
    # `run` ends with the same words
    assert values["sentence"] in " ".join(made.out.split())
    assert f"verdict: lottery verdict {run.id}\n" in made.out
    # two arms of it
    said = ready("verdict", "--between", "ticket,dense", "--margin", "3")
    assert (said.code, said.err) == (0, "")
    start = f"{run.id}: ticket minus dense, in points; 3 replicates, margin 3 points."
    assert " ".join(said.out.split()).startswith(start)
    assert max(map(len, said.out.splitlines())) <= 80
    values = json.loads(ready("verdict", "--between", "dense,ticket", "--json").out)
    assert values["arms"] == ["dense", "ticket"]
    assert values["table"][0]["n"] == 3


def test_two_arms_that_cannot_be_compared(ready):
    for arms, message in (
        ("ticket", "got 'ticket', wanted two arms"),
        ("ticket,tikcet", "unknown arm 'tikcet'; did you mean 'ticket'?"),
        ("ticket,", "wanted two arms"),
    ):
        said = ready("verdict", "--between", arms)
        assert (said.code, said.out) == (2, "")
        assert message in said.err


def test_another_margin(ready):
    wide = json.loads(ready("verdict", "--margin", "50", "--json").out)
    assert (wide["margin"], wide["margin_stated"]) == (0.5, 50.0)
    for margin, message in (
        ("0", "wanted points of accuracy between 0 and 100"),
        ("0.002", "less than one of the 300 test images"),
    ):
        said = ready("verdict", "--margin", margin)
        assert said.code == 2
        assert message in said.err


def test_a_margin_in_the_spec_is_the_runs(ready, tmp_path):
    before = Store(tmp_path / "store").run("last")
    again = ready(*TINY, "--set", "margin=3")
    assert "0 cells made" in again.out
    (run,) = Store(tmp_path / "store").runs()
    assert (run.id, run.rows, before.margin, run.margin) == (before.id, before.rows, 1.0, 3.0)
    assert json.loads(ready("verdict", "--json").out)["margin_stated"] == 3.0
    ready(*TINY, "--set", "margin=null")
    assert json.loads(ready("verdict", "--json").out)["margin_stated"] == 1.2  # 300 test images
    wrong = ready(*TINY, "--set", "margin=0")
    assert wrong.code == 2
    assert "margin: got 0, wanted more than 0" in wrong.err


def test_a_level_that_is_claimed(ready, lottery, tmp_path):
    """Before the first training it is a claim, which stays; afterwards it is none."""
    claim = ["--set", "claim={density: 0.49}"]
    named = [*three_replicates("seed=5"), *claim]
    planned = ready("plan", *named[1:2], *named[6:])
    assert "claim: level 2, 49.0" in planned.out
    store = Store(tmp_path / "store")
    assert ready(*named).code == 0
    run = store.run("last")
    assert run.claim == RunClaim(2, 0, 1.0)
    before = "(level 2, 463)"
    said = " ".join(ready("verdict").out.split())
    assert before in said
    assert "claimed before the first training" in said
    assert json.loads(ready("classes", "--json").out)["level"] == 2
    # the command that runs it again states it, too
    page = ready("report", "--format", "markdown").out
    assert "--set claim.level=2" in page
    # a look at it is a look; another margin is another claim
    assert "Level 1, named afterwards" in ready("verdict", "--level", "1").out
    assert "Level 2, claimed with another margin" in ready("verdict", "--margin", "3").out
    assert json.loads(ready("verdict", "--json").out)["claim"]["num_trained"] == 0
    # it is not taken back, and no other one takes its place
    assert ready(*three_replicates("seed=5")).code == 0
    assert store.run("last").claim == run.claim
    other = ready(*three_replicates("seed=5"), "--set", "claim={level: 1}")
    assert (other.code, store.run("last").claim) == (2, run.claim)
    assert f"`lottery verdict {run.id} --level 1`" in other.err
    # more replicates of it are the same claim; another claim came after a look
    more = [part.replace("replicates=3", "replicates=4") for part in named]
    assert ready(*more).code == 0
    assert store.run("last").claim == RunClaim(2, 0, 1.0)
    late = [part.replace("replicates=3", "replicates=5") for part in three_replicates("seed=5")]
    assert ready(*late, "--set", "claim={level: 1}").code == 0
    assert store.run("last").claim == RunClaim(1, 4 * 2 * 2, 1.0)
    assert "Level 1, claimed when 16 trainings were finished" in ready("verdict").out


def test_a_claim_can_be_stated_anew_while_nothing_is_trained(lottery, tmp_path):
    """A run that was stopped at once: level and margin may still be others."""
    claimed = [*three_replicates("claim={level: 2}"), "--set", "margin=2"]
    assert lottery(*claimed).code == 0
    store = Store(tmp_path / "store")
    for row in store.run("last").rows:
        store.discard(row.cell)
    assert lottery(*three_replicates("claim={level: 2}"), "--set", "margin=3").code == 0
    assert store.run("last").claim == RunClaim(2, 0, 3.0)
    assert json.loads(lottery("verdict", "--json").out)["claim"]["is_margin_same"] is True


def test_a_claim_beside_a_source(ready):
    """Its tickets come from elsewhere; the claim is of this run alone."""
    options = ("--set", "train.lr=0.05", "--set", "claim={level: 2}", "--jobs", "1")
    assert ready("transfer", "last", *options).code == 0
    assert json.loads(ready("verdict", "--json").out)["claim"]["level"] == 2


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("claim={level: 9}", "claim.level: got 9, wanted one that is trained: 1 to 2"),
        ("claim={density: 0.9}", "no level keeps about 90 % of the weights; the nearest, level 1"),
        ("claim={level: 1, density: 0.7}", "write {level: 12} or {density: 0.05}, one of them"),
        ("claim={}", "write {level: 12} or {density: 0.05}, one of them"),
        ("claim=2", "wanted a mapping"),
    ],
)
def test_a_claim_that_makes_no_sense_is_refused(lottery, tmp_path, setting, message):
    said = lottery(*TINY, "--set", setting)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert not (tmp_path / "store" / "cells").exists()


def test_compare(ready, tmp_path):
    assert ready(*TINY, "--set", "prune.scope=layerwise", "--quiet").code == 0
    one, two = (run.id for run in Store(tmp_path / "store").runs())
    said = ready("compare", one, two)
    lines = said.out.splitlines()
    assert said.code == 0
    assert lines[0].strip() == "test accuracy (%)"
    assert lines[1].split()[:3] == ["run", "scope", "n"]
    assert [line.split()[:3] for line in lines[2:4]] == [
        [one, "global", "1"],
        [two, "layerwise", "1"],
    ]
    assert lines[4].startswith("in all: data digits, model LeNet300 (hidden=[12, 8]), criterion")
    assert max(map(len, lines[:4])) <= 110
    assert ready("compare", one, two, "--out", str(tmp_path / "new" / "runs.png")).code == 0
    assert (tmp_path / "new" / "runs.png").read_bytes().startswith(b"\x89PNG")
    wrong = ready("compare", one, two, "--out", "runs.jpg")
    assert wrong.code == 2
    assert "ends in" in wrong.err
    rows = json.loads(ready("compare", one, two, "--json").out)
    assert [(row["run"], row["scope"], row["level"]) for row in rows] == [
        (one, "global", None),
        (two, "layerwise", None),
    ]


def test_runs_that_are_not_there(ready):
    assert ready("verdict", "other").code == 2
    assert ready("compare", "other").code == 2
    assert ready("compare").code == 2


def test_a_run_without_a_ticket(lottery):
    sets = ["arms=[reinit]", "replicates=1", "prune.levels=1", "train.duration=1ep"]
    options = [part for setting in [*sets, "model.hidden=[5, 5]"] for part in ("--set", setting)]
    made = lottery("run", "quickstart", "--jobs", "1", "--threads", "1", *options)
    assert made.code == 0
    said = lottery("verdict")
    assert said.code == 2
    assert "no row of arm 'ticket'" in said.err
