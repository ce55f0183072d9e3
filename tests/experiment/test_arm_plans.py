"""Plans of every arm: what is shared, what hangs on what, what does not fit."""

from dataclasses import replace
from fractions import Fraction

import pytest
from every_arm import ELSEWHERE, TRAIN, K, spec_of
from tiny_runs import planned
from torch import nn

from lottery_ticket.arms import ARMS, register_arm
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import Plan
from lottery_ticket.experiment.planning.draft import Draft
from lottery_ticket.experiment.planning.narrow import largest_width, narrowed
from lottery_ticket.experiment.planning.replicate import Replicate
from lottery_ticket.masks import prunable_sizes
from lottery_ticket.models import outline, register_model, scaled_options
from lottery_ticket.spec import canonical, spec_from_mapping

FRESH = (
    "reinit",
    "transfer_reinit",
    "reinit_scaled",
)  # one dense net; the others with weights of their own:
OTHER_DENSE = ("values_permuted", "sign_reinit", "signed_constant")


def cells_of(plan: Plan, level: int) -> dict[str, str]:
    return {row.arm: row.cell for row in plan.rows if row.level == level}


def check_dense_is_shared(plan: Plan) -> None:
    """Level 0 is trained once for all who start from the same weights."""
    dense = cells_of(plan, 0)
    apart = {dense[FRESH[0]], *(dense[arm] for arm in OTHER_DENSE)}
    assert len(apart) == 4
    assert len({dense[arm] for arm in FRESH}) == 1
    from_initial = {dense[arm] for arm in ARMS if arm not in (*FRESH, *OTHER_DENSE)}
    assert len(from_initial) == 1
    assert not from_initial & apart


def test_the_dense_level_is_trained_once():
    check_dense_is_shared(planned(spec_of()))


def test_seeds_by_arm_are_caught(monkeypatch):
    add = Draft.add

    def by_arm(draft, cell):
        if cell.kind == "train":
            cell = replace(cell, seeds=replace(cell.seeds, noise=len(cell.label.arm)))
        return add(draft, cell)

    monkeypatch.setattr(Draft, "add", by_arm)
    with pytest.raises(AssertionError):
        check_dense_is_shared(planned(spec_of()))


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_has_the_same_cells_with_others_and_without(arm):
    everything = planned(spec_of())
    arms = ["ticket", arm] if arm == "lth" else list(dict.fromkeys([arm]))
    alone = planned(spec_of(arms))
    assert set(alone.cells) <= set(everything.cells)
    assert list(alone.rows) == [row for row in everything.rows if row.arm in arms]


PINNED = {
    "ticket": "0ce2a29d",
    "transfer": "12c0a72a",
    "reinit": "c4c2fc02",
    "transfer_reinit": "0c9318d8",
    "reinit_scaled": "27281e99",
    "values_permuted": "33f7ba3b",
    "sign_reinit": "269979d1",
    "signed_constant": "5c6dba92",
    "shuffled": "26a79a59",
    "random": "1118724e",
    "borrowed": "6b04eb6a",
    "permuted": "a30020b2",
    "inverted": "d617895a",
    "dense_small": "7ad29c62",
    "dense_long": "082bcd63",
    "oneshot": "d170e0b3",
    "lth": "df9bf168",
    "lr_rewind": "e5716caf",
    "finetune": "d58e9a5f",
    "gradual": "bd2d7fa6",
    "static": "7946bf66",
    "set": "8a1b163c",
    "rigl": "07801f33",
    "rigl_mask": "0f84c06b",
    "supermask": "7074bb69",
    "edge_popup": "85eeb011",
    "early_bird": "43ec09fd",
    "early_bird_mask": "f4849388",
    "magnitude_init": "87f4fc4c",
    "snip": "24fb45be",
    "grasp": "9396943e",
    "synflow": "da0a299d",
    "iterative_snip": "8057909f",
    "force": "8ecf0c98",
}


def test_names_are_pinned():
    # another name means that everybody's results of that arm are trained again
    assert {arm: cell[:8] for arm, cell in cells_of(planned(spec_of()), 2).items()} == PINNED


def test_rewound_arms_hang_on_one_rewind_point():
    made = planned(spec_of(replicates=2))
    points = [cell for cell in made.cells.values() if "until_step" in cell.inputs()]
    # of the run itself and of the one whose tickets are taken over, for each replicate
    assert [cell.num_steps for cell in points] == [K] * 4
    assert {cell.inputs()["train"]["lr"] for cell in points} == {TRAIN["lr"], ELSEWHERE["lr"]}
    hanging = {cell.parents.get("weights") for cell in made.cells.values() if cell.num_steps}
    assert {cell.name for cell in points} < hanging


