"""Initial weights by name: each is the law it says, on every model, under a seed."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from lottery_ticket.errors import UsageError
from lottery_ticket.models import (
    INITIALIZERS,
    MODELS,
    build,
    initialize_,
    model_options,
    outline,
    register_model,
)

NAMES = ["pytorch", "glorot_normal", "kaiming_normal", "kaiming_uniform", "orthogonal"]


def varied():
    """Layers of every kind, with fans that tell the formulas apart."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(30, 60, 3),
            nn.BatchNorm2d(60),
            nn.Conv2d(60, 90, 5, groups=3, bias=False),
            nn.Conv1d(50, 100, 4),
            nn.Embedding(40, 30),
            nn.Linear(80, 240),
            nn.Linear(80, 240),
            nn.Conv3d(20, 40, 2),
            nn.ConvTranspose2d(40, 30, 3),
        )
        for parameter in net.parameters():
            nn.init.normal_(parameter, 3, 1)  # so that what is left as it was is seen
    return net


def layers_of(net):
    others = nn.BatchNorm2d | nn.Embedding
    return [m for m in net.modules() if hasattr(m, "weight") and not isinstance(m, others)]


# name → (standard deviation, largest absolute value) from fan_in and fan_out
LAWS = {
    "pytorch": lambda i, o: (1 / math.sqrt(3 * i), 1 / math.sqrt(i)),
    "glorot_normal": lambda i, o: (math.sqrt(2 / (i + o)), math.inf),
    "kaiming_normal": lambda i, o: (math.sqrt(2 / i), math.inf),
    "kaiming_uniform": lambda i, o: (math.sqrt(2 / i), math.sqrt(6 / i)),
}


def draw(initialize, init):
    net, before = varied(), varied()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        initialize(net, init)
    return net, before


def check_law(initialize, init):
    """Mean 0, the standard deviation of the formula, and the shape of a normal or a uniform."""
    net, _ = draw(initialize, init)
    for layer in layers_of(net):
        weight = layer.weight
        fan_in, fan_out = weight[0].numel(), weight[:, 0].numel()
        std, bound = LAWS[init](fan_in, fan_out)
        assert abs(weight.mean().item()) < 5 * std / math.sqrt(weight.numel())
        assert weight.std().item() == pytest.approx(std, rel=0.04)
        if math.isfinite(bound):
            assert 0.97 * bound < weight.abs().max().item() <= bound
        else:
            assert weight.abs().max().item() > 2.9 * std
            within = (weight.abs() < std).float().mean().item()
            assert within == pytest.approx(0.6827, abs=0.02)


def check_orthogonal(initialize, init):
    net, _ = draw(initialize, init)
    for layer in layers_of(net):
        rows = layer.weight.flatten(1)
        rows = rows if len(rows) <= rows.shape[1] else rows.T
        torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), atol=1e-5, rtol=0)


def check_the_rest(initialize, init):
    """Biases are 0 (PyTorch's are drawn), norms and embeddings stay, no draw is used twice."""
    net, before = draw(initialize, init)
    for index in (1, 4):
        for one, other in zip(net[index].parameters(), before[index].parameters(), strict=True):
            assert torch.equal(one, other)
    for index in (0, 3, 5, 6, 7, 8):
        bias, bound = net[index].bias, 1 / math.sqrt(net[index].weight[0].numel())
        if init == "pytorch":
            assert 0.8 * bound < bias.abs().max().item() <= bound
        else:
            assert not bias.any()
    assert not torch.equal(net[5].weight, net[6].weight)
    again, _ = draw(initialize, init)
    for one, other in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


CHECKS = {name: [check_law, check_the_rest] for name in LAWS} | {
    "orthogonal": [check_orthogonal, check_the_rest]
}


def check_all(initialize, init):
    for check in CHECKS[init]:
        check(initialize, init)


@pytest.mark.parametrize("init", NAMES)
def test_laws(init):
    check_all(initialize_, init)


def test_every_initializer_is_tested():
    assert list(INITIALIZERS) == NAMES == list(CHECKS)


