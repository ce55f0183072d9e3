"""Trainings of a run made as one batch give what each alone gives, and can be stopped."""

import signal
from pathlib import Path

import pytest
from each_step import look_at_each_step
from every_arm import TRAIN, spec_of
from tiny_runs import digests, planned, run_in

from lottery_ticket.experiment import Context, Pace, import_user_code, run_plan
from lottery_ticket.store import Store, table_rows

NET = Path(__file__).with_name("noisy_net.py")


def accuracies(store, plan_id):
    rows = table_rows(store, store.run(plan_id))
    return {
        (row["arm"], row["level"], row["replicate"]): (row["test_accuracy"], row["test_loss"])
        for row in rows
    }


def sizes(store, plan):
    """How many were trained together, training by training."""
    steps = [store.execution(c.name)["kernels"] for c in plan.cells.values() if c.num_steps]
    return sorted(step.get("size", 1) for step in steps)


@pytest.fixture
def spec(tiny):
    return tiny(replicates=3)


def test_a_group_gives_what_each_alone_gives(spec, tmp_path):
    plan = planned(spec)
    alone, outcome = run_in(tmp_path / "alone", spec, kernels="autograd")
    assert outcome.is_complete
    grouped, outcome = run_in(tmp_path / "grouped", spec, group=6)
    assert outcome.is_complete
    wanted, found = accuracies(alone, plan.id), accuracies(grouped, plan.id)
    assert len(found) == 18
    for place, values in found.items():
        assert values == pytest.approx(wanted[place], rel=1e-3), place
    # level 0 of both arms and all replicates, then level by level
    assert sizes(grouped, plan) == [6] * 18
    assert sizes(alone, plan) == [1] * 18


def test_groups_are_as_large_as_is_asked_for(spec, tmp_path):
    store, outcome = run_in(tmp_path, spec, group=4)
    assert outcome.is_complete
    found = sizes(store, planned(spec))
    assert max(found) == 4
    assert len(found) == 18


def test_trainings_that_start_elsewhere_are_grouped_with_their_like(tmp_path):
    arms = ["ticket", "shuffled", "finetune", "dense_small"]
    spec = spec_of(arms, replicates=2, train=TRAIN | {"eval_every": "38it"})
    plan = planned(spec)
    alone, _ = run_in(tmp_path / "alone", spec, kernels="autograd")
    grouped, outcome = run_in(tmp_path / "grouped", spec, group=4)
    assert outcome.is_complete
    wanted, found = accuracies(alone, plan.id), accuracies(grouped, plan.id)
    for place, values in found.items():
        assert values == pytest.approx(wanted[place], rel=1e-2), place
    together = {
        (row.arm, row.level): grouped.execution(row.cell)["kernels"].get("size")
        for row in plan.rows
    }
    # rewound, fine-tuned and narrow ones: each with its other replicate, or with the other arm
    assert together["ticket", 2] == together["shuffled", 2] == 4
    assert together["finetune", 2] == together["dense_small", 2] == 2


def test_a_stopped_group_goes_on_to_the_same_bytes(spec, tmp_path, own_kinds):
    whole, _ = run_in(tmp_path / "whole", spec, group=6)
    plan, store = planned(spec), Store(tmp_path / "stopped")
    context = Context(store, group=6)
    num_looks = 0

    def stopping(cell, step):
        nonlocal num_looks
        num_looks += 1
        if num_looks == 50:  # within level 1
            signal.raise_signal(signal.SIGINT)  # Ctrl-C

    look_at_each_step(stopping, Pace(look_seconds=0.0))
    outcome = run_plan(plan, store, context, jobs=1)
    assert outcome.is_stopped
    left = [folder for folder in (store.root / "work").iterdir() if folder.is_dir()]
    assert sum((folder / "checkpoint").exists() for folder in left) == 6
    assert run_plan(plan, store, context, jobs=1).is_complete
    assert digests(store.root) == digests(whole.root)


def test_models_that_draw_are_trained_one_by_one(tiny, tmp_path):
    import_user_code((str(NET),))
    spec = tiny(model={"name": "Noisy", "hidden": None}, prune={"levels": 1})
    alone, _ = run_in(tmp_path / "alone", spec)
    grouped, outcome = run_in(tmp_path / "grouped", spec, group=4)
    assert outcome.is_complete
    assert digests(grouped.root) == digests(alone.root)
    assert set(sizes(grouped, planned(spec))) == {1}


def test_trainings_that_diverge_fail_one_by_one_and_again(tiny, tmp_path, own_kinds):
    """Checkpointed all the while, they do not pass for healthy when they are tried again."""
    look_at_each_step()
    spec = tiny(train={"lr": 1e20}, replicates=2)
    said = []
    for _ in range(2):
        _, outcome = run_in(tmp_path, spec, group=4)
        assert len(outcome.failures) == 4
        assert outcome.num_made == 0
        said.append(outcome.failures)
    assert said[0] == said[1]
    assert all("the training loss became" in message for message in said[0].values())
