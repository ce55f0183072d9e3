"""About how long a plan takes: what is tried, and how it is added up."""

import itertools

import pytest
import torch
from tiny_runs import planned

from lottery_ticket.experiment import Context, estimated_seconds
from lottery_ticket.experiment.forecast.estimate import makespan
from lottery_ticket.store import Store

# there are seconds or there are none: a step is enough
QUICK = {"trial_seconds": 0.0}


def chain(*names: str) -> dict[str, set[str]]:
    """Cells that each hang on the one before."""
    return {name: {before} - {""} for before, name in itertools.pairwise(["", *names])}


@pytest.mark.parametrize(
    ("jobs", "least"),
    [(1, 10.0), (2, 6.0), (100, 6.0)],
    ids=["all the work", "the longest chain", "no more jobs than that help"],
)
def test_work_is_shared_but_chains_are_not(jobs, least):
    parents = chain("a", "b", "c") | chain("d", "e")
    assert makespan(parents, {"a": 1.0, "b": 2.0, "c": 3.0, "e": 4.0}, jobs) == least


def test_what_is_done_takes_no_time_and_nothing_is_written(tiny, tmp_path):
    made = planned(tiny())
    context, before = Context(Store(tmp_path / "store")), torch.get_rng_state()
    everything = estimated_seconds(made, (), context, 1, **QUICK)
    assert everything > 0
    assert estimated_seconds(made, made.cells, context, 1) == 0
    assert not (tmp_path / "store").exists()
    assert torch.equal(torch.get_rng_state(), before)


def test_every_kind_of_training_is_tried(tiny, tmp_path):
    arms = ["ticket", "reinit", "dense_small", "finetune", "snip"]
    made = planned(tiny(arms=arms, rewind="5it", prune={"levels": 3}))
    assert estimated_seconds(made, (), Context(Store(tmp_path)), 2, **QUICK) > 0
