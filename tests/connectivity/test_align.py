"""Laws of alignment: what is permuted computes the same, and a known permutation is found."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lottery_ticket.connectivity import Alignment, LinearPath, align
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask
from lottery_ticket.models import build

NETS = {
    "LeNet300": ({}, (1, 28, 28)),
    "MLP": ({"input_size": 20, "num_classes": 3, "hidden": [16] * 5}, (20,)),
    "LeNet5": ({}, (1, 28, 28)),
    "Conv4": ({"width": 0.25, "form": "paper"}, (3, 32, 32)),
    "VGG11": ({"width": 0.125, "form": "cifar"}, (3, 32, 32)),
    "ResNet20": ({"width": 0.5}, (3, 32, 32)),
    "ResNet20, A": ({"width": 0.5, "shortcut": "A"}, (3, 32, 32)),
    "ResNet18": ({"width": 0.125, "stem": "cifar"}, (3, 32, 32)),
    "ResNet50": ({"width": 0.0625, "stem": "cifar"}, (3, 32, 32)),
}


def net(name):
    """A net whose norms have statistics and weights of their own, and inputs of it."""
    options, shape = NETS[name]
    model = build(name.split(",")[0], 0, **options).eval()
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
    centred_(model, torch.randn(64, *shape))
    return model, torch.randn(4, *shape)


@torch.no_grad()
def centred_(model, inputs):
    """Let each unit fire for about half of the inputs: those that never do cannot be told apart."""

    def centre(module, args, output):
        mean = output.transpose(0, 1).flatten(1).mean(1)
        module.bias -= mean
        return output - mean.view(1, -1, *[1] * (output.ndim - 2))

    found = [module for module in model.modules() if getattr(module, "bias", None) is not None]
    hooks = [module.register_forward_hook(centre) for module in found]
    model(inputs)
    for hook in hooks:
        hook.remove()


def shuffled(found: Alignment, seed: int = 1) -> Alignment:
    """Another permutation of the same groups of units."""
    draws, moved = torch.Generator().manual_seed(seed), torch.arange(len(found.moved))
    for group in found.units.groups:
        order = torch.randperm(len(group.units), generator=draws)
        moved[group.units] = group.units[order]
    return replace(found, moved=moved)


def noisy(state, scale):
    torch.manual_seed(2)
    return {
        name: value + scale * value.abs().mean() * torch.randn_like(value)
        if value.is_floating_point()
        else value
        for name, value in state.items()
    }


def loaded(name, state):
    model, _ = net(name)
    model.load_state_dict(state)
    return model


def check_same_function(name, apply=Alignment.apply):
    """The law: a permuted net computes the same, and back again it is the net bit for bit."""
    model, x = net(name)
    known = shuffled(align(model, to=model, example=x))
    permuted = apply(known, model.state_dict())
    assert any(not torch.equal(permuted[n], value) for n, value in model.state_dict().items())
    given, wanted = x.double(), model.double()(x.double()).detach()
    found = loaded(name, permuted).double()(given)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6 * float(wanted.abs().max()))
    model.float()
    back = known.inverse.apply(permuted)
    assert all(torch.equal(back[n], value) for n, value in model.state_dict().items())


@pytest.mark.parametrize("name", NETS)
def test_a_permuted_net_computes_the_same(name):
    check_same_function(name)


@pytest.mark.parametrize("name", NETS)
def test_inputs_left_where_they_are_are_caught(name):
    def outputs_alone(known, state):
        made = known.apply(state)
        axes = known.units.axes
        return {
            n: made[n] if 1 not in axes.get(n, {}) else known_rows(known, n, v)
            for n, v in state.items()
        }

    def known_rows(known, name, value):
        axes = known.units.axes[name]
        return value.index_select(0, axes[0].index(known.moved)) if 0 in axes else value

    with pytest.raises(AssertionError):
        check_same_function(name, outputs_alone)


@pytest.mark.parametrize("name", ["VGG11", "ResNet20", "ResNet20, A"])
def test_statistics_left_where_they_are_are_caught(name):
    def without_buffers(known, state):
        made = known.apply(state)
        return made | {n: value for n, value in state.items() if "running" in n}

    with pytest.raises(AssertionError):
        check_same_function(name, without_buffers)


def check_found(name, by="weights", scale=0.01, how=align):
    """The law: a known permutation is found again, under a little noise."""
    model, x = net(name)
    torch.manual_seed(3)
    given = {"example": x} if by == "weights" else {"batches": [torch.randn(64, *x.shape[1:])] * 2}
    known = shuffled(align(model, to=model, example=x))
    other = noisy(known.apply(model.state_dict()), scale)
    found = how(other, to=model, by=by, **given)
    wanted = known.inverse.permutations
    assert {n: order.tolist() for n, order in found.permutations.items()} == {
        n: order.tolist() for n, order in wanted.items()
    }


@pytest.mark.parametrize("name", NETS)
def test_a_known_permutation_is_found_by_weights(name):
    check_found(name)


@pytest.mark.parametrize("name", ["LeNet300", "LeNet5", "ResNet20", "ResNet20, A"])
def test_a_known_permutation_is_found_by_activations(name):
    check_found(name, "activations", 1e-4)


@pytest.mark.parametrize("by", ["weights", "activations"])
def test_an_alignment_that_does_nothing_is_caught(by):
    def idle(*args, **options):
        found = align(*args, **options)
        return replace(found, moved=torch.arange(len(found.moved)))

    with pytest.raises(AssertionError):
        check_found("LeNet5", by, 1e-4, idle)


def test_the_wrong_way_round_is_caught():
    with pytest.raises(AssertionError):
        check_found("LeNet5", how=lambda *args, **options: align(*args, **options).inverse)


@pytest.mark.parametrize("by", ["weights", "activations"])
def test_a_net_is_aligned_to_itself(by):
    model, x = net("ResNet20")
    assert align(model, to=model, by=by, batches=[x]).num_moved == 0


def test_dead_units_stay_where_nothing_is_gained():
    model, x = net("LeNet5")
    with torch.no_grad():
        for part in (model.fc1.weight, model.fc1.bias, model.fc2.weight.T):
            part[:60] = 0
    for by in ("weights", "activations"):
        assert align(model, to=model, by=by, batches=[x]).num_moved == 0


def test_equal_inputs_give_equal_permutations():
    one, x = net("MLP")
    other = build("MLP", 5, **NETS["MLP"][0])
    state = torch.get_rng_state()
    found = [align(other, to=one, example=x, seed=seed).moved for seed in (0, 0)]
    assert torch.equal(*found)
    assert torch.equal(torch.get_rng_state(), state)


def test_groups_of_a_residual_stream():
    model, x = net("ResNet20")
    sizes = {n: len(order) for n, order in align(model, to=model, example=x).permutations.items()}
    assert len(sizes) == 12  # three streams, and within each of nine blocks one
    model, x = net("ResNet20, A")
    found = align(model, to=model, example=x)
    sizes = {n: len(order) for n, order in found.permutations.items()}
    # of 8, 16 and 32 channels: those of the stage before are a group, those that come another
    assert (sizes["conv1"], sizes["layer2.0.conv2"], sizes["layer3.0.conv2"]) == (8, 8, 16)
    assert list(found.fixed) == ["fc"]


def test_a_mask_moves_with_its_net():
    model, x = net("LeNet300")
    known = shuffled(align(model, to=model, example=x))
    mask = PruningMask.from_tensors(
        {n: torch.rand(p.shape) < 0.3 for n, p in model.named_parameters() if p.ndim > 1}
    )
    moved = known.apply(mask)
    assert isinstance(moved, PruningMask)
    assert {n: int(k.sum()) for n, k in moved.items()} == {n: int(k.sum()) for n, k in mask.items()}
    state = model.state_dict()
    masked = {n: v * mask[n] if n in mask else v for n, v in state.items()}
    permuted = known.apply(state)
    both = {n: v * moved[n] if n in moved else v for n, v in permuted.items()}
    torch.testing.assert_close(loaded("LeNet300", masked)(x), loaded("LeNet300", both)(x))


def test_ends_of_a_line_are_the_nets_bit_for_bit():
    one, x = net("LeNet5")
    other = build("LeNet5", 7)
    found = align(other, to=one, example=x)
    path = LinearPath(one.state_dict(), found.apply(other.state_dict()))
    assert all(torch.equal(path.at(0)[n], v) for n, v in one.state_dict().items())
    back = found.inverse.apply(path.at(1))
    assert all(torch.equal(back[n], v) for n, v in other.state_dict().items())


class Chunked(nn.Module):
    """Half of the units are added to the other half, and some are read in another order."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(5, 12)
        self.scale = nn.Parameter(torch.rand(1, 6) + 0.5)
        self.two = nn.Linear(6, 8)
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        x = self.one(x)
        x = torch.relu(x[:, :6] * self.scale + x[:, 6:])
        return self.out(torch.tanh(self.two(x)).flip(1))


