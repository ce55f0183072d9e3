"""The plan is pure, names every cell in advance, and never plans the same work twice."""

from itertools import pairwise

import pytest
from tiny_runs import planned

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import Inputs, Plan, plan
from lottery_ticket.masks import num_pruned
from lottery_ticket.spec import load_spec

MNIST = Inputs(
    data_digest="0" * 64,
    num_train=60_000,
    data_options={},
    model_options={"input_size": 784, "num_classes": 10, "hidden": [300, 100]},
    layers={"fc1.weight": (300, 784), "fc2.weight": (100, 300), "fc3.weight": (10, 100)},
)


def trainings(plan: Plan) -> list:
    return [cell for cell in plan.cells.values() if cell.num_steps]


def test_lenet_mnist_is_planned_as_the_paper_has_it():
    made = plan(load_spec("lenet-mnist"), MNIST)
    assert len(trainings(made)) == 3 * 21 * 2
    assert len(made.cells) == 3 * 21 * 2 + 3 * 20
    assert made.num_steps == 126 * 20 * 938
    kept = [budget.total for budget in made.budgets]
    assert kept[:5] == [266_200, 212_960, 170_368, 136_294, 109_035]
    assert kept[-1] == 3069
    for before, after in pairwise(kept):
        assert before - after == num_pruned(before, 0.2)


def test_names_are_pinned():
    # other names mean that everybody's results are trained again: raise a `numerics` version
    # where bytes change, and leave names alone where they do not
    made = plan(load_spec("lenet-mnist"), MNIST)
    assert made.id == "lenet-mnist-35e38f28"
    first = made.rows[0]
    assert first.cell[:16] == "ddf24d9d9636827d"
    assert made.rows[3].mask is not None
    assert made.rows[3].mask[:16] == "7b7890d3e8c5ef44"


def test_planning_twice_gives_the_same_plan(tiny):
    spec = tiny(arms=["ticket", "reinit", "shuffled", "random", "oneshot"], replicates=2)
    assert planned(spec) == planned(spec)


def test_parents_come_first(tiny):
    made = planned(tiny(arms=["ticket", "reinit", "shuffled", "random", "oneshot"]))
    seen: set[str] = set()
    for cell in made.cells.values():
        assert set(cell.parents.values()) <= seen
        seen.add(cell.name)


def test_dense_level_is_trained_once_for_all_who_share_its_weights(tiny):
    made = planned(tiny(arms=["ticket", "reinit", "shuffled", "random", "oneshot"]))
    dense = {row.arm: row.cell for row in made.rows if row.level == 0}
    assert dense["ticket"] == dense["shuffled"] == dense["random"] == dense["oneshot"]
    assert dense["reinit"] != dense["ticket"]


def test_first_level_of_oneshot_is_that_of_the_ticket(tiny):
    made = planned(tiny(arms=["ticket", "oneshot"]))
    first = {row.arm: row.cell for row in made.rows if row.level == 1}
    second = {row.arm: row.cell for row in made.rows if row.level == 2}
    assert first["ticket"] == first["oneshot"]
    assert second["ticket"] != second["oneshot"]


def test_arms_of_a_replicate_share_data_order_by_level(tiny):
    made = planned(tiny(arms=["ticket", "reinit"], replicates=2))
    order = {
        (row.arm, row.level, row.replicate): made.cells[row.cell].inputs()["seeds"]["order"]
        for row in made.rows
    }
    for level in range(3):
        assert order["ticket", level, 0] == order["reinit", level, 0]
        assert order["ticket", level, 0] != order["ticket", level, 1]
    assert len({order["ticket", level, 0] for level in range(3)}) == 3


