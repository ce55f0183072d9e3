"""`lottery run RUN`: a run goes on by what it is called, where its command is not at hand."""

import pytest

from lottery_ticket import load_run, run
from lottery_ticket.errors import UsageError

SETS = ["replicates=1", "prune.levels=1", "arms=[ticket]", "train.duration=10it"]
SMALL = ["quickstart", *(part for each in SETS for part in ("--set", each)), "--jobs", "1"]


@pytest.fixture
def named(lottery):
    """`lottery`, with a run called `mine` in its store; and its id."""
    began = lottery("run", *SMALL, "--name", "mine", "--quiet")
    assert began.code == 0, began.err
    return lottery, began.out.strip()


@pytest.mark.parametrize("called", ["mine", "last", "ID"])
def test_a_run_goes_on_by_what_it_is_called(called, named):
    lottery, run_id = named
    again = lottery("run", run_id if called == "ID" else called, "--jobs", "1")
    assert again.code == 0, again.err
    assert "0 cells made" in again.out
    assert f"(run {run_id})" in again.out


def test_what_its_spec_says_of_the_verdict_stays(lottery, tmp_path):
    """The margin and the claim are no part of a run's name, and go on with it."""
    stated = ["--set", "margin=2.5", "--set", "claim={level: 1}", "--set", "arms=[ticket, reinit]"]
    assert lottery("run", *SMALL, *stated, "--quiet").code == 0
    before = load_run(store=tmp_path / "store").record
    assert (before.margin, before.claim.level, before.claim.num_trained) == (2.5, 1, 0)
    assert lottery("run", "last", "--jobs", "1", "--quiet").code == 0
    again = load_run(store=tmp_path / "store").record
    assert (again.id, again.margin, again.claim) == (before.id, before.margin, before.claim)


def test_with_another_recipe_it_is_another_run(named):
    lottery, run_id = named
    other = lottery("run", "mine", "--set", "seed=7", "--jobs", "1", "--quiet")
    assert other.code == 0, other.err
    assert other.out.strip() != run_id


def test_what_is_not_called_so_is_a_misspelt_preset(named):
    lottery, run_id = named
    said = lottery("run", run_id[:8])  # a prefix might be one of a preset's name
    assert said.code == 2
    assert "no preset" in said.err


def test_overrides_are_a_list(tmp_path):
    for wrong in ("replicates=2", {"replicates": 2}):
        with pytest.raises(UsageError, match="wanted a list of texts"):
            run("quickstart", overrides=wrong, store=tmp_path)
    with pytest.raises(UsageError, match="no runs here"):
        load_run(store=tmp_path)