def test_units_that_are_added_move_together():
    torch.manual_seed(0)
    model, x = Chunked().eval(), torch.randn(4, 5)
    known = shuffled(align(model, to=model, example=x))
    assert {n: len(order) for n, order in known.permutations.items()} == {"one": 6, "two": 8}
    other = Chunked().eval()
    other.load_state_dict(known.apply(model.state_dict()))
    torch.testing.assert_close(other(x), model(x))
    assert torch.equal(align(other, to=model, example=x).moved, known.inverse.moved)


class Through(nn.Module):
    def __init__(self, middle):
        super().__init__()
        self.one, self.middle, self.two = nn.Linear(5, 6), middle, nn.Linear(6, 2)

    def forward(self, x):
        return self.two(self.middle(self.one(x)))


@pytest.mark.parametrize(
    ("middle", "said"),
    [(nn.LayerNorm(6), "LayerNorm is not followed"), (nn.Softmax(1), "Softmax is not followed")],
)
def test_what_cannot_be_followed_is_said(middle, said):
    with pytest.raises(UsageError, match=f"no hidden units that could be permuted.*{said}"):
        align(Through(middle), to=Through(middle), example=torch.randn(2, 5))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x):
        return self.out(self.cell(x)[0][:, -1])


def test_a_layer_that_is_not_followed_is_named():
    with pytest.raises(UsageError, match=r"cell: GRU is not followed"):
        align(Recurrent(), to=Recurrent(), example=torch.zeros(2, 3, 4))


