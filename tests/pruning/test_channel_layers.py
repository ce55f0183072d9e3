"""Which layers structure "channel" cuts: convolutions, what is named, never the output unasked."""

import pickle
import re
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.criteria import CRITERIA
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import (
    Asked,
    Budget,
    MissedDensityWarning,
    PruningMask,
    num_groups,
    select_channels,
    select_groups,
)
from lottery_ticket.models import LeNet5
from lottery_ticket.pruning import (
    Example,
    GradualPruner,
    channel_layers,
    inputs_seen,
    polynomial,
    prune,
)
from lottery_ticket.pruning._outputs import output_parameters

X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class SqueezeExcite(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.down, self.up = nn.Conv2d(width, width // 8, 1), nn.Conv2d(width // 8, width, 1)

    def forward(self, x):
        return x * self.up(self.down(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class Block(nn.Module):
    """A residual block with squeeze-excitation."""

    def __init__(self, width, wider):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, wider, 3, padding=1), nn.BatchNorm2d(wider)
        self.conv2, self.bn2 = nn.Conv2d(wider, wider, 3, padding=1), nn.BatchNorm2d(wider)
        self.se, self.around = SqueezeExcite(wider), nn.Conv2d(width, wider, 1)

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (self.se(y) + self.around(x)).relu()


def residual_net(head=True):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3), nn.ReLU(), Block(16, 32), Block(32, 64)]
    if head:
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*layers)


class Branches(nn.Module):
    """Outputs by name, in a tuple within; the middle is an output too."""

    def __init__(self):
        super().__init__()
        self.stem, self.middle = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1)
        self.left, self.right = nn.Conv2d(8, 4, 1), nn.ConvTranspose2d(8, 2, 2)

    def forward(self, x):
        y = self.middle(self.stem(x).relu())
        heads = (
            torch.cat([self.left(y.relu()), y], 1).softmax(1),
            F.interpolate(self.right(y), (9, 9)),
        )
        return {"heads": heads, "size": len(x)}


class Twice(nn.Module):
    """A layer that is called twice, once for the output."""

    def __init__(self):
        super().__init__()
        self.stem, self.again, self.last = (nn.Conv2d(3, 6, 3), *(nn.Conv2d(6, 6, 1) for _ in "ab"))

    def forward(self, x):
        return self.again(self.last(self.again(self.stem(x).relu())).relu_()).flatten(1)


class Scaled(nn.Module):
    """An output layer whose weight is a product with what the input says."""

    def __init__(self):
        super().__init__()
        self.stem, self.last = nn.Conv2d(3, 5, 1), nn.Conv2d(5, 4, 1)

    def forward(self, x):
        y = self.stem(x).relu()
        return F.conv2d(y, self.last.weight * y.mean())


class Tokens(nn.Module):
    """Indices in, so that nothing of the input has a gradient."""

    def __init__(self):
        super().__init__()
        self.embed, self.conv = nn.Embedding(9, 6), nn.Conv1d(6, 5, 3)
        self.last, self.norm = nn.Conv1d(5, 4, 1), nn.BatchNorm1d(4)

    def forward(self, index):
        y = self.conv(self.embed(index).transpose(1, 2)).relu()
        return self.norm(self.last(y)).log_softmax(1).transpose(1, 2)


def depthwise():
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.BatchNorm2d(6), nn.ReLU()),
        *(nn.Conv2d(6, 6, 3, groups=6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(1)),
    )


def generator_net():
    """A linear layer first, transposed convolutions after it."""
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(192, 32), nn.Unflatten(1, (8, 2, 2))),
        *(nn.ConvTranspose2d(8, 6, 2, stride=2), nn.ReLU(), nn.ConvTranspose2d(6, 3, 2), nn.Tanh()),
    )


def weight_normed():
    norm = nn.utils.parametrizations.weight_norm
    return nn.Sequential(norm(nn.Conv2d(3, 8, 3)), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.Upsample(9))


INDEX = torch.arange(8).view(2, 4) % 9
NETS = {
    "classifier": (residual_net, X, ["6"]),
    "pooled convolutions": (lambda: residual_net(False), X, ["3.se.up", "3.conv2", "3.around"]),
    "branches": (Branches, X, ["left", "middle", "right"]),
    "twice": (Twice, X, ["again"]),
    "scaled": (Scaled, X, ["last", "stem"]),  # whether what is summed are weights cannot be told
    "tokens": (Tokens, INDEX, ["last"]),
    "depthwise": (depthwise, X, ["2", "5"]),
    "generator": (generator_net, X, ["5"]),
    "weight norm": (weight_normed, X, ["2"]),
    "LeNet5": (LeNet5, torch.randn(2, 1, 28, 28), ["fc3"]),
    "grouped": (
        lambda: nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1, groups=2)),
        X,
        ["2"],
    ),
    "lstm": (lambda: nn.LSTM(8, 5), torch.randn(2, 3, 8), [""]),
}