def test_steps_are_counted_as_they_are_trained():
    made = planned(spec_of(["ticket", "finetune"]))
    steps = {(row.arm, row.level): made.cells[row.cell].num_steps for row in made.rows}
    assert steps["ticket", 0] == steps["finetune", 2] == 38
    assert steps["ticket", 2] == 38 - K
    assert made.num_steps == K + 38 + 2 * (38 - K) + 2 * 38


def stretched(arms: list[str], **factors: int) -> Plan:
    values = canonical(spec_of(arms))
    values["arms"] = [{arm: {"stretch": factors[arm]}} if arm in factors else arm for arm in arms]
    return planned(spec_from_mapping(values))


def test_a_stretched_arm_trains_longer_below_dense():
    plain = planned(spec_of(["ticket", "reinit", "lr_rewind"]))
    made = stretched(["ticket", "reinit", "lr_rewind"], reinit=3, lr_rewind=2)
    ends = {}
    for row in made.rows:
        cell = made.cells[row.cell]
        ends[row.arm, row.level] = cell.num_steps
        if row.arm == "ticket" or row.level == 0:  # as it was
            assert row in plain.rows
            continue
        factor = {"reinit": 3, "lr_rewind": 2}[row.arm]
        train = cell.inputs()["train"]
        assert (train["duration"], train["milestones"]) == (
            f"{38 * factor}it",
            [f"{30 * factor}it"],
        )
        assert not {row.cell} & {other.cell for other in plain.rows}
    assert ends["reinit", 1] == ends["reinit", 2] == 3 * 38
    assert ends["lr_rewind", 1] == ends["lr_rewind", 2] == 2 * 38
    assert ends["reinit", 0] == ends["lr_rewind", 0] == 38


def test_what_hangs_on_a_stretched_ticket():
    plain = planned(spec_of(["ticket", "reinit", "dense_long"]))
    made = stretched(["ticket", "reinit", "dense_long"], ticket=2)
    # its first mask is still made from the dense net, the second from a longer training
    assert cells_of(made, 1)["reinit"] == cells_of(plain, 1)["reinit"]
    assert cells_of(made, 2)["reinit"] != cells_of(plain, 2)["reinit"]
    steps = {row.arm: made.cells[row.cell].num_steps for row in made.rows if row.level == 2}
    assert steps == {"ticket": 76 - K, "reinit": 38, "dense_long": 38 + 2 * (76 - K)}


def test_files_that_others_read_are_named():
    made = planned(spec_of(["ticket", "lr_rewind", "finetune", "snip"]))
    feeds = {(r.arm, r.level): made.cells[r.cell].feeds for r in made.rows}
    weights, memory = "weights.safetensors", "optimizer.safetensors"
    assert feeds["ticket", 0] == {weights, memory}  # fine-tuning goes on from it
    assert feeds["ticket", 1] == feeds["lr_rewind", 1] == {weights}
    assert feeds["finetune", 1] == {weights, memory}
    assert feeds["finetune", 2] == feeds["snip", 1] == frozenset()
    (point,) = (cell for cell in made.cells.values() if "until_step" in cell.inputs())
    assert point.feeds == {weights, memory}


def test_pruned_once_each_level_is_made_from_the_dense_net():
    prune = {"densities": [0.6, 0.36], "once": True}
    arms = ["ticket", "reinit", "lr_rewind"]
    made = planned(spec_of(arms, prune=prune, rewind="0it"))
    dense = cells_of(made, 0)["ticket"]
    for row in made.rows:
        if row.mask is not None:
            assert dict(made.cells[row.mask].parents) == {"weights": dense}
    again = {row.cell for row in made.rows if row.arm == "lr_rewind" and row.level}
    assert {made.cells[name].parents["weights"] for name in again} == {dense}
    # what is pruned once is what the arm `oneshot` prunes, beside a ticket that is not
    beside = planned(spec_of(["ticket", "oneshot"], prune=prune | {"once": False}, rewind="0it"))
    assert cells_of(made, 2)["ticket"] == cells_of(beside, 2)["oneshot"]


def test_transferred_tickets_are_the_cells_of_their_own_run():
    arms = ["ticket", "transfer", "transfer_reinit"]
    made = planned(spec_of(arms))
    own, source = planned(spec_of(["ticket"])), planned(spec_of(["ticket"], train=ELSEWHERE))
    assert {row.cell for row in own.rows} <= set(made.cells)
    masks = {row.level: row.mask for row in source.rows}
    for row in made.rows:
        if row.arm != "ticket":
            assert row.mask == masks[row.level]
    # the last training of the source makes no mask
    assert set(source.cells) - set(made.cells) == {cells_of(source, 2)["ticket"]}


