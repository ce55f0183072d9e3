"""What of a user's own fails is said before anything trains, and by its name."""

import pytest
import torch
from tiny_runs import planned, run_in

from lottery_ticket import UsageError, register_criterion, register_optimizer
from lottery_ticket.experiment import read_mask

pytestmark = pytest.mark.usefixtures("forgotten")


def misspelt(weights):
    return {name: value.absolute_value() for name, value in weights.items()}


def of_a_later_mask(weights, mask):
    if not all(kept.all() for kept in mask.values()):
        raise KeyError("fc9")
    return {name: value.abs() for name, value in weights.items()}


def of_what_changed(weights, initial):
    """NaN where nothing has changed yet, which no trained weight is."""
    return {
        name: (value - initial[name]) / (value - initial[name]) for name, value in weights.items()
    }


def of_examples(model, batches, loss, input_shape, generator):
    assert [len(y) for _, y in batches] == [64, 36]  # ten for each class
    assert input_shape == (64,)
    assert isinstance(generator, torch.Generator)
    return {name: torch.rand(p.shape) for name, p in model.named_parameters() if p.ndim > 1}


def test_a_criterion_that_fails_is_named(tiny):
    register_criterion("mine")(misspelt)
    with pytest.raises(UsageError, match=r"criterion 'mine' fails: AttributeError: .* 'absolute_v"):
        planned(tiny(prune={"criterion": "mine"}))


def of_another_shape(weights):
    return {name: value.abs().flatten() for name, value in weights.items()}


def of_no_layer(weights):
    return {f"{name}.mine": value.abs() for name, value in weights.items()}


def of_complex_numbers(weights):
    return {name: torch.complex(value, value) for name, value in weights.items()}


@pytest.mark.parametrize(
    ("criterion", "said"),
    [
        (of_another_shape, "scores: 'fc1.weight' has shape"),
        (of_no_layer, "scores: no 'fc1.weight'"),
        (of_complex_numbers, "wanted real numbers"),
    ],
)
def test_scores_that_do_not_fit_are_said_before_anything_trains(criterion, said, tiny):
    register_criterion("mine")(criterion)
    with pytest.raises(UsageError, match=f"criterion 'mine': .*{said}"):
        planned(tiny(prune={"criterion": "mine"}))


@pytest.mark.parametrize("criterion", [of_examples, of_what_changed])
def test_a_criterion_is_tried_with_all_it_asks_for(criterion, tiny):
    register_criterion("mine")(criterion)
    planned(tiny(prune={"criterion": "mine"}))


def by_power(weights, mask, power: float = 1.0):
    """Of a power below zero the lowest are kept."""
    return {name: value.abs() ** power for name, value in weights.items()}


def masks_of(folder, spec, arm="ticket"):
    """Of its levels below dense."""
    store, outcome = run_in(folder, spec)
    assert outcome.is_complete, outcome.failures
    return [
        read_mask(store, row.mask) for row in planned(spec).rows if row.arm == arm and row.level
    ]


def test_options_of_a_criterion_decide_its_masks_and_their_names(tiny, tmp_path):
    register_criterion("power")(by_power)
    arms = {"arms": ["ticket", "oneshot", "inverted", "snip"], "prune": {"levels": 1}}

    def spec(criterion):
        return tiny(**arms | {"prune": arms["prune"] | {"criterion": criterion}})

    plain, lowest = spec("power"), spec({"power": {"power": -1.0}})
    names = [
        {row.arm: row.mask for row in planned(one).rows if row.level} for one in (plain, lowest)
    ]
    assert [arm for arm in names[0] if names[0][arm] == names[1][arm]] == ["snip"]
    cell = planned(lowest).cells[names[1]["ticket"]]
    assert cell.inputs()["criterion_options"] == {"power": -1.0}
    assert planned(spec({"power": {}})).id == planned(plain).id
    (highest,), (other,) = masks_of(tmp_path, plain), masks_of(tmp_path, lowest)
    (inverted,) = masks_of(tmp_path, plain, "inverted")
    assert other == inverted != highest


def test_options_of_a_criterion_reach_a_policy(tiny, tmp_path):
    register_criterion("power")(by_power)
    changes = {"arms": ["ticket", "gradual"]}
    masks = [
        masks_of(tmp_path, tiny(**changes, prune={"levels": 1, "criterion": criterion}), "gradual")
        for criterion in ("power", "magnitude", {"power": {"power": -1.0}})
    ]
    assert masks[0] == masks[1] != masks[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"powr": 2.0}, "criterion 'power' has no option 'powr'; did you mean 'power'"),
        ({"power": "a"}, "option 'power': got 'a' .*, wanted a number"),
        ({"weights": 2.0}, "criterion 'power' has no option 'weights'"),
    ],
)
def test_options_that_a_criterion_does_not_take(options, said, tiny):
    register_criterion("power")(by_power)
    with pytest.raises(UsageError, match=f"prune: .*{said}"):
        tiny(prune={"criterion": {"power": options}})


def test_a_criterion_that_fails_later_is_named_with_its_traceback(tiny, tmp_path):
    register_criterion("later")(of_a_later_mask)
    _, outcome = run_in(tmp_path, tiny(prune={"criterion": "later"}, arms=["ticket"]))
    (said,) = outcome.failures.values()
    assert "ticket level 2" in said
    assert "KeyError: 'fc9', in criterion 'of_a_later_mask' (traceback in " in said


class Halting(torch.optim.SGD):
    def __init__(self, params, lr, share=0.0, power: float = 2.0):
        super().__init__(params, lr=lr * share)

    def step(self, closure=None):
        raise ZeroDivisionError("no step")


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        ({"halting": {"share": "a"}}, "'halting' with lr=0.1, share='a' fails: TypeError"),
        ("halting", "'halting' with lr=0.1 fails: ZeroDivisionError: no step"),
        (
            {"adam": {"eps": -1.0}},
            "'adam' with lr=0.1, eps=-1.0 fails: ValueError",
        ),
    ],
)
def test_an_optimiser_that_fails_is_named_with_its_options(optimizer, said, tiny):
    register_optimizer("halting")(Halting)
    with pytest.raises(UsageError, match=f"train.optimizer {said}"):
        planned(tiny(train={"optimizer": optimizer, "momentum": None}))


@pytest.mark.parametrize(
    ("optimizer", "option"),
    [({"adam": {"eps": "a"}}, "eps"), ({"halting": {"power": "a"}}, "power")],
)
def test_options_of_another_type_are_refused_by_name(optimizer, option, tiny):
    register_optimizer("halting")(Halting)
    (name,) = optimizer
    with pytest.raises(
        UsageError, match=f"optimizer '{name}': option '{option}': got 'a' .*, wanted a number"
    ):
        tiny(train={"optimizer": {name: {option: "a"}}, "momentum": None})