def names_of(model, ids):
    return sorted({name.rpartition(".")[0] for name, p in model.named_parameters() if id(p) in ids})


@pytest.mark.parametrize("net", NETS)
def test_the_output_is_found_in_the_graph(net):
    build, x, wanted = NETS[net]
    torch.manual_seed(0)
    model = build().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    assert names_of(model, output_parameters(model, Example((x,)))) == sorted(wanted)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(module.training for module in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


BY_RULE = {
    "classifier": ["6"],
    "branches": ["right"],
    "depthwise": ["5"],
    "generator": ["1", "5"],  # the last linear layer, and the convolution after it
    "LeNet5": ["fc3"],
    "tokens": ["last"],
}


@pytest.mark.parametrize("net", BY_RULE)
def test_without_an_example_the_last_layers_are_taken_for_it(net):
    build, _, _ = NETS[net]
    model = build()
    found = channel_layers(model, PruningMask(model)).cut
    said = {n: why for n, why in found.left_out.items() if why.startswith("taken for the model's")}
    assert sorted(name.removesuffix(".weight") for name in said) == BY_RULE[net]
    for name, why in said.items():
        kind = "linear layer" if model.get_parameter(name).ndim == 2 else "convolution"
        assert why == (
            f"taken for the model's output, the last {kind} (there is no example to follow)"
        )


def check_residual_net(prune_fn, scope, sparsity):
    """With squeeze-excitation: 93.8 % were pruned where 50 % had been asked for, 68 % for 25 %."""
    model = residual_net()
    mask = prune_fn(model, sparsity=sparsity, structure="channel", scope=scope, example=X)
    largest = max(kept[0].numel() for kept in mask.values())
    num_layers = 1 if scope == "global" else len(mask)
    off = largest * num_layers / 2 / mask.num_prunable
    assert mask.sparsity == pytest.approx(sparsity, abs=off)
    assert all(bool(kept.any()) for kept in mask.values())
    assert "6.weight" not in mask
    assert bool(mask["6.weight"].all())
    assert mask["6.weight"].shape == (10, 64)
    assert mask.left_out["6.weight"] == "the model's output, as its graph says"
    assert "left out: 6.weight (the model's output, as its graph says)" in repr(mask)


@pytest.mark.parametrize("scope", ["global", "layerwise", "erk"])
@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.75])
def test_a_residual_net_reaches_what_is_asked(scope, sparsity):
    check_residual_net(prune, scope, sparsity)


def cuts_the_output(model, **how):
    return prune(model, targets=["Conv2d", "6"], **how)


def counts_channels(model, *, sparsity, **how):
    """So many channels of all, by sums: as it was."""
    layers = channel_layers(model, PruningMask(model), how["example"]).cut
    total = sum(num_groups(layers, "channel").values())
    sums = {
        name: model.get_parameter(name).detach().abs().flatten(1).sum(1).view(-1, 1, 1, 1)
        for name in layers
    }
    scores = {name: sums[name].expand(kept.shape) for name, kept in layers.items()}
    keep = Budget(total - round(total * sparsity))
    return select_groups(scores, layers, keep, "channel").told_by(layers)


@pytest.mark.parametrize("mutant", [cuts_the_output, counts_channels])
def test_other_cuts_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_residual_net(mutant, "global", 0.5)


def test_large_layers_are_neither_favoured_nor_punished():
    """Equal weights but for one layer's, which are a little smaller: those go first."""
    model = residual_net()
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.fill_(0.9 if name.startswith("2.conv1") else 1.0)
    mask = prune(model, density=0.95, structure="channel", example=X)
    assert [name for name, kept in mask.items() if not kept.all()] == ["2.conv1.weight"]


@pytest.mark.parametrize(
    ("targets", "cut", "whole"),
    [
        (None, ["0"], ["6", "2", "4"]),
        (["Linear"], ["2", "4"], ["6"]),
        (["Conv2d", "Linear"], ["0", "2", "4"], ["6"]),
        (["re:.*"], ["0", "2", "4"], ["6"]),
        (["Conv2d", "4"], ["0", "4"], []),
        (["Conv2d", "4", "6"], ["0", "4", "6"], []),
        (["6.weight"], ["6"], []),
    ],
)
def test_linear_layers_stay_unless_named_and_the_output_unless_by_its_own_name(targets, cut, whole):
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(288, 12), nn.ReLU()),
        *(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 5)),
    )
    for example in (None, X):
        how = {"structure": "channel", "scope": "layerwise", "example": example}
        mask = prune(model, sparsity=0.5, targets=targets, **how)
        assert list(mask) == [f"{name}.weight" for name in cut]
        # the output first, then the largest
        assert list(mask.whole) == [f"{name}.weight" for name in whole]
        for name, kept in mask.items():
            assert 0 < int(kept.sum()) < kept.numel(), name
        if targets is None:
            assert mask.left_out["2.weight"] == (
                "linear; structure 'channel' leaves it whole unless targets= names it"
            )


