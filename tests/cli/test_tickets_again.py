"""`transfer` and `retrain`: a run's tickets, trained on other data or by another recipe."""

import json
import re

import pytest
from tiny_command import TINY

from lottery_ticket.store import Store

JOBS = ("--jobs", "1", "--threads", "1")
SLOWER = ("--set", "train.lr=0.05")


def test_transfer_end_to_end(ready, tmp_path):
    (source,) = Store(tmp_path / "store").runs()
    planned = ready("transfer", source.id, *SLOWER, "--plan")
    assert planned.code == 0
    assert "16 cells (ticket, transfer, reinit, transfer_reinit; 1 replicates), 4 in" in planned.out
    assert [run.id for run in Store(tmp_path / "store").runs()] == [source.id]
    said = ready("transfer", source.id, *SLOWER, *JOBS)
    assert said.code == 0
    assert "12 cells made in " in said.out
    assert "4 found in the store" in said.out
    (run_id,) = re.findall(r"\(run (quickstart-transferred-[0-9a-f]{8})\)", said.out)
    rows = json.loads(ready("table", run_id, "--format", "json").out)
    assert [row["arm"] for row in rows] == [
        arm for arm in ("ticket", "transfer", "reinit", "transfer_reinit") for _ in range(3)
    ]
    again = ready("transfer", source.id, *SLOWER, *JOBS, "--quiet")
    assert again.out == f"{run_id}\n"
    assert "transfer, reinit, transfer_reinit" in ready("list").out
    plotted = ready("plot", run_id, "--out", tmp_path / "figures", "--format", "svg")
    assert plotted.code == 0
    masks = {row.level: row.mask for row in source.rows if row.arm == "ticket"}
    made = Store(tmp_path / "store").run(run_id)
    assert {r.level: r.mask for r in made.rows if r.arm == "transfer"} == masks


def test_retrain_end_to_end(ready):
    said = ready("retrain", "last", "--level", "2", *SLOWER, *JOBS, "--quiet")
    assert said.code == 0
    assert said.out.startswith("quickstart-retrained-")
    rows = json.loads(ready("table", said.out.strip(), "--format", "json").out)
    assert [(row["arm"], row["level"]) for row in rows] == [
        ("transfer", 0), ("transfer", 2), ("transfer_reinit", 0), ("transfer_reinit", 2),
    ]  # fmt: skip


WRONG = {
    "nothing new": (["transfer"], "nothing differs from the run 'quickstart'; say --set train.lr="),
    "no data": (["transfer", "--data", "mnst"], "unknown data set 'mnst'; did you mean 'mnist'?"),
    "other tickets": (
        ["transfer", "--set", "prune.levels=1"],
        "--set prune.levels: transfer takes the tickets that are there, so 'prune' is that of the",
    ),
    "more replicates": (
        ["transfer", *SLOWER, "--set", "replicates=2"], "replicates: got 2, the run has 1",
    ),
    "another task": (["transfer", "--data", "sin"], "'cross_entropy' does not fit 'sin'"),
    "a level": (["retrain", "--level", "3", *SLOWER], "level: got 3, the run has levels 1 to 2"),
    "the dense net": (["retrain", "--level", "0", *SLOWER], "level: got 0, the run has levels 1"),
    "no level": (["retrain", *SLOWER], "Missing option '--level'"),
    "no recipe": (["retrain", "--level", "1"], "retrain: nothing differs from the run"),
    "no such run": (["transfer", *SLOWER, "--store", "none"], "no runs here; start one with"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong_usage_exits_with_2_before_any_work(what, ready, tmp_path):
    (command, *options), message = WRONG[what]
    (run,) = Store(tmp_path / "store").runs()
    said = ready(command, run.id, *options)
    assert said.code == 2
    assert message in " ".join(said.err.split())
    assert said.out == ""
    assert [found.id for found in Store(tmp_path / "store").runs()] == [run.id]


CODE = """
from lottery_ticket import register_criterion

@register_criterion("mine")
def mine(weights):
    return {name: value.abs() for name, value in weights.items()}
"""


def test_tickets_of_another_version_are_not_searched_for_again(lottery, forgotten, tmp_path):
    """Of the library's code it is the same as of the user's own."""
    for version in ("first", "second"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "mine.py").write_text(f"{CODE}# the {version} version")
    made = lottery(*TINY, "--set", "prune.criterion=mine", "--import", "first/mine.py")
    assert made.code == 0
    said = lottery("transfer", "last", *SLOWER, "--import", "second/mine.py")
    assert said.code == 2
    assert "would all be searched for again; run its spec again, and transfer that run" in said.err
