"""The contract of criteria and of `score`: what they ask for, what they are given, what fails."""

import functools
import pickle

import pytest
import torch
from small_nets import all_kept, assert_same_scores, mlp, pairs, some_kept
from torch import nn

from lottery_ticket.criteria import CRITERIA, Criterion, register_criterion, score
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Budget, PruningMask, select

ALL = (
    "weights",
    "initial",
    "mask",
    "generator",
    "model",
    "batches",
    "batch",
    "loss",
    "batch_loss",
    "input_shape",
)


def zeros(mask):
    return {name: torch.zeros(kept.shape) for name, kept in mask.items()}


def everything(model):
    return {
        "model": model,
        "mask": some_kept(model),
        "initial": {name: torch.ones(kept.shape) for name, kept in all_kept(model).items()},
        "batches": pairs(4, 2),
        "generator": torch.Generator(),
    }


def test_the_registered_ones():
    own = [name for name in CRITERIA if not CRITERIA.entry(name).is_user]
    assert sorted(own) == [
        "force",
        "grasp",
        "iterative_snip",
        "large_final",
        "large_init",
        "magnitude",
        "magnitude_increase",
        "movement",
        "random",
        "saliency",
        "small_final",
        "snip",
        "synflow",
    ]
    with pytest.raises(UsageError, match="unknown criterion 'magnitud'; did you mean 'magnitude'"):
        score("magnitud", weights={"w": torch.ones(2)})


@pytest.mark.parametrize("name", [name for name in CRITERIA if not CRITERIA.entry(name).is_user])
def test_scores_fit_the_mask_and_select_takes_them(name):
    """In the mask's order, even where it is not the model's."""
    model = mlp(3, 4, 5, 3)
    given = everything(model)
    given["mask"] = {n: given["mask"][n] for n in reversed(given["mask"])}
    scores = score(name, **given)
    assert list(scores) == list(given["mask"])
    mask = PruningMask.from_tensors(given["mask"])
    assert select(scores, mask, Budget(5)).is_nested_in(mask)


def test_a_function_is_given_what_it_asks_for_by_name():
    model = mlp(3, 4, 3)
    given = everything(model)
    given["input_shape"] = [3]
    seen = {}

    def greedy(
        weights, initial, mask, generator, model, batches, batch, loss, batch_loss, input_shape
    ):
        seen.update(locals())
        return zeros(mask)

    assert Criterion(greedy).needs == set(ALL)
    score(greedy, **given)
    assert seen["model"] is model
    assert seen["generator"] is given["generator"]
    assert seen["input_shape"] == (3,)
    assert [len(x) for x, _ in seen["batches"]] == [4, 2]
    assert [len(x) for x, _ in seen["batches"]] == [4, 2]  # again
    assert torch.equal(seen["batch"][0], given["batches"][0][0])
    x, y = given["batches"][0]
    wanted = nn.functional.cross_entropy(model(x), y)
    assert torch.equal(seen["loss"](model(x), y), wanted)
    assert torch.equal(seen["batch_loss"](model, (x, y)), wanted)
    assert seen["initial"].keys() == seen["mask"].keys() == seen["weights"].keys()
    for name, kept in given["mask"].items():
        assert torch.equal(seen["mask"][name], kept)
        assert torch.equal(seen["weights"][name], model.get_parameter(name) * kept)


def test_the_signature_of_many_libraries():
    """(model, batch) → scores."""

    def gradient(model, batch):
        x, y = batch
        nn.functional.cross_entropy(model(x), y).backward()
        return {"0.weight": (model[0].weight.grad * model[0].weight).abs()}

    model = mlp(3, 4, 3)
    given = {"model": model, "batches": pairs(4), "mask": {"0.weight": all_kept(model)["0.weight"]}}
    assert_same_scores(score(gradient, **given), score("saliency", **given))
    assert model[0].weight.grad is None


def test_parameters_with_a_default_are_options():
    """They keep their value, whatever their name."""

    def powered(weights, power=2, generator=None):
        assert generator is None
        return {name: weight**power for name, weight in weights.items()}

    weights = {"w": torch.tensor([3.0])}
    assert Criterion(powered).needs == {"weights"}
    given = {"weights": weights, "generator": torch.Generator()}
    assert score(powered, **given)["w"].tolist() == [9.0]
    assert score(functools.partial(powered, power=3), **given)["w"].tolist() == [27.0]
    bound = functools.partial(lambda weights, batches: weights, batches=[])
    assert Criterion(bound).needs == {"weights"}
    assert score(bound, **given)["w"].tolist() == [3.0]


