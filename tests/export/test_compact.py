"""A compacted net gives the outputs of the masked one, and nothing idle is left in it."""

import copy
import dataclasses
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import Phase, given, settings
from pruned_nets import a_residual_net, branched, convolutional, images, mlp, nets, zeroed_
from torch import nn

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.export import Compacted, Widths, compact
from lottery_ticket.export.compaction.flow import flow_of
from lottery_ticket.export.compaction.narrow import narrow_
from lottery_ticket.graphs.trace import trace
from lottery_ticket.masks import PruningMask, prunable_parameters, select_at
from lottery_ticket.models import build

LAW = {"deadline": None, "derandomize": True, "database": None}


def close(found, wanted):
    """float32 sums in another order: 1e-4 of the largest output."""
    atol = 1e-4 * max(1.0, float(wanted.abs().max()))
    torch.testing.assert_close(found, wanted, rtol=0, atol=atol)


def layers_of(model):
    return [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d)) and not is_deep(m)]


def is_deep(layer):
    return getattr(layer, "groups", 1) > 1


@torch.no_grad()
def check_outputs(compact, net):
    """Law 10: equal outputs on inputs that it has not seen, in batches of other sizes."""
    before = copy.deepcopy(net.state_dict())
    smaller = compact(net, images()).model
    assert not smaller.training
    for count in (1, 3):
        x = images(count, seed=count)
        close(smaller(x), net(x))
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)


def check_minimal(compact, net):
    """In a chain of layers, every hidden unit reads something and is read; one always stays."""
    layers = layers_of(compact(net, images()).model)
    for layer, reader in pairwise(layers):
        if len(layer.weight) == 1:
            continue
        is_alive = (layer.weight != 0).flatten(1).any(1)
        read = (reader.weight != 0).flatten(2).any(2) if reader.weight.ndim > 2 else reader.weight
        is_read = (read.view(len(read), len(layer.weight), -1) != 0).any(2).any(0)
        assert is_alive.all()
        assert is_read.all()


def compacted_with(change):
    """A compaction that sees another flow."""

    def mutant(net, example):
        followed = trace(copy.deepcopy(net).eval(), example)
        narrow_(followed.module, change(flow_of(followed)), gather_inputs=True)
        return Compacted(followed.module, {}, {}, 0.0)

    return mutant


@compacted_with
def forgets_constants(flow):
    zeros = {node: torch.zeros_like(value) for node, value in flow.constants.items()}
    return dataclasses.replace(flow, constants=zeros)


@compacted_with
def keeps_everything(flow):
    ones = {node: torch.ones_like(kept) for node, kept in flow.is_kept.items()}
    return dataclasses.replace(flow, is_kept=ones)


def ignores_borders(net, example):
    found = compact(net, example)
    for name, value in found.model.named_buffers():
        if name.endswith("_constants"):
            value.copy_(value.mean((2, 3), keepdim=True).expand_as(value))
    return found


def picks_other_inputs(net, example):
    found = compact(net, example)
    for name, value in found.model.named_buffers():
        if name.endswith("_inputs"):
            value.copy_(value.flip(0))
    return found


few_or_many = pytest.mark.parametrize("num_nets", [15, pytest.param(200, marks=pytest.mark.slow)])


def holds(check, compact, kinds, num_nets, phases=tuple(Phase)):
    @settings(**LAW, max_examples=num_nets, phases=phases)
    @given(nets(kinds))
    def law(net):
        check(compact, net)

    law()


@few_or_many
@pytest.mark.parametrize("kind", [mlp, convolutional, branched])
def test_outputs_are_equal(kind, num_nets):
    holds(check_outputs, compact, [kind], num_nets)


@few_or_many
@pytest.mark.parametrize("kind", [mlp, convolutional])
def test_every_unit_that_is_left_is_alive_and_read(kind, num_nets):
    holds(check_minimal, compact, [kind], num_nets)


@pytest.mark.parametrize(
    ("check", "mutant", "kind"),
    [
        (check_outputs, forgets_constants, mlp),
        (check_outputs, ignores_borders, convolutional),
        (check_outputs, picks_other_inputs, mlp),
        (check_minimal, keeps_everything, mlp),
        (check_minimal, keeps_everything, convolutional),
    ],
)
def test_other_compactions_are_caught(check, mutant, kind):
    with pytest.raises(AssertionError):
        holds(check, mutant, [kind], 300, [Phase.generate])


