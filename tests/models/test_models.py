import pytest
import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import prunable_sizes
from lottery_ticket.models import MODELS, build, model_options, register_model

# name, options, parameters, prunable weights, shape of one example
COUNTS = [
    ("LeNet300", {}, 266_610, 266_200, (1, 28, 28)),
    ("LeNet5", {}, 61_706, 61_470, (1, 28, 28)),
    ("Conv2", {}, 202_570, 202_432, (3, 32, 32)),
    ("Conv4", {}, 342_090, 341_696, (3, 32, 32)),
    ("Conv6", {}, 1_186_378, 1_185_472, (3, 32, 32)),
    ("Conv2", {"form": "paper"}, 4_301_642, 4_300_992, (3, 32, 32)),
    ("Conv4", {"form": "paper"}, 2_425_930, 2_425_024, (3, 32, 32)),
    ("Conv6", {"form": "paper"}, 2_262_602, 2_261_184, (3, 32, 32)),
    ("MLP", {"input_size": 64, "num_classes": 10}, 17_610, 17_400, (64,)),
]


@pytest.mark.parametrize(("name", "options", "parameters", "weights", "shape"), COUNTS)
def test_counts(name, options, parameters, weights, shape):
    model = build(name, 0, **options)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert sum(prunable_sizes(model).values()) == weights
    assert model(torch.zeros(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(("name", "parameters"), [(n, p) for n, _, p, _, _ in COUNTS[:8]])
def test_docstrings_tell_the_true_counts(name, parameters):
    doc = " ".join(MODELS[name].__doc__.split())
    assert f"{parameters:,}" in doc


def test_prunable_layers():
    assert prunable_sizes(build("LeNet300", 0)) == {
        "fc1.weight": 235_200,
        "fc2.weight": 30_000,
        "fc3.weight": 1_000,
    }
    assert list(prunable_sizes(build("Conv2", 0, form="paper"))) == [
        "features.0.weight",
        "features.2.weight",
        "classifier.0.weight",
        "classifier.2.weight",
        "classifier.4.weight",
    ]


def check_depends_on_the_seed_alone(build_fn):
    state = torch.get_rng_state()
    one = build_fn("LeNet5", 1)
    assert torch.equal(torch.get_rng_state(), state), "the caller's random state moved"
    torch.rand(3)
    again, other = build_fn("LeNet5", 1).state_dict(), build_fn("LeNet5", 2).state_dict()
    for name, value in one.state_dict().items():
        assert torch.equal(value, again[name])
        assert not torch.equal(value, other[name])


def test_depends_on_the_seed_alone():
    check_depends_on_the_seed_alone(build)


def no_seed(name, seed):
    with torch.random.fork_rng(devices=[]):
        return MODELS[name]()


def seeds_the_caller(name, seed):
    torch.manual_seed(seed)
    return MODELS[name]()


def one_seed_for_all(name, seed):
    return build(name, 0)


@pytest.mark.parametrize("mutant", [no_seed, seeds_the_caller, one_seed_for_all])
def test_other_seedings_are_caught(mutant):
    with torch.random.fork_rng(devices=[]), pytest.raises(AssertionError):
        check_depends_on_the_seed_alone(mutant)


def test_initial_weights_are_pytorchs_default():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        wanted = nn.Linear(784, 300)
    found = build("LeNet300", 5)
    assert torch.equal(found.fc1.weight, wanted.weight)
    assert torch.equal(found.fc1.bias, wanted.bias)


def test_the_net_is_what_it_says():
    model = build("MLP", 0, input_size=4, num_classes=2, hidden=[3], activation="tanh")
    x = torch.randn(5, 2, 2, generator=torch.Generator().manual_seed(0))
    hidden = torch.tanh(x.flatten(1) @ model[1].weight.T + model[1].bias)
    torch.testing.assert_close(model(x), hidden @ model[3].weight.T + model[3].bias)
    lenet = build("LeNet300", 0, input_size=4, hidden=[3, 2], num_classes=7)
    relu = torch.relu(x.flatten(1) @ lenet.fc1.weight.T + lenet.fc1.bias)
    relu = torch.relu(relu @ lenet.fc2.weight.T + lenet.fc2.bias)
    torch.testing.assert_close(lenet(x), relu @ lenet.fc3.weight.T + lenet.fc3.bias)


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("LeNet30", {}, "unknown model 'LeNet30'; did you mean 'LeNet300'?"),
        ("Conv4", {"frm": "paper"}, "'Conv4' has no option 'frm'; did you mean 'form'?"),
        ("Conv4", {"form": "papr"}, "form 'papr'; valid: compact (one linear layer), paper"),
        ("LeNet300", {"hidden": [1]}, "hidden takes two widths, got [1]"),
        ("MLP", {"input_size": 1, "num_classes": 1, "activation": "elu"}, "valid: relu, tanh"),
    ],
)
def test_wrong_names_and_options(name, options, problem):
    with pytest.raises(UsageError) as caught:
        build(name, 0, **options)
    assert problem in str(caught.value)


def test_options():
    found = {name: option.default for name, option in model_options("LeNet300").items()}
    assert found == {"input_size": 784, "num_classes": 10, "hidden": (300, 100)}


def test_a_users_model(monkeypatch):
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))  # forgotten afterwards

    @register_model("my-net")
    def my_net(width: int = 3) -> nn.Module:
        return nn.Linear(width, 1)

    assert "my-net" in MODELS.user_entries()
    assert prunable_sizes(build("my-net", 0, width=5)) == {"weight": 5}
    with pytest.raises(UsageError, match="model 'Conv4' is already registered"):
        register_model("Conv4")(my_net)