class Idle(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.idle = nn.Linear(5, 6), nn.Linear(6, 2), nn.Linear(5, 4)

    def forward(self, x):
        self.idle(x)
        return self.two(torch.tanh(self.one(x)))


@pytest.mark.parametrize("by", ["weights", "activations"])
def test_a_branch_that_nobody_reads(by):
    torch.manual_seed(0)
    model, x = Idle(), torch.randn(16, 5)
    known = shuffled(align(model, to=model, example=x))
    found = align(known.apply(model.state_dict()), to=model, by=by, batches=[x])
    assert torch.equal(found.permutations["one"], known.inverse.permutations["one"])
    wanted = known.inverse.permutations["idle"] if by == "weights" else torch.arange(4)
    assert torch.equal(found.permutations["idle"], wanted)


def test_wrappers_make_no_difference():
    one, other, x = build("LeNet5", 0), build("LeNet5", 1), torch.zeros(1, 1, 28, 28)
    plain = align(other, to=one, example=x)
    wrapped = align(nn.DataParallel(other), to=nn.DataParallel(one).train(), example=x)
    assert torch.equal(plain.moved, wrapped.moved)
    # pinned: other ones would give the arm `permuted` other masks under the same names
    assert {name: order[:5].tolist() for name, order in plain.permutations.items()} == {
        "conv1": [2, 3, 5, 1, 0],
        "conv2": [5, 1, 0, 15, 10],
        "fc1": [17, 5, 80, 1, 36],
        "fc2": [44, 23, 67, 38, 53],
    }


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(5, 6)

    def forward(self, x):
        return self.one(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"by": "weight"}, "by: got 'weight'; did you mean 'weights'"),
        ({"by": "activations"}, "wants batches="),
        ({"example": None}, "example= or batches="),
        ({"example": "x"}, "example: got str"),
        ({"example": torch.zeros(2, 3)}, "does not run on the example"),
        ({"to": {"a": torch.zeros(1)}}, "to: got dict, wanted a model"),
        ({"net": [1]}, "got list, wanted a model or its state_dict"),
        ({"net": nn.Linear(2, 2)}, "one of them has no"),
        ({"net": Through(nn.Linear(6, 6))}, "has no 'middle.weight'"),
        ({"to": Branching(), "net": Branching()}, "forward cannot be followed"),
        ({"exampel": 1}, "did you mean 'example'"),
    ],
)
def test_wrong_arguments(change, said):
    given = {"net": Through(nn.ReLU()), "to": Through(nn.ReLU()), "example": torch.zeros(2, 5)}
    given |= change
    with pytest.raises(UsageError, match=said):
        align(given.pop("net"), **given)


def test_weights_that_are_no_numbers():
    one, other = Through(nn.ReLU()), Through(nn.ReLU())
    other.one.weight.data[0, 0] = torch.nan
    with pytest.raises(UsageError, match=r"'one\.weight' has values that are no finite numbers"):
        align(other, to=one, example=torch.zeros(2, 5))


@pytest.mark.parametrize(
    ("tensors", "said"),
    [(nn.ReLU(), "got ReLU, wanted tensors by name"), ({"one.weight": torch.zeros(2, 2)}, "shape")],
)
def test_what_cannot_be_permuted(tensors, said):
    found = align(Through(nn.ReLU()), to=Through(nn.ReLU()), example=torch.zeros(2, 5))
    with pytest.raises(UsageError, match=said):
        found.apply(tensors)