@few_or_many
def test_compacting_again_removes_nothing(num_nets):
    def check(compact, net):
        assert not compact(compact(net, images()).model, images()).removed

    holds(check, compact, [mlp, convolutional, branched], num_nets)


def masked(name, structure="unstructured", density=0.1, ignored="", **options):
    """A registered model with a mask by magnitude, and biases and norms as if it were trained."""
    model = build(name, 0, **options)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if key.endswith(("bias", "running_mean")):
                value.normal_(0, 0.1, generator=generator)
    weights = {key: value for key, value in prunable_parameters(model).items() if key != ignored}
    ones = {key: torch.ones_like(value, dtype=torch.bool) for key, value in weights.items()}
    scores = {key: value.detach().abs() for key, value in weights.items()}
    mask = select_at(
        scores, PruningMask.from_tensors(ones), density=density, scope="global", structure=structure
    )
    with torch.no_grad():
        for key, kept in mask.items():
            weights[key] *= kept
    return model.eval()


REGISTERED = {
    "LeNet300": ({"density": 0.02}, (1, 28, 28)),
    "LeNet5": ({"density": 0.02}, (1, 28, 28)),
    "Conv4": ({"density": 0.01}, (3, 32, 32)),
    "ResNet20": ({"shortcut": "A", "density": 0.02, "width": 0.5}, (3, 16, 16)),
    "ResNet32": ({"shortcut": "B", "density": 0.02, "width": 0.5}, (3, 16, 16)),
    "VGG11": ({"form": "cifar", "width": 0.25, "density": 0.01}, (3, 32, 32)),
    "VGG13": ({"width": 0.05, "density": 0.02}, (3, 64, 64)),
    "ResNet18": (
        {"stem": "cifar", "width": 0.125, "structure": "channel", "density": 0.5},
        (3, 16, 16),
    ),
}


@pytest.mark.parametrize("name", REGISTERED)
def test_registered_models_become_smaller(name):
    options, shape = REGISTERED[name]
    model, x = masked(name, **options), torch.randn(3, *shape)
    found = compact(model, x)
    with torch.no_grad():
        close(found.model(x), model(x))
        assert found.max_difference == float((found.model(x) - model(x)).abs().max())
    assert found.removed
    before, after = (sum(p.numel() for p in m.parameters()) for m in (model, found.model))
    assert after < before
    added = set(found.model.state_dict()) - set(model.state_dict())
    assert all(key.endswith(("_inputs", "_constants", ".bias")) for key in added)


def test_a_filter_pruned_conv4_has_half_the_channels():
    model = masked("Conv4", "channel", 0.5, ignored="classifier.weight")
    for layer in model.features:
        if isinstance(layer, nn.Conv2d):  # global selection prunes layers unevenly
            dead = torch.randperm(len(layer.weight))[: len(layer.weight) // 2]
            layer.weight.data = (
                build("Conv4", 0)
                .get_submodule("features.0")
                .weight.new_empty(layer.weight.shape)
                .normal_(0, 0.05)
            )
            layer.weight.data[dead] = 0.0
    x = torch.randn(2, 3, 32, 32)
    found = compact(model, x)
    assert found.removed == {
        "features.0": Widths((3, 3), (64, 32)),
        "features.2": Widths((64, 32), (64, 32)),
        "features.5": Widths((64, 32), (128, 64)),
        "features.7": Widths((128, 64), (128, 64)),
        "classifier": Widths((8192, 4096), (10, 10)),
    }
    assert found.left_alone == {}
    with torch.no_grad():
        close(found.model(x), model(x))


def test_a_compacted_net_is_a_plain_module():
    """It is copied and exported; in test_consumers it is loaded without this package."""
    net = a_residual_net()
    x = images(2)
    found = compact(net, x).model
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(found, (x,), dynamic_shapes=(batch,))
    with torch.no_grad():
        wanted = found(x)
        close(program.module()(x[:1]), wanted[:1])
        assert torch.equal(copy.deepcopy(found)(x), wanted)


def test_a_chain_by_hand():
    """Unit 0 lives, 1 is constant, 2 is not read; input 1 is read by 2 alone."""
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1)).eval()
    net[0].weight.data = torch.tensor([[1.0, 0, 2.0], [0, 0, 0], [0, 5.0, 0]])
    net[0].bias.data = torch.tensor([0.5, 0.25, 7.0])
    net[2].weight.data, net[2].bias.data = torch.tensor([[3.0, 4.0, 0.0]]), torch.tensor([1.0])
    found = compact(net, torch.randn(5, 3))
    state = found.model.state_dict()
    assert state["0.weight"].tolist() == [[1.0, 2.0]]
    assert state["2.weight"].tolist() == [[3.0]]
    assert state["2.bias"].tolist() == [2.0]  # 1 + 4 · relu(0.25)
    assert state["_0_inputs"].tolist() == [0, 2]
    assert found.removed == {"0": Widths((3, 2), (3, 1)), "2": Widths((3, 1), (1, 1))}
    whole = compact(net, torch.randn(5, 3), gather_inputs=False)
    assert whole.removed["0"] == Widths((3, 3), (3, 1))