def test_a_pair_is_a_name():
    model = residual_net()
    mask = prune(model, sparsity=0.5, structure="channel", targets=[(model[6], "weight")])
    assert list(mask) == ["6.weight"]


@pytest.mark.parametrize(
    ("build", "targets", "remedy"),
    [
        (lambda: nn.Sequential(nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 4)), None, ["Linear"]),
        (lambda: nn.Linear(9, 4), None, ["weight"]),
        (lambda: nn.Linear(9, 4), ["Linear"], ["weight"]),
        (
            lambda: nn.Sequential(nn.LSTM(4, 4)),
            None,
            ["0.weight_hh_l0", "0.weight_ih_l0"],
        ),
        (lambda: nn.Sequential(nn.LSTM(4, 4), nn.LSTM(4, 4)), None, ["LSTM"]),
        (
            lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
            None,
            ["Linear", "MultiheadAttention"],
        ),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 1)), None, ["0.weight"]),
    ],
)
def test_nothing_to_cut_is_an_error_with_a_remedy_that_works(build, targets, remedy):
    model = build()
    with pytest.raises(UsageError, match="structure 'channel'") as refused:
        prune(model, sparsity=0.5, structure="channel", targets=targets)
    said = re.search(r"targets=(\[.*?\])", str(refused.value))
    assert said is not None
    named = [name.strip("'") for name in said[1].strip("[]").split(", ")]
    assert sorted(named) == remedy
    try:
        assert prune(model, sparsity=0.5, structure="channel", targets=named).sparsity > 0
    except UsageError as error:  # a net of one layer: what is named is the output, by its class
        again = re.search(r"targets=\['(.*?)'", str(error))
        assert again is not None
        mask = prune(model, sparsity=0.5, structure="channel", targets=[again[1]])
        assert mask.sparsity > 0


def test_chains_nest_and_keep_their_denominator():
    """Whether or not an example is there for a later level; from a file, and after a pickle."""
    model = residual_net()
    masks = [PruningMask(model), prune(model, sparsity=0.2, structure="channel", example=X)]
    masks.append(
        prune(model, pickle.loads(pickle.dumps(masks[-1])), amount=0.3, structure="channel")
    )
    masks.append(prune(model, masks[-1].to("cpu"), density=0.4, structure="channel"))
    masks.append(
        prune(model, PruningMask.from_bytes(masks[-1].to_bytes()), amount=0.2, structure="channel")
    )
    for before, mask in pairwise(masks):
        assert mask.is_nested_in(before)
    assert len({mask.num_prunable for mask in masks[1:]}) == 1
    assert [round(mask.density, 2) for mask in masks[1:]] == [0.8, 0.56, 0.4, 0.32]


def test_an_output_that_is_not_the_last_layer_stays_out_of_the_whole_chain():
    """By rule another layer would be taken for it; the mask says what is cut."""
    model = Twice()
    first = prune(model, sparsity=0.2, structure="channel", example=X)
    assert list(first) == ["stem.weight", "last.weight"]
    assert list(prune(model, first, amount=0.3, structure="channel")) == list(first)


def test_a_mask_of_single_weights_is_held_where_channels_are_not_cut():
    model = residual_net()
    mask = prune(model, sparsity=0.5)
    found = prune(model, mask, sparsity=0.75, structure="channel", example=X)
    assert found.is_nested_in(mask)
    assert torch.equal(found["6.weight"], mask["6.weight"])
    assert list(found) == list(mask)
    assert found.sparsity == pytest.approx(0.75, abs=0.01)


def test_a_user_mask_for_all_layers_names_none():
    model = residual_net()
    by_hand = prune(model, PruningMask(model), density=0.5, structure="channel", example=X)
    assert by_hand == prune(model, density=0.5, structure="channel", example=X)
    assert "6.weight" not in by_hand


