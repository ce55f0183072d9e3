"""Which models are recognised as plain chains of linear layers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.models import build
from lottery_ticket.train.direct.chain import ChainLayer, chain_of


def test_lenet_and_mlp_are_chains():
    assert chain_of(build("LeNet300", 0)) == [
        ChainLayer("fc1.weight", "fc1.bias", "relu"),
        ChainLayer("fc2.weight", "fc2.bias", "relu"),
        ChainLayer("fc3.weight", "fc3.bias", None),
    ]
    mlp = build("MLP", 0, input_size=2, num_classes=1, hidden=[3], activation="tanh")
    assert [layer.activation for layer in chain_of(mlp)] == ["tanh", None]


@pytest.mark.parametrize("name", ["LeNet5", "Conv2", "ResNet20"])
def test_convolutional_nets_are_not(name):
    assert chain_of(build(name, 0)) is None


class Net(nn.Module):
    """A chain, with something done to it."""

    def __init__(self, do=lambda self, x: x, between=None):
        super().__init__()
        self.first, self.second = nn.Linear(4, 3, bias=False), nn.Linear(3, 2)
        self.between = between or nn.ReLU(inplace=True)
        self.do = do

    def forward(self, x):
        return self.do(self, self.second(self.between(self.first(torch.flatten(x, 1)))))


def test_a_chain_of_ones_own():
    model = Net().eval()
    assert chain_of(model) == [
        ChainLayer("first.weight", None, "relu"),
        ChainLayer("second.weight", "second.bias", None),
    ]
    assert not model.training


def frozen(net):
    net.first.weight.requires_grad_(False)


def hooked(net):
    net.second.register_forward_hook(lambda *_: None)


def parametrised(net):
    nn.utils.parametrizations.weight_norm(net.first)


def buffered(net):
    net.register_buffer("scale", torch.ones(1))


def with_one_more(net):
    net.unused = nn.Linear(2, 2)


def hooked_on_a_parameter(net):
    net.first.weight.register_hook(lambda gradient: 2 * gradient)


def with_other_code(net):
    net.first.forward = lambda x: 2 * nn.Linear.forward(net.first, x)


def tied(net):
    net.first = net.second = nn.Linear(4, 4)


@pytest.mark.parametrize(
    "change",
    [
        frozen,
        hooked,
        hooked_on_a_parameter,
        with_other_code,
        parametrised,
        buffered,
        with_one_more,
        tied,
    ],
)
def test_a_changed_chain_is_none(change):
    net = Net()
    change(net)
    assert chain_of(net) is None


@pytest.mark.parametrize(
    "do",
    [
        lambda net, x: x * 2,
        lambda net, x: x + net.second.bias,
        lambda net, x: F.log_softmax(x, 1),
        lambda net, x: x if net.training else -x,
        lambda net, x: F.relu(F.relu(x)),
        lambda net, x: x if x.sum() > 0 else -x,
        lambda net, x: x.flatten(),
        lambda net, x: (x, x),
    ],
)
def test_whatever_else_is_computed_makes_it_none(do):
    assert chain_of(Net(do)) is None


@pytest.mark.parametrize(
    "between", [nn.Dropout(), nn.BatchNorm1d(3), nn.LeakyReLU(), nn.GELU(), nn.Linear(3, 3).double]
)
def test_other_modules_between_make_it_none(between):
    assert chain_of(Net(between=between if isinstance(between, nn.Module) else nn.SiLU())) is None


def test_a_subclass_of_linear_is_none():
    class Scaled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    assert chain_of(nn.Sequential(Scaled(3, 3))) is None


def test_a_layer_called_twice_is_none():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.last(F.relu(self.inner(F.relu(self.inner(x)))))

    assert chain_of(Twice()) is None