def test_ticket_keeps_its_initial_weights_and_reinit_keeps_its_own(tiny):
    made = planned(tiny(arms=["ticket", "reinit", "shuffled"]))
    init: dict[str, set[int]] = {}
    for row in made.rows:
        init.setdefault(row.arm, set()).add(made.cells[row.cell].inputs()["seeds"]["init"])
    assert all(len(seeds) == 1 for seeds in init.values())
    assert init["ticket"] == init["shuffled"] != init["reinit"]


def test_more_replicates_add_cells_and_rename_none(tiny):
    two, three = planned(tiny(replicates=2)), planned(tiny(replicates=3))
    assert set(two.cells) < set(three.cells)
    assert two.id != three.id


def test_draws_are_separate_cells(tiny):
    made = planned(tiny(arms=["ticket", {"reinit": {"draws": 3}}, {"shuffled": {"draws": 2}}]))
    cells = {(row.arm, row.draw): row.cell for row in made.rows if row.level == 2}
    assert len(set(cells.values())) == len(cells) == 1 + 3 + 2


@pytest.mark.parametrize(
    "change",
    [
        {"train": {"lr": 0.05}},
        {"train": {"duration": "3ep"}},
        {"train": {"weight_decay": 1e-4}},
        {"model": {"hidden": [20, 11]}},
        {"seed": 1},
    ],
)
def test_what_decides_the_bytes_decides_the_name(tiny, change):
    assert not set(planned(tiny()).cells) & set(planned(tiny(**change)).cells)


def test_spelling_out_a_default_renames_nothing(tiny):
    plain = planned(tiny())
    spelt = planned(tiny(train={"optimizer": "sgd", "nesterov": False, "weight_decay": 0}))
    assert plain.id == spelt.id
    assert planned(tiny(model={"input_size": 64})).id == plain.id


def test_an_arm_alone_shows_only_its_rows_and_plans_what_it_hangs_on(tiny):
    made = planned(tiny(arms=["reinit"]))
    assert {row.arm for row in made.rows} == {"reinit"}
    # the masks come from the ticket's chain; its last level makes no mask that is asked for
    assert len(trainings(made)) == 3 + 2


def test_layerwise_rates_by_module_name(tiny):
    prune = {"scope": "layerwise", "rate": 0.4, "rates": {"fc3": 0.2}, "levels": 1}
    made = planned(tiny(prune=prune))
    kept = dict(made.budgets[1].per_layer or ())
    assert kept == {"fc1.weight": 768, "fc2.weight": 120, "fc3.weight": 80}


# 60,000 examples in batches of 64: an epoch is 938 steps, the training 20 of them: 18,760
@pytest.mark.parametrize(
    ("length", "message"),
    [
        ("warmup=18760it", "warmup: got '18760it', wanted less than train.duration, '20ep' (18,7"),
        ("eval_every=18761it", "eval_every: got '18761it', wanted at most train.duration, '20ep' "),
        ("milestones=[10ep, 18760it]", "milestones: got '18760it', wanted less than train.duratio"),
        ("milestones=[9380it, 10ep]", "milestones: got '9380it' followed by '10ep' (9,380 steps)"),
        ("milestones=[9381it, 10ep]", "milestones: got '9381it' followed by '10ep' (9,380 steps)"),
    ],
)
def test_lengths_in_other_units_are_compared_in_steps(length, message):
    with pytest.raises(UsageError) as error:
        plan(load_spec("lenet-mnist", ["train.schedule=step", *sets(length)]), MNIST)
    assert str(error.value).startswith(f"train.{message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "length",
    ["warmup=18759it", "eval_every=18760it", "milestones=[9379it, 10ep, 18759it]", "duration=9it"],
)
def test_lengths_that_just_fit_are_planned(length):
    made = plan(load_spec("lenet-mnist", ["train.schedule=step", *sets(length)]), MNIST)
    assert len(made.rows) == 126


def sets(length: str) -> list[str]:
    """`--set` values, with milestones where none are given."""
    milestones = [] if "milestones" in length else ["train.milestones=[5it]"]
    return [*milestones, f"train.{length}"]
