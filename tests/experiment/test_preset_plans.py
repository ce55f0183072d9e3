"""Every preset plans, and keeps the counts that it is named for."""

import pytest

from lottery_ticket.experiment import Inputs, Plan, plan
from lottery_ticket.experiment.objects.layers import pruned_layers
from lottery_ticket.masks import prunable_sizes
from lottery_ticket.models import model_options, outline
from lottery_ticket.spec import Spec, load_spec, preset_names

# data set → training images, values of one, classes
DATA = {
    "digits": (1197, 64, 10),
    "sin": (70, 1, 1),
    "mnist": (60_000, 784, 10),
    "fashion-mnist": (60_000, 784, 10),
    "cifar10": (50_000, 3072, 10),
}


def inputs_of(spec: Spec) -> Inputs:
    """What the plan needs to know, without the data."""
    num_train, size, num_classes = DATA[spec.data.name]
    follows = {"input_size": size, "num_classes": num_classes}
    known = model_options(spec.model.name)
    options = {n: v for n, v in follows.items() if n in known} | spec.model.options
    model = outline(spec.model.name, **options)
    shapes = pruned_layers(spec.prune, model)
    return Inputs(
        data_digest=spec.data.name,
        num_train=num_train - spec.data.options.get("validation", 0),
        data_options={},
        model_options=options,
        layers={name: tuple(value.shape) for name, value in shapes.items()},
        source=None if spec.source_spec is None else inputs_of(spec.source_spec),
        num_ignored=sum(prunable_sizes(model).values()) - sum(v.numel() for v in shapes.values()),
    )


def planned(name: str, *overrides: str) -> Plan:
    spec = load_spec(name, overrides)
    return plan(spec, inputs_of(spec))


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_plans(name):
    made = planned(name, "replicates=1")
    arms = {arm.name for arm in made.spec.arms}
    assert {row.arm for row in made.rows} == arms
    assert len(made.rows) == len(arms) * len(made.budgets)


def kept(name: str) -> list[int]:
    return [budget.total for budget in planned(name, "replicates=1").budgets]


def test_counts():
    assert kept("lenet-mnist-adam-5ep") == [266_200, 212_960, 170_368, 136_294, 109_035, 87_228]
    assert kept("lenet-mnist-levels")[5:7] == [53_240, 26_620]
    oneshot = kept("lenet-mnist-oneshot")
    assert [oneshot[level] for level in (10, 13, 17, 20)] == [26_620, 13_310, 5_324, 2_662]
    assert kept("conv4-cifar10")[-1] == 34_170
    # of 341,696 without the 1,728 of the first convolution; of 259,776 in convolutions
    assert kept("conv4-cifar10-2-4") == kept("conv4-cifar10-half") == [339_968, 169_984]
    assert kept("conv4-cifar10-channels") == [259_776, 129_888]
    assert kept("paper/lenet-mnist")[-1] == pytest.approx(0.01 * 266_200, rel=0.05)
    assert kept("paper/rewinding-resnet20")[-1] == pytest.approx(0.107 * 270_896, rel=0.01)


def test_the_presets_of_lenet_share_their_cells():
    own = planned("lenet-mnist")
    later = planned("lenet-mnist-late-resetting")
    to_fashion = planned("lenet-mnist-to-fashion")
    tickets = {row.cell for row in own.rows if row.arm == "ticket"}
    assert {row.cell for row in later.rows if row.arm == "lth"} == tickets
    masks = {row.mask for row in own.rows if row.arm == "ticket"}
    assert {row.mask for row in to_fashion.rows if row.arm == "transfer"} == masks


def test_the_short_presets_of_conv4_share_their_dense_trainings():
    dense = [
        {row.cell for row in planned(name).rows if row.level == 0 and row.arm != "shuffled"}
        for name in ("conv4-cifar10-2-4", "conv4-cifar10-half", "conv4-cifar10-channels")
    ]
    assert dense[0] == dense[1] == dense[2]
    assert len(dense[0]) == 2 * 3