def does_nothing(net, init):
    pass


def counts_fans_the_other_way_round(net, init):
    initialize_(net, init)
    for layer in layers_of(net):
        other = torch.empty(layer.weight.transpose(0, 1).shape)
        INITIALIZERS[init](other, None)
        layer.weight.data = other.transpose(0, 1).contiguous()


def a_twentieth_too_wide(net, init):
    initialize_(net, init)
    for layer in layers_of(net):
        layer.weight.data *= 1.05


def constant_biases(net, init):
    initialize_(net, init)
    for layer in layers_of(net):
        if layer.bias is not None:
            nn.init.constant_(layer.bias, 0.5)


def resets_norms(net, init):
    initialize_(net, init)
    net[1].reset_parameters()


def draws_embeddings(net, init):
    initialize_(net, init)
    nn.init.normal_(net[4].weight)


def same_draws_for_every_layer(net, init):
    for layer in net:
        torch.manual_seed(7)
        if layers_of(layer):
            initialize_(layer, init)


def linear_layers_alone(net, init):
    initialize_(nn.ModuleList(m for m in net if isinstance(m, nn.Linear)), init)


def another_seed_each_time(net, init):
    torch.seed()
    initialize_(net, init)


@pytest.mark.parametrize("init", NAMES)
@pytest.mark.parametrize(
    "mutant",
    [
        does_nothing,
        a_twentieth_too_wide,
        constant_biases,
        resets_norms,
        draws_embeddings,
        same_draws_for_every_layer,
        linear_layers_alone,
        another_seed_each_time,
    ],
)
def test_other_laws_are_caught(mutant, init):
    with pytest.raises(AssertionError):
        check_all(mutant, init)


@pytest.mark.parametrize("init", ["pytorch", "kaiming_normal", "kaiming_uniform"])
def test_other_fans_are_caught(init):
    with pytest.raises(AssertionError):
        check_law(counts_fans_the_other_way_round, init)


@pytest.mark.parametrize("init", NAMES)
def test_laws_are_told_apart(init):
    for other in set(NAMES) - {init}:
        with pytest.raises(AssertionError):
            check_all(lambda net, _, other=other: initialize_(net, other), init)


def check_draws_on_the_cpu(initialize):
    """The CPU's generator is used the same way, wherever the model is."""
    states = []
    for model in (build("LeNet5", 0), outline("LeNet5")):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            before = torch.get_rng_state()
            initialize(model, "glorot_normal")
            states.append(torch.get_rng_state())
            assert not torch.equal(before, states[-1])
    assert torch.equal(*states)


def test_draws_are_made_on_the_cpu():
    check_draws_on_the_cpu(initialize_)


def test_draws_on_the_models_device_are_caught():
    def on_its_own_device(model, init):
        for layer in layers_of(model):
            nn.init.uniform_(layer.weight)

    with pytest.raises(AssertionError):
        check_draws_on_the_cpu(on_its_own_device)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_keeps_the_type_of_the_weights(dtype):
    net = nn.Linear(50, 40).to(dtype)
    initialize_(net, "kaiming_normal")
    assert net.weight.dtype == net.bias.dtype == dtype
    assert net.weight.requires_grad
    assert net.weight.grad_fn is None


def test_pytorchs_default_is_what_the_small_nets_start_from():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        wanted = nn.Linear(784, 300)
    found = build("LeNet300", 5)
    assert torch.equal(found.fc1.weight, wanted.weight)
    assert torch.equal(found.fc1.bias, wanted.bias)
    one, other = nn.Conv2d(4, 6, 3), nn.Conv2d(4, 6, 3)
    for redraw in (lambda: initialize_(one, "pytorch"), other.reset_parameters):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            redraw()
    assert same(one, other)


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(value, other_value) for value, other_value in pairs)


FAST = {"VGG11": {"form": "cifar"}, "MLP": {"input_size": 4}}
SMALL = ["LeNet300", "LeNet5", "MLP", "Conv2", "ResNet20", "VGG11"]