def test_what_criteria_are_given_is_an_example():
    """A batch, one that only a loss can read, or the shape of an example."""
    model = depthwise()
    batch = [(X, torch.tensor([0, 1, 2, 3]))]
    by_name = [{"images": X}]

    def loss(model, batch):
        return model(batch["images"]).sum()

    for given in (
        {"batches": batch},
        {"batches": iter(batch), "criterion": "snip"},
        {"batches": by_name, "batch_loss": loss},
        {"input_shape": (3, 8, 8)},
    ):
        assert list(prune(model, density=0.5, structure="channel", **given)) == ["0.weight"]
    # what does not do is no example: by rule the pointwise layer is cut as well
    mask = prune(model, density=0.5, structure="channel", input_shape=(5, 8, 8))
    assert list(mask) == ["0.weight", "2.weight"]


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (torch.zeros(2, 5, 8, 8), "example: Sequential does not run on it: "),
        (7, "example: got int, wanted a batch of inputs as a tensor, a tuple of them, or a dict"),
        ((), "example: got tuple, wanted a batch"),
    ],
)
def test_an_example_that_does_not_do_is_said(example, message):
    with pytest.raises(UsageError) as refused:
        prune(depthwise(), sparsity=0.5, structure="channel", example=example)
    assert str(refused.value).startswith(message)


def test_an_output_without_gradients_is_said():
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            return self.conv(x).argmax(1)

    model = nn.Sequential(nn.Conv2d(3, 3, 1), Detached())
    with pytest.raises(UsageError, match="does its forward return tensors with gradients"):
        prune(model, sparsity=0.5, structure="channel", example=X)
    assert list(prune(model, sparsity=0.5, structure="channel")) == ["0.weight"]


@pytest.mark.parametrize(
    "criterion", [name for name in CRITERIA if not CRITERIA.entry(name).is_user]
)
def test_every_criterion_ranks_channels(criterion):
    model, y = LeNet5(), torch.tensor([0, 1])
    given = {"batches": [(torch.randn(2, 1, 28, 28), y)], "initial": LeNet5().state_dict()}
    mask = prune(model, sparsity=0.5, structure="channel", criterion=criterion, **given)
    assert mask.sparsity == pytest.approx(0.5, abs=0.04)
    assert all(torch.equal(k.flatten(1).any(1), k.flatten(1).all(1)) for k in mask.values())


def test_the_floor_is_said_and_lifts_no_other_layer():
    model = residual_net()
    with pytest.warns(MissedDensityWarning, match="each layer keeps at least one channel"):
        mask = prune(model, sparsity=0.995, structure="channel", example=X)
    assert all(int(kept.flatten(1).any(1).sum()) == 1 for kept in mask.values())
    mask = prune(model, sparsity=0.5, structure="channel", min_layer_density=0.4, example=X)
    assert all(kept.float().mean() >= 0.4 for kept in mask.values())
    assert mask.sparsity == pytest.approx(0.5, abs=0.01)


def test_more_than_is_left_cannot_be_asked_for():
    model = residual_net()
    mask = prune(model, sparsity=0.5, structure="channel")
    with pytest.raises(UsageError, match=r"all layers: asked to keep .* weights of .* left"):
        prune(model, mask, density=0.9, structure="channel")
    # what was asked for was reached as nearly as channels allow, and may be asked for again
    assert prune(model, mask, sparsity=0.5, structure="channel") == mask


def test_gradual_pruning_of_channels():
    model = residual_net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    schedule = polynomial(0.6, end_step=6, every_steps=2)
    with GradualPruner(model, optimizer, schedule, structure="channel", example=X) as pruner:
        dense = pruner.mask
        for _ in range(7):
            optimizer.zero_grad()
            model(X).sum().backward()
            optimizer.step()
    assert pruner.mask.is_nested_in(dense)
    assert pruner.mask.num_prunable == dense.num_prunable
    assert pruner.mask.sparsity == pytest.approx(0.6, abs=0.01)
    assert "6.weight" not in pruner.mask
    assert bool(model[6].weight.all())


def test_looking_at_what_a_model_is_called_with_leaves_no_trace():
    """An evaluation in training mode that draws: averages and random numbers stay."""
    model = residual_net().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()

    def evaluate():
        model(X + torch.randn(1))
        model(X[:1])
        model.eval()

    example = inputs_seen(model, evaluate)
    assert example is not None
    assert [value.shape for value in example.args] == [(2, 3, 8, 8)]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert model.training
    assert not model._forward_pre_hooks
    assert inputs_seen(model, lambda: None) is None


def test_as_the_selection_alone():
    """`prune` chooses the layers; which channels go is `select_channels`."""
    model = LeNet5()
    mask = prune(model, density=0.5, structure="channel")
    ones = PruningMask(model, targets=["Conv2d"])
    scores = {name: model.get_parameter(name).detach().abs() for name in ones}
    assert mask == select_channels(scores, ones, Asked(0.5))
