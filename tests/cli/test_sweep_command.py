"""`lottery sweep`."""

import csv
import io
import json

import pytest

SMALL = (
    *("--set", "replicates=2", "--set", "prune.levels=2", "--set", "train.duration=2ep"),
    *("--set", "model.hidden=[12, 8]", "--jobs", "1", "--threads", "1"),
)
GRID = ("--grid", "train.lr=0.03,0.1")


@pytest.fixture
def asked(lottery):
    return lambda *more: lottery("sweep", "quickstart", *SMALL, *more)


def test_a_table_sentences_and_a_figure(asked, lottery, tmp_path):
    plan = json.loads(asked(*GRID, "--plan", "--json").out)
    assert not (tmp_path / "store" / "cells").exists()
    # of each point and replicate: two dense nets, two tickets, and then two of reinit
    assert [(p["own trainings"], p["controls"]) for p in plan["points"]] == [(8, 4), (8, 4)]
    assert (plan["num_trainings"], plan["num_finished"], plan["is_chosen"]) == (24, 0, False)
    out = tmp_path / "new" / "sweep.png"
    (tmp_path / "new").mkdir()
    said = asked(*GRID, "--out", str(out))
    assert said.code == 0, said.err
    words = " ".join(said.out.split())
    assert "validation accuracy, each arm at its best point; mean over 2 replicates" in words
    for place in ("dense 0 100.00 % 0.1", "ticket 2 49.05 % 0.1", "reinit 1 70.02 % 0.1"):
        assert place in words
    assert "Each arm stands at its own best of 2 points" in words
    assert "point 2 of 2: lr=0.1" in said.err
    assert out.read_bytes()[:4] == b"\x89PNG"
    again = asked(*GRID, "--plan")
    assert "24 trainings of 2 points, 24 in the store; 0 steps to train" in again.out
    assert "not known yet" not in again.out
    _check_formats(asked)
    _check_runs(lottery, said.out)


def _check_formats(asked):
    plain = asked(*GRID, "--json")
    assert plain.err == ""
    found = json.loads(plain.out)
    assert found["grid"] == {"train.lr": [0.03, 0.1]}
    assert {row["train.lr"] for row in found["trainings"]} == {0.03, 0.1}
    assert asked(*GRID, "--format", "json").out == plain.out
    text = asked(*GRID, "--format", "csv")
    assert text.err == ""
    rows = list(csv.DictReader(io.StringIO(text.out)))
    assert len(rows) == len(found["trainings"]) == 24
    assert {row["train.lr"] for row in rows} == {"0.03", "0.1"}


def _check_runs(lottery, said):
    """Each point is a run that other commands know."""
    command = said[said.index("lottery table") :].split("\n")[0].split()
    assert lottery(*command[1:]).code == 0
    listed = lottery("list").out
    assert "lr=0.03" in listed
    assert "lr=0.1" in listed
    assert "(0 cells)" in lottery("gc", "--dry-run").out
    assert lottery("rm", command[2], "--yes").code == 0
    assert command[2] not in lottery("list").out


@pytest.mark.filterwarnings("always::lottery_ticket.tuning.LeftOutWarning")
def test_a_point_that_fails_is_said(asked):
    said = asked("--grid", "train.lr=0.1,3e30")
    assert said.code == 0
    assert "warning: sweep: left out, for it failed:" in said.err
    assert "lr=3e+30: ticket level 0, replicate 0 and 3 more: the training loss became" in said.err
    said = asked("--grid", "train.lr=2e30,3e30")
    assert said.code == 1
    assert "at no point all tickets of level 1 could be trained" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "quickstart names no grid; write --grid train.lr=0.01,0.03"),
        (("--grid", "lr=1"), "--grid lr: is no key that a sweep can vary; did you mean 'train.lr'"),
        (("--grid", "train.lr"), "--grid train.lr: write key=value,value"),
        (("--grid", "train.lr=1,1"), "--grid train.lr: 1 is listed twice"),
        ((*GRID, *GRID), "--grid train.lr: given twice"),
        ((*GRID, "--set", "train.lr=1"), "--set train.lr: the grid has values for it"),
        (("--grid", "train.lr=-1"), "quickstart at lr=-1: train.lr: got -1, wanted more than 0"),
        ((*GRID, "--width", "3in"), "--width: is of the figure, and has an effect with --out"),
        ((*GRID, "--out", "x.txt"), "--out: got 'x.txt', wanted a file that ends in"),
        ((*GRID, "--json", "--format", "csv"), "--json and --format csv: leave one of them out"),
        ((*GRID, "--plan", "--format", "csv"), "--format csv: has no effect with --plan"),
    ],
)
def test_what_makes_no_sense(asked, arguments, said, tmp_path):
    done = asked(*arguments)
    assert done.code == 2, done.out
    assert said in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "store" / "cells").exists()