def test_callables_of_every_kind():
    class Scaled:
        def __call__(self, weights, /, *, mask, **options):
            assert not options
            return {name: 2 * weights[name] for name in mask}

        def method(self, *others, weights):
            assert not others
            return weights

    for function in (Scaled(), Scaled().method, lambda weights: weights):
        assert "w" in score(function, weights={"w": torch.ones(2)})
    criterion = Criterion(abs_of, numerics=3, rounds=5)
    assert (criterion.name, criterion.numerics, criterion.rounds) == ("abs_of", 3, 5)
    assert Criterion(functools.partial(abs_of)).name == "abs_of"
    assert Criterion(Scaled()).name == "Scaled"
    assert not criterion.needs_data
    assert Criterion(lambda batch: {}).needs_data
    assert pickle.loads(pickle.dumps(criterion)) == criterion
    assert score(criterion, weights={"w": torch.tensor([-1.0])})["w"].tolist() == [1.0]


def abs_of(weights):
    return {name: weight.abs() for name, weight in weights.items()}


def test_ones_own_criterion_has_a_name(forgotten):
    @register_criterion("squared", rounds=4)
    def squared(weights):
        return {name: weight.square() for name, weight in weights.items()}

    assert CRITERIA["squared"] == Criterion(squared, rounds=4)
    assert CRITERIA.entry("squared").is_user
    assert score("squared", weights={"w": torch.tensor([-3.0])})["w"].tolist() == [9.0]
    with pytest.raises(UsageError, match="criterion 'snip' is already registered"):
        register_criterion("snip")(squared)


def test_unknown_parameters_are_refused_when_the_criterion_is_made(forgotten):
    with pytest.raises(
        UsageError,
        match=r"criterion 'strange' has a parameter 'weight' that nothing is known to fill; did "
        r"you mean 'weights'\?; parameters without a default are among: weights, initial, mask, "
        r"kept, generator, model, batches, batch, loss, batch_loss, input_shape",
    ):
        Criterion(strange)
    with pytest.raises(
        UsageError, match="a parameter 'optimizer' that nothing is known to fill; p"
    ):
        score(lambda optimizer: {}, weights={"w": torch.ones(2)})
    with pytest.raises(UsageError, match="'strange' has a parameter 'weight'"):
        register_criterion("strange")(strange)
    assert "strange" not in CRITERIA


def strange(model, weight):
    return {}


def test_what_is_no_function_is_refused():
    with pytest.raises(UsageError, match="criterion: got a int, wanted a name, a Criterion or a f"):
        score(3, weights={"w": torch.ones(2)})
    with pytest.raises(
        UsageError, match="'dict': its parameters cannot be read; pass a Python fun"
    ):
        Criterion(dict)


@pytest.mark.parametrize(
    ("needed", "repair"),
    [
        ("weights", r"weights=\{name: tensor\}, or model="),
        ("initial", r"initial=\{name: tensor\}, the weights at initialisation"),
        ("generator", r"generator=torch.Generator\(\).manual_seed\(0\)"),
        ("model", "model=, an nn.Module"),
        ("batches", r"batches=\[\(x, y\), …\], a DataLoader or another iterable of batches"),
        ("batch", r"batches=\[\(x, y\), …\], of which it sees the first"),
        ("loss", r"loss=, a function \(output, target\) → scalar"),
        ("input_shape", r"input_shape=\(3, 32, 32\), the shape of one example, or batches= of"),
    ],
)
def test_what_is_missing_is_named_with_its_repair(needed, repair):
    function = eval(f"lambda {needed}, mask: 1 / 0")
    given = {"batch_loss": lambda model, batch: 0} if needed == "loss" else {}
    names = " and ".join(name for name in ALL if name in ("mask", needed))
    with pytest.raises(UsageError, match=f"needs {names}, and got no {needed}: pass {repair}"):
        score(function, mask={"w": torch.ones(2, dtype=torch.bool)}, **given)


def test_the_built_in_ones_say_what_they_need():
    mask = {"w": torch.ones(2, dtype=torch.bool)}
    with pytest.raises(
        UsageError, match="criterion 'random' needs mask and generator, and got no g"
    ):
        score("random", mask=mask)
    with pytest.raises(
        UsageError, match="'snip' needs mask, model, batches and batch_loss, and got"
    ):
        score("snip", mask=mask)
    with pytest.raises(
        UsageError, match="'synflow' needs mask, model and input_shape, and got no i"
    ):
        score("synflow", mask=all_kept(mlp(3, 2)), model=mlp(3, 2))
    with pytest.raises(
        UsageError, match=r"which parameters to score\? Pass mask=PruningMask\(mode"
    ):
        score("snip", model=mlp(3, 2), batches=pairs(3))
    with pytest.raises(
        UsageError, match="loss and batch_loss say the same thing; pass one of them"
    ):
        score("magnitude", weights={}, loss=len, batch_loss=len)