@pytest.mark.parametrize("name", SMALL)
def test_build_takes_it_for_every_model(name):
    options = {**FAST.get(name, {}), "num_classes": 10}
    own = build(name, 3, **options)
    assert same(own, build(name, 3, init=None, **options))
    found = build(name, 3, init="glorot_normal", **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        wanted = MODELS[name](**options)
        initialize_(wanted, "glorot_normal")
    assert same(found, wanted)
    assert not same(found, own)


def check_depends_on_the_seed_alone(build_fn):
    state = torch.get_rng_state()
    one = build_fn("LeNet5", 1, init="orthogonal").state_dict()
    assert torch.equal(torch.get_rng_state(), state), "the caller's random state moved"
    torch.rand(3)
    again = build_fn("LeNet5", 1, init="orthogonal").state_dict()
    other = build_fn("LeNet5", 2, init="orthogonal").state_dict()
    for name, value in one.items():
        assert torch.equal(value, again[name])
        assert name.endswith("bias") or not torch.equal(value, other[name])


def initialised_outside(name, seed, init):
    model = build(name, seed)
    initialize_(model, init)
    return model


def seeds_the_caller(name, seed, init):
    torch.manual_seed(seed)
    return initialised_outside(name, seed, init)


def one_seed_for_all(name, seed, init):
    return build(name, 0, init=init)


def test_depends_on_the_seed_alone():
    check_depends_on_the_seed_alone(build)


@pytest.mark.parametrize("mutant", [initialised_outside, seeds_the_caller, one_seed_for_all])
def test_other_seedings_are_caught(mutant):
    with torch.random.fork_rng(devices=[]), pytest.raises(AssertionError):
        check_depends_on_the_seed_alone(mutant)


@pytest.mark.parametrize("make", [lambda init: build("LeNet5", 0, init=init),
                                  lambda init: outline("LeNet5", init=init),
                                  lambda init: initialize_(nn.Linear(2, 2), init)])  # fmt: skip
@pytest.mark.parametrize(
    ("init", "problem"),
    [
        ("glorot_norml", "unknown init 'glorot_norml'; did you mean 'glorot_normal'?"),
        ("x", "unknown init 'x'; valid: glorot_normal, kaiming_normal, kaiming_uniform, orth"),
        (3, "unknown init 3; valid: glorot_normal"),
        (["pytorch"], "unknown init ['pytorch']"),
    ],
)
def test_unknown_names(make, init, problem):
    with pytest.raises(UsageError) as caught:
        make(init)
    assert problem in str(caught.value)


def test_where_it_could_have_no_effect():
    with pytest.raises(UsageError, match="no linear or convolutional layer is there"):
        initialize_(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3)), "orthogonal")
    computed = nn.Sequential(nn.Linear(3, 3), parametrizations.weight_norm(nn.Linear(3, 3)))
    before = computed[0].weight.clone()
    with pytest.raises(UsageError, match=r"1\.weight is computed, not a parameter of its own"):
        initialize_(computed, "orthogonal")
    assert torch.equal(computed[0].weight, before)


@pytest.fixture
def registered(forgotten):
    @register_model("plain")
    def plain(width: int = 3) -> nn.Module:
        return nn.Linear(width, 4)

    @register_model("own")
    def own(width: int = 3, init: float = 0.5) -> nn.Module:
        layer = nn.Linear(width, 4)
        nn.init.constant_(layer.weight, init)
        return layer

    @register_model("any")
    def any_(**options: float) -> nn.Module:
        return own(**options)

    return MODELS.user_entries()


def test_a_users_model_has_it_too(registered):
    assert model_options("plain")["init"].default is None
    assert not build("plain", 0, init="orthogonal").bias.any()
    assert build("plain", 0).bias.any()


@pytest.mark.parametrize("name", ["own", "any"])
def test_a_users_model_keeps_an_init_of_its_own(registered, name):
    assert (build(name, 0, init=2.5).weight == 2.5).all()
    assert (outline(name, width=9).weight.shape) == (4, 9)
    if name == "own":
        assert model_options(name)["init"].default == 0.5
        assert (build(name, 0).weight == 0.5).all()