class Gated(nn.Module):
    """A net, with something done to its hidden units."""

    def __init__(self, do):
        super().__init__()
        self.first, self.second, self.do = nn.Linear(4, 6), nn.Linear(6, 2), do

    def forward(self, x):
        return self.second(self.do(self, self.first(x)))


class Switched(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def reads_later(net, x):
    y = 2 * x
    x.relu_()
    return x + y + x


NOT_FOLLOWED = {
    "by the batch": (lambda net, x: x / x.size(0), "truediv is not followed"),
    "softmax": (lambda net, x: x.softmax(1), "softmax is not followed"),
    "transpose": (lambda net, x: x.t().contiguous().t(), "t is not followed"),
    "layer_norm": (lambda net, x: F.layer_norm(x, (6,)), "layer_norm is not followed"),
    "dropout": (lambda net, x: F.dropout(x, 0.0), "dropout is not followed"),
    "sorted": (lambda net, x: x.sort(1)[0], "sort is not followed"),
    "in place": (reads_later, "relu_ writes into it, and others read it later"),
    "functional": (lambda net, x: F.linear(x, net.second.weight.t() @ net.second.weight), "linear"),
}


@pytest.mark.parametrize("name", NOT_FOLLOWED)
def test_what_is_not_followed_is_left_alone_and_named(name):
    do, reason = NOT_FOLLOWED[name]
    net = zeroed_(Gated(do), 0, 1.0, None)
    net.first.weight.data[1] = 0
    x = torch.randn(4, 4)
    found = compact(net, x)
    with torch.no_grad():
        close(found.model(x), net(x))
    assert not found.removed
    assert any(reason in text for text in found.left_alone.values())
    if name != "in place":
        assert found.left_alone["first"].startswith("1 of 6 do nothing, but meet ")


def hooked(net):
    net.first.register_forward_hook(lambda module, args, output: 2 * output)


def called_twice(net):
    net.do = lambda net, x: net.first(x[:, :4])


def tied(net):
    net.second = nn.Linear(6, 4)
    net.third = nn.Linear(4, 6)
    net.third.weight = net.first.weight
    net.do = lambda net, x: net.third(x[:, :4])


@pytest.mark.parametrize("change", [hooked, called_twice, tied])
def test_layers_that_are_not_their_own_are_left_alone(change):
    net = Gated(lambda net, x: x.relu())
    change(net)
    zeroed_(net, 0, 1.0, None)
    net.first.weight.data[1] = 0
    x = torch.randn(4, 4)
    found = compact(net, x)
    with torch.no_grad():
        close(found.model(x), net(x))
    assert "first" not in found.removed
    assert "first" in found.left_alone


def test_a_module_that_cannot_be_followed_is_called_as_it_is():
    net = nn.Sequential(nn.Linear(4, 6), Switched(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    zeroed_(net, 0, 1.0, None)
    net[0].weight.data[1] = net[2].weight.data[1] = 0
    x = torch.randn(4, 4)
    found = compact(net, x)
    assert found.removed["2"] == Widths((6, 6), (5, 4))
    assert found.left_alone["1"].startswith("its code cannot be followed")
    assert found.left_alone["0"] == "1 of 6 do nothing, but meet _1, which is not followed"
    with torch.no_grad():
        close(found.model(-x), net(-x))


class Takes(nn.Module):
    """Two layers, the first with a dead unit, by what its forward takes and does."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.norm = nn.BatchNorm1d(6, affine=False)

    def forward(self, x, return_features=False, *, scale=2.0):
        features = self.first(x).relu()
        return features if return_features else self.third(features) * scale


class TakesMany(Takes):
    def forward(self, *xs, **more):
        return self.third(self.first(xs[0] + xs[1]).relu())


class NormsTwice(Takes):
    def forward(self, x):
        return self.third(self.norm(self.second(self.norm(self.first(x)).relu())).relu())


class Reshapes(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.third = nn.Conv2d(3, 6, 3), nn.Linear(6 * 16, 3)

    def forward(self, x):
        x = self.first(x).relu()
        return self.third(torch.reshape(input=x, shape=(x.shape[0], -1)))


class Joins(Takes):
    def __init__(self):
        super().__init__()
        self.third = nn.Linear(12, 3)

    def forward(self, x):
        return self.third(torch.cat(tensors=[self.first(x), self.second(x)], dim=1))


@pytest.mark.parametrize(
    ("net", "inputs", "is_narrowed"),
    [
        (Takes(), (torch.randn(5, 6),), True),
        (TakesMany(), (torch.randn(5, 6), torch.randn(5, 6)), True),
        (Joins(), (torch.randn(5, 6),), True),
        (Reshapes(), (torch.randn(5, 3, 6, 6),), True),
        (NormsTwice(), (torch.randn(5, 6),), False),
    ],
)
def test_other_ways_to_write_a_forward(net, inputs, is_narrowed):
    net = zeroed_(net, 0, 1.0, None)
    net.first.weight.data[1] = 0
    found = compact(net, inputs)
    with torch.no_grad():
        close(found.model(*inputs), net(*inputs))
    before, after = found.removed.get("first", Widths((6, 6), (6, 6))).outputs
    assert (after < before) == is_narrowed
    assert is_narrowed or found.left_alone["norm"] == "it is called more than once"


def test_joined_channels_that_stay_are_named():
    net = zeroed_(nn.Sequential(nn.Conv2d(3, 2, 1), Around()), 0, 1.0, None)
    net[1].layer.weight.data[1] = 0
    found = compact(net, images())
    assert found.left_alone == {}  # it is an output
    deeper = nn.Sequential(*net, nn.Conv2d(2, 2, 1)).eval()
    found = compact(deeper, images())
    assert found.left_alone == {"1.layer": "1 of 2 do nothing, but are joined to others"}


class Around(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        return x + self.layer(x)


@pytest.mark.parametrize(
    ("net", "example", "message"),
    [
        (Switched(), torch.ones(2, 3), "Switched: its forward cannot be followed"),
        (nn.Linear(3, 2), torch.ones(2, 4), r"does not run on the example of shape \(1?2?, 4\)"),
        (nn.Linear(3, 2), [1, 2], "wanted a batch of inputs as a tensor, or a tuple"),
        (nn.Linear(3, 2), torch.ones(0, 3), "wanted a batch of inputs"),
    ],
)
def test_bad_input_is_refused(net, example, message):
    with pytest.raises(UsageError, match=message):
        compact(net, example)


class Counting(nn.Module):
    """Gives something else at every call."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return x + self.calls


def test_a_net_that_depends_on_more_than_its_inputs_is_refused():
    with pytest.raises(LotteryError, match="that rounding explains"):
        compact(Counting(), torch.ones(2, 3))


def test_several_inputs_and_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right, self.out = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(4, 1)

        def forward(self, x, y):
            z = F.relu(self.left(x) - self.right(y))
            return {"z": self.out(z), "left": self.left(x)}

    net = zeroed_(Two(), 0, 0.3, None)
    inputs = (torch.randn(5, 3), torch.randn(5, 2))
    found = compact(net, inputs)
    with torch.no_grad():
        for key, value in net(*inputs).items():
            close(found.model(*inputs)[key], value)
    with pytest.raises(UsageError, match="does not run on the example"):
        compact(net, inputs[0])