def test_one_level_of_a_source():
    spec = spec_of(["transfer", "transfer_reinit"], source={"train": ELSEWHERE, "level": 2})
    made = planned(spec)
    assert [(row.arm, row.level) for row in made.rows] == [
        ("transfer", 0), ("transfer", 2), ("transfer_reinit", 0), ("transfer_reinit", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"rewind": "38it"},
            "rewind: got '38it', wanted less than train.duration, '2ep' (38 steps); rewind to an",
        ),
        (
            {
                "rewind": "20it",
                "source": {"train": TRAIN | {"duration": "1ep", "milestones": ["9it"]}},
            },
            "source: rewind: got '20it', wanted less than train.duration, '1ep' (19 steps)",
        ),
        (
            {"source": {"data": {"name": "sin"}}},
            "source: train.loss 'cross_entropy' does not fit 'sin', a regression",
        ),
    ],
)
def test_what_does_not_fit_is_said_before_training(change, message):
    with pytest.raises(UsageError) as error:
        planned(spec_of(["ticket", "transfer"], **change))
    assert str(error.value).startswith(message)


def test_tickets_of_another_shape_are_refused(tmp_path):
    import numpy as np

    rng = np.random.default_rng(0)
    np.savez(tmp_path / "small.npz", x=rng.random((60, 49), "float32"), y=np.arange(60) % 10)
    data = {"name": "arrays", "path": str(tmp_path / "small.npz")}
    with pytest.raises(UsageError) as error:
        planned(spec_of(["ticket", "transfer"], source={"data": data}))
    assert str(error.value) == (
        "source: tickets of 'arrays' do not fit 'digits': 'fc1.weight' is (20, 49) there and "
        "(20, 64) here; transfer to data of the same input shape and number of classes"
    )


# narrower nets

NETS = [
    ("LeNet300", {"input_size": 784, "num_classes": 10}),
    ("MLP", {"input_size": 7, "num_classes": 2, "hidden": [9, 30, 4]}),
    ("Conv4", {"form": "paper"}),
    ("ResNet20", {}),
    ("VGG11", {"form": "cifar"}),
]


def count(name: str, options) -> int:
    return sum(prunable_sizes(outline(name, **options)).values())


SHARES = (1.0, 0.21, 0.035, 1e-6)