ONES = torch.ones(2, dtype=torch.bool)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mask": [ONES]}, r"mask: got a list, wanted \{name: bool tensor\}"),
        ({"mask": {}}, "mask: it names no parameter, so there is nothing to score"),
        ({"mask": {"w": torch.ones(2)}}, "mask: 'w' is torch.float32, wanted a bool tensor"),
        ({"mask": {"w": None}}, "mask: 'w' is NoneType, wanted a bool tensor"),
        ({"weights": [1]}, r"weights: got a list, wanted \{name: tensor\}"),
        ({"weights": {"v": ONES}}, "weights: no 'w', which is to be scored; valid: v"),
        ({"weights": {"w": 3}}, "weights: 'w' is a int, wanted a tensor"),
        ({"weights": {"w": torch.ones(3)}}, r"weights: 'w' has shape \(3,\), its mask has \(2,\)"),
        ({"initial": {}}, "initial: no 'w', which is to be scored"),
        ({"initial": {"w": torch.ones(3)}}, r"initial: 'w' has shape \(3,\), its mask has \(2,\)"),
        ({"model": "LeNet"}, "model: got a str, wanted an nn.Module"),
        ({"model": nn.Linear(1, 1)}, "the model has no parameter 'w', which the mask names"),
        (
            {"model": nn.Linear(1, 1), "mask": {"bias": ONES}},
            r"model: 'bias' has shape \(1,\), its mask has \(2,\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    weights = {"w": torch.ones(2)}
    with pytest.raises(UsageError, match=message):
        score("magnitude", **{"mask": {"w": ONES}, "weights": weights, **given})


def test_weights_that_do_not_fit_the_model_are_refused():
    model = mlp(3, 2)
    given = {"model": model, "mask": all_kept(model), "batches": pairs(3, num_classes=2)}
    state = model.state_dict()
    with pytest.raises(
        UsageError, match=r"weights: the model has no '0.biass'; did you mean '0.bias"
    ):
        score("snip", weights={**state, "0.biass": state["0.bias"]}, **given)
    with pytest.raises(
        UsageError, match=r"weights: '0.bias' has shape \(3,\), the model has \(2,\)"
    ):
        score("snip", weights={**state, "0.bias": torch.ones(3)}, **given)


def test_generators_are_on_the_cpu():
    class Elsewhere:
        device = torch.device("cuda:0")

    with pytest.raises(UsageError, match="generator: it is on cuda:0, wanted one on the CPU"):
        score("random", mask={"w": ONES}, generator=Elsewhere())


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (None, r"got a NoneType, wanted \{name: tensor\}"),
        (torch.ones(2), r"got a Tensor, wanted \{name: tensor\}"),
        ({}, "no 'w', which is to be scored"),
        ({"v": torch.ones(2)}, "no 'w', which is to be scored; valid: v"),
        (
            {"w": torch.ones(2), "v": torch.ones(2)},
            "for 'v', which is not to be scored; return only those of 'w'",
        ),
        ({"w": torch.ones(2, 1)}, r"'w' has shape \(2, 1\), its mask has \(2,\)"),
        ({"w": [1.0, 2.0]}, "'w' is a list, wanted a tensor"),
        ({"w": ONES}, "of 'w' are torch.bool, wanted real numbers"),
        ({"w": torch.ones(2) * 1j}, "of 'w' are torch.complex64, wanted real numbers"),
        (
            {"w": torch.tensor([1.0, float("nan")])},
            r"of 'w' contain NaN \(1 of 2\); look for a division by zero, or weights or a loss",
        ),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores, message):
    def mine(mask):
        return scores

    with pytest.raises(UsageError, match=rf"criterion 'mine': scores:? {message}"):
        score(mine, mask={"w": ONES})


def test_whole_numbers_and_infinities_are_scores():
    scores = {"w": torch.tensor([3, -1]), "v": torch.tensor([float("-inf"), 0.0])}
    found = score(lambda mask: scores, mask={"v": ONES, "w": ONES})
    assert {name: values.tolist() for name, values in found.items()} == {
        "v": [-float("inf"), 0.0],
        "w": [3, -1],
    }
    assert list(found) == ["v", "w"]


def test_a_nan_loss_is_not_silent():
    model = mlp(3, 4, 3)
    for name in ("saliency", "snip", "grasp"):
        with pytest.raises(UsageError, match=r"contain NaN .* a loss that are not finite"):
            score(
                name,
                model=model,
                mask=all_kept(model),
                batches=pairs(3),
                loss=lambda output, target: output.sum() * float("nan"),
            )


def test_a_mask_elsewhere_than_the_model():
    """Scores come back where the mask is."""
    mask = {"w": torch.ones(2, dtype=torch.bool, device="meta")}
    scores = score(lambda mask: {"w": torch.ones(2)}, mask=mask)
    assert scores["w"].device.type == "meta"
