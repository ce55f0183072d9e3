"""What picks, permutes or splits channels is followed, or left alone and named; never got wrong."""

import pytest
import torch
from hypothesis import Phase, given, settings
from picking_nets import ODD, PICKS, SHUFFLED, Holder, Picks, picking_nets
from pruned_nets import zeroed_
from torch import nn

from lottery_ticket.errors import LotteryError
from lottery_ticket.export import compact, sparse

LAW = {"deadline": None, "derandomize": True, "database": None}
NOT_FOLLOWED = {
    "gather": "gather is not followed",  # its index is made of a value
    "stacked": "stack is not followed",
    "nothing": "getitem is not followed",
    "in place": "mul_ writes into it, and others read it later",
    "in place, read twice": "mul_ writes into it, and others read it later",
    "in place in a split": "neg_ writes into it, and others read it later",
    "microbatches": "its code cannot be followed",
    "examples' order": "flip is not followed",
    "by values": "argsort is not followed",
    "pixels": "pixel_shuffle is not followed",
    "added": "are joined to others",
    "to itself": "are joined to others",
}
ONLY_IMAGES = {"excited", "channels last", "pixels"}


@torch.no_grad()
def check_outputs(compact, net, x):
    """Of batches of other sizes, also larger than what any slice of a net could bound."""
    found = compact(net, x)
    for count in (1, 3, 70):
        inputs = torch.randn(count, *x.shape[1:], generator=torch.Generator().manual_seed(count))
        wanted = net(inputs)
        atol = 1e-4 * max(1.0, float(wanted.abs().max()))
        torch.testing.assert_close(found.model(inputs), wanted, rtol=0, atol=atol)
    return found


def holds(compact, num_nets, names=tuple(PICKS)):
    @settings(**LAW, max_examples=num_nets, phases=[Phase.generate])
    @given(picking_nets(names))
    def law(drawn):
        check_outputs(compact, *drawn)

    law()


def test_outputs_are_equal():
    holds(compact, 20)


@pytest.mark.slow
def test_outputs_of_many_nets_are_equal():
    holds(compact, 500)


@pytest.mark.slow
def test_sparse_outputs_are_equal():
    holds(lambda net, x: sparse(net, x, 8, layers="all"), 300)


def picks_by_old_numbers(net, x):
    """A compaction that counts what is picked from behind."""
    found = compact(net, x)
    for name, index in found.model.named_buffers():
        if name.endswith("_picks"):
            index.copy_(index.max() - index)
    return found


def test_other_compactions_are_caught():
    with pytest.raises(AssertionError):
        holds(picks_by_old_numbers, 40, ["index_select", "a shuffle", "by a parameter"])


def net_of(name, ndim):
    """Two layers with a pick between them; every second unit of the first is dead."""
    torch.manual_seed(0)
    first = nn.Conv2d(3, 8, 1) if ndim == 4 else nn.Linear(6, 8)
    x = torch.randn(5, 3, 4, 4) if ndim == 4 else torch.randn(5, 6)
    layers = [first, nn.Tanh(), Picks(name, Holder(SHUFFLED, ODD)), nn.Flatten()]
    with torch.no_grad():
        width = nn.Sequential(*layers)(x).shape[1]
    net = zeroed_(nn.Sequential(*layers, nn.Linear(width, 3)), 0, 1.0, None)
    net[0].weight.data[::2] = 0
    return net, x


@pytest.mark.parametrize("name", PICKS)
def test_picks_are_followed_or_named(name):
    for ndim in (4,) if name in ONLY_IMAGES else (2, 4):
        net, x = net_of(name, ndim)
        found = check_outputs(compact, net, x)
        if name in NOT_FOLLOWED:
            assert "0" not in found.removed
            assert any(NOT_FOLLOWED[name] in reason for reason in found.left_alone.values())
            assert " of 8 do nothing, but " in found.left_alone["0"]
        else:
            assert found.removed["0"].outputs[1] < 8
            assert not compact(found.model, x).removed


def test_an_index_is_written_anew_and_what_nothing_reads_goes():
    """The index of the model itself stays as it is."""
    net, x = net_of("a shared buffer", 2)
    found = check_outputs(compact, net, x)
    assert torch.equal(net[2].holder.shared, ODD)
    assert "2.holder.shared" not in found.model.state_dict()
    net, x = net_of("its method", 2)
    assert list(check_outputs(compact, net, x).model.state_dict())[:1] == ["index_select_picks"]


class Opaque(nn.Module):
    """Its code cannot be followed, and it has what others use as well."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8, affine=False)
        self.register_buffer("index", SHUFFLED.clone())
        self.scale = nn.Parameter(torch.rand(1, 8))

    def forward(self, x):
        return self.norm(self.layer(x))[:, self.index] * self.scale if x.sum() < 1e9 else x


class Around(nn.Module):
    def __init__(self, do):
        super().__init__()
        self.first, self.last, self.do = nn.Linear(6, 8), nn.Linear(8, 3), do
        self.opaque, self.norm = Opaque(), nn.BatchNorm1d(8)

    def forward(self, x):
        return self.last(self.do(self, self.first(x)))


USED_ELSEWHERE = {
    "layer": lambda net, x: net.opaque(net.last.bias.new_ones(1, 8)) + net.opaque.layer(x),
    "norm": lambda net, x: net.opaque(net.opaque.norm(x)),
    "scale": lambda net, x: net.opaque(x * net.opaque.scale),
    "index": lambda net, x: net.opaque(x)[:, net.opaque.index] + x[:, net.opaque.index],
    "buffer of a layer": lambda net, x: net.norm(x) - net.norm.running_mean,
    "of one example": lambda net, x: x.mean(0, keepdim=True).relu().expand(x.size(0), 8) + x,
}


@pytest.mark.parametrize("name", USED_ELSEWHERE)
def test_what_is_used_elsewhere_too_is_left_as_it_is(name):
    net = zeroed_(Around(USED_ELSEWHERE[name]), 0, 1.0, None)
    net.first.weight.data[::2] = 0
    found = check_outputs(compact, net, torch.randn(5, 6))
    assert found.left_alone


class Both(nn.Module):
    """What is picked is read before the memory of what it was picked from is written over."""

    def __init__(self):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(6, 8), nn.Linear(4, 8), nn.Linear(8, 3)
        self.register_buffer("index", ODD.clone())

    def forward(self, x):
        x = self.first(x).relu()
        picked = self.middle(torch.index_select(x, 1, self.index))
        x.tanh_()
        return self.last(picked.relu())


def test_what_is_written_over_later_is_read_before_it():
    net = zeroed_(Both(), 0, 1.0, None)
    net.first.weight.data[1] = 0
    x = torch.randn(5, 6)
    assert "first" in check_outputs(compact, net, x).removed
    check_outputs(lambda net, x: sparse(net, x, 8, layers="all"), net, x)


def test_layers_around_which_values_go_are_executed_sparsely():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), Residual(), nn.Linear(8, 3)).eval()
    check_outputs(lambda net, x: sparse(net, x, 8, layers="all"), net, torch.randn(5, 6))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        return x + self.layer(x)


class Drops(nn.Module):
    """Gives fewer rows when it is traced than it did before."""

    def __init__(self):
        super().__init__()
        self.rows = 9

    def forward(self, x):
        self.rows -= 4
        return x[: self.rows]


def test_other_shapes_than_the_model_gives_are_refused():
    with pytest.raises(LotteryError, match=r"outputs have the shape \(2, 6\), not \(5, 6\)"):
        compact(Drops(), torch.randn(5, 6))