def check_nearest(find, name: str, options, shares=SHARES) -> None:
    """No net of the same shape and fewer hidden units has a count that is nearer."""
    whole = count(name, options)
    widest = largest_width(name, options)
    steps = range(1, widest + 1, max(1, widest // 64))
    others = [count(name, scaled_options(name, options, Fraction(n, widest))) for n in steps]
    for wanted in (int(share * whole) for share in shares):
        found, num = find(name, options, wanted)
        assert count(name, found) == num
        assert abs(num - wanted) <= min(abs(other - wanted) for other in others)


@pytest.mark.parametrize(("name", "options"), NETS)
def test_the_narrower_net_is_the_nearest(name, options):
    check_nearest(narrowed, name, options)


def scaled_by_the_density(name, options, num_weights):
    """Widths in proportion to the weights, as if a layer's count were linear in them."""
    factor = Fraction(num_weights, count(name, options))
    found = scaled_options(name, options, factor)
    return found, count(name, found)


def the_next_wider(name, options, num_weights):
    return narrowed(name, options, num_weights + num_weights // 4)


def tells_what_was_asked_for(name, options, num_weights):
    return narrowed(name, options, num_weights)[0], num_weights


@pytest.mark.parametrize(
    "mutant", [scaled_by_the_density, the_next_wider, tells_what_was_asked_for]
)
def test_other_nets_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_nearest(mutant, *NETS[1], [0.21])


def test_the_table_shows_the_real_counts():
    made = planned(spec_of(["ticket", "dense_small"]))
    kept = [row.num_kept for row in made.rows if row.arm == "dense_small"]
    hidden = [
        made.cells[row.cell].inputs()["model"]["hidden"]
        for row in made.rows
        if row.arm == "dense_small"
    ]
    assert hidden == [[20, 10], [13, 6], [8, 4]]
    assert kept == [1580, 970, 584]
    assert [64 * one + one * two + two * 10 for one, two in hidden] == kept
    assert [budget.total for budget in made.budgets] == [1580, 948, 569]


def test_a_model_of_fixed_widths_is_refused(tiny):
    model = {"name": "Noisy", "hidden": None}
    from lottery_ticket.experiment import import_user_code

    import_user_code(["noisy_net"])
    with pytest.raises(UsageError, match="dense_small: the hidden widths of model 'Noisy' cannot"):
        planned(tiny(model=model, arms=["ticket", "dense_small"]))


def test_weights_of_ones_own_are_not_rewound_away(forgotten):
    from lottery_ticket import register_arm

    register_arm("negated", weights=lambda model, mask, generator: None)
    made = planned(spec_of(["ticket", "negated"]))
    ticket, negated = (made.cells[cells_of(made, 1)[arm]] for arm in ("ticket", "negated"))
    assert "weights" in ticket.parents
    assert set(negated.parents) == {"mask"}
    assert negated.inputs()["initial"]["arm"] == "negated"


def test_an_arm_of_ones_own_prunes_by_its_own_criterion(forgotten):
    from lottery_ticket import register_arm

    register_arm("least", mask="oneshot", criterion="small_final")
    made = planned(spec_of(["ticket", "oneshot", "least"]))
    masks = {row.arm: row.mask for row in made.rows if row.level == 1}
    criteria = {arm: made.cells[name].inputs()["criterion"] for arm, name in masks.items()}
    assert criteria == {"ticket": "magnitude", "oneshot": "magnitude", "least": "small_final"}


BORROWING = ["borrowed", "permuted"]


def check_partners(made) -> None:
    """The law: what a replicate borrows does not depend on how many there are."""
    few, many = (made(spec_of(BORROWING, replicates=n)) for n in (1, 4))
    for row in few.rows:
        assert row in many.rows
    assert set(few.cells) <= set(many.cells)


def test_partners_do_not_depend_on_how_many_replicates_there_are():
    check_partners(planned)


def test_a_partner_that_depends_on_it_is_caught(monkeypatch):
    def around(replicate):
        other = (replicate.number + 1) % replicate.setting.spec.replicates
        return Replicate(replicate.draft, replicate.setting, other)

    monkeypatch.setattr(Replicate, "partner", around)
    with pytest.raises(AssertionError):
        check_partners(planned)


def test_masks_are_borrowed_from_the_replicate_before_and_of_the_first_from_the_second():
    made = planned(spec_of(["ticket", *BORROWING], replicates=4))
    masks = {(row.arm, row.replicate): row.mask for row in made.rows if row.level == 2}
    taken = [masks["borrowed", number] for number in range(4)]
    assert taken == [masks["ticket", number] for number in (1, 0, 1, 2)]
    dense = {row.replicate: row.cell for row in made.rows if row.arm == "ticket" and not row.level}
    for number, other in enumerate((1, 0, 1, 2)):
        aligned = made.cells[str(masks["permuted", number])]
        assert aligned.parents == {
            "mask": masks["ticket", other],
            "weights": dense[other],
            "other_weights": dense[number],
        }


def test_one_replicate_alone_has_a_partner_that_fills_no_row():
    made = planned(spec_of(["ticket", "borrowed"]))
    assert {row.replicate for row in made.rows} == {0}
    assert {cell.label.replicate for cell in made.cells.values()} == {0, 1}
    # of the sparsest level the other's mask is needed, not what is trained with it
    cells = [cell for cell in made.cells.values() if cell.label.replicate == 1]
    assert max(cell.label.level for cell in cells if cell.kind == "train") == 1


def test_transferred_tickets_are_borrowed_by_nobody():
    """Beside `transfer` the arms that borrow take tickets of the run itself."""
    made = planned(spec_of(["ticket", "transfer", "borrowed"], replicates=2))
    masks = {(row.arm, row.replicate): row.mask for row in made.rows if row.level == 1}
    assert masks["borrowed", 0] == masks["ticket", 1] != masks["transfer", 1]


def test_permuted_masks_of_n_of_m_are_refused():
    prune = {"scope": "2:4", "levels": 1, "ignore": ["fc3"]}
    with pytest.raises(UsageError, match=r"'permuted' moves inputs .* '2:4'"):
        spec_of(["ticket", "permuted"], prune=prune)
    assert planned(spec_of(["ticket", "borrowed"], prune=prune))


def test_units_that_cannot_be_followed_are_said_before_anything_trains(forgotten):
    def normed(input_size: int, num_classes: int) -> nn.Module:
        layers = nn.Linear(input_size, 20), nn.LayerNorm(20), nn.Linear(20, num_classes)
        return nn.Sequential(*layers)

    register_model("normed")(normed)
    model = {"model": {"name": "normed"}}
    with pytest.raises(UsageError, match=r"'permuted': align: .*LayerNorm.*or use 'borrowed'"):
        planned(spec_of(["ticket", "permuted"], **model))
    assert planned(spec_of(["ticket", "borrowed"], **model))


def test_arms_of_ones_own_borrow_too(forgotten):
    register_arm("lent", mask="aligned", weights="fresh")
    made = planned(spec_of(["ticket", "permuted", "lent"]))
    masks = {row.arm: row.mask for row in made.rows if row.level == 2}
    assert masks["lent"] == masks["permuted"] != masks["ticket"]
    assert len({row.cell for row in made.rows if row.level == 2}) == 3
