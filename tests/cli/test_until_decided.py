"""`--until-decided`: what a plan says of it, what a run ends with, and what does not go with it."""

import json
import re

import pytest

from lottery_ticket.api import prepare

SPEC = """
name: open
data: {name: digits}
model: {name: LeNet300, hidden: [8, 8]}
train: {lr: 0.1, batch_size: 64, duration: 10it}
prune: {rate: 0.05, levels: 1}
arms: [ticket, reinit]
margin: 1
"""
LOOKS = ("--until-decided", "--set", "until_decided.looks=[2, 3]", "--jobs", 1)


@pytest.fixture
def ran(lottery, tmp_path):
    """`lottery`, where a staged run has come to its end; what it said; and its spec."""
    path = tmp_path / "open.yaml"
    path.write_text(SPEC)
    said = lottery("run", path, *LOOKS)
    assert said.code == 0, said.err
    return lottery, said, path


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_run_says_its_looks_and_what_is_spent(ran):
    lottery, said, _ = ran
    assert re.search(r"open-staged-\w{8}: look 1 of 2, at 2 replicates, with α = 0.01667", said.err)
    assert "look 2 of 2, at 3 replicates" in said.err
    assert "Look 2 of 2: α = 0.03333, 0.05 of 0.05 spent" in words(said.out)
    text = words(lottery("verdict").out)
    assert "Look 2 of 2: α = 0.03333, 0.05 of 0.05 spent" in text
    assert "it was the last: nothing is left to spend, so more replicates decide nothing" in text
    values = json.loads(lottery("verdict", "--json").out)
    assert values["look"]["number"] == 2
    assert values["alpha"] == values["look"]["alpha"]


def test_the_same_command_goes_on_with_it(ran):
    lottery, _, path = ran
    for again in ((path, *LOOKS), ("last", "--jobs", 1)):
        said = lottery("run", *again)
        assert said.code == 0, said.err
        assert "0 cells made" in said.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "replicates=9"], "replicates: has no effect on a run that goes on until"),
        (["--set", "arms=[ticket]"], "until_decided: a winning ticket is better than its reinit"),
        (["--set", "until_decided.looks=[2, 3, 4]"], "is looked at by"),
        (["--set", "margin=2"], "margin: got 2.0, and open-staged-"),
        (["--set", "until_decided.looks=[3, 2]"], "wanted each to be more than the one before"),
        (["--set", "until_decided.looks=[5]"], "wanted two or more numbers of replicates"),
        (["--set", "until_decided.alphas=[0.04, 0.04]"], "0.05 in all at most"),
        (["--set", "until_decided=yes"], "until_decided: got 'yes', wanted true, or numbers"),
        (["--set", "until_decided=5"], "until_decided: got 5, wanted true, or numbers"),
        (["--set", "until_decided=[2, x]"], "until_decided.looks.1: got 'x'"),
        (["--set", "until_decided={at: 5}"], "until_decided.at: unknown key"),
    ],
)
def test_what_does_not_go_with_it_is_said_before_any_work(options, message, ran):
    lottery, _, path = ran
    said = lottery("run", path, *LOOKS, *options)
    assert said.code == 2
    assert message in words(said.err)


def test_who_submits_does_not_wait(ran):
    lottery, _, path = ran
    said = lottery("submit", path, "--set", "until_decided=true", "--set", "seed=5")
    assert said.code == 2
    assert "somebody has to wait for each look" in words(said.err)


def test_plan_says_what_the_first_look_and_all_of_them_would_train(lottery, tmp_path):
    text = words(lottery("plan", "quickstart", "--until-decided").out)
    assert "look 1 of 4, at 5 replicates, with α = 0.005" in text
    assert "at most 30 replicates, if no look before decides" in text
    values = json.loads(lottery("plan", "quickstart", "--until-decided", "--json").out)
    most = prepare("quickstart", overrides=["replicates=30"], store=tmp_path / "store").plan
    assert values["until_decided"] == {
        "looks": [5, 10, 20, 30], "alphas": [0.005, 0.01, 0.015, 0.02], "next_look": 5,
        "most_cells": len(most.cells), "most_steps": most.num_steps,
    }  # fmt: skip
    assert values["num_cells"] < len(most.cells)


def test_a_plan_without_it_says_nothing_of_it(lottery):
    assert "until_decided" not in json.loads(lottery("plan", "quickstart", "--json").out)
