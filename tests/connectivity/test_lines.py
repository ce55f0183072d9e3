"""Laws of lines between nets."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lottery_ticket.connectivity import (
    LinearPath,
    along,
    angle,
    distance,
    has_running_statistics,
    refit_statistics_,
    sign_flips,
)
from lottery_ticket.errors import UsageError


def net(seed=0, kept=0.4):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    mask = torch.rand(8, 6, generator=torch.Generator().manual_seed(9)) < kept
    with torch.no_grad():
        model[0].weight.mul_(mask)
    for _ in range(seed + 1):
        model(torch.randn(16, 6))  # statistics, and how many batches they are from
    return model.eval()


def bits(tensor):
    return tensor.view(torch.int32) if tensor.is_floating_point() else tensor


def check_path(made):
    """The law: ends bit for bit, numbers without a fraction as they are, zeros of both zero."""

    @settings(max_examples=25, deadline=None, report_multiple_bugs=False)
    @given(st.integers(0, 20), st.integers(0, 20), st.floats(0.01, 0.99))
    def check(one, other, alpha):
        a, b = net(one).state_dict(), net(other).state_dict()
        a["0.weight"][0, 0], b["0.weight"][0, 0] = -0.0, 1e30
        path = made(a, b)
        for end, at in ((a, 0.0), (b, 1.0)):
            found = path.at(at)
            assert all(torch.equal(bits(found[name]), bits(end[name])) for name in end)
        between = path.at(alpha)
        assert torch.equal(between["1.num_batches_tracked"], a["1.num_batches_tracked"])
        both = (a["0.weight"] == 0) & (b["0.weight"] == 0)
        assert not between["0.weight"][both].any()
        wanted = (1 - alpha) * a["3.weight"].double() + alpha * b["3.weight"].double()
        torch.testing.assert_close(between["3.weight"].double(), wanted, rtol=1e-5, atol=1e-6)

    check()


def test_lines():
    check_path(LinearPath)


class Computed(LinearPath):
    """Its ends are computed, too."""

    def at(self, alpha):
        return {
            name: a + alpha * (self.b[name] - a) if a.is_floating_point() else a
            for name, a in self.a.items()
        }


class Counted(LinearPath):
    """What has no fraction is rounded."""

    def at(self, alpha):
        counts = {
            name: torch.lerp(a.double(), self.b[name].double(), alpha).to(a.dtype)
            for name, a in self.a.items()
            if not a.is_floating_point()
        }
        return super().at(alpha) | counts


class Swapped(LinearPath):
    """It goes the other way."""

    def at(self, alpha):
        return super().at(1 - alpha)


@pytest.mark.parametrize("wrong", [Computed, Counted, Swapped])
def test_other_lines_are_caught(wrong):
    with pytest.raises(AssertionError):
        check_path(wrong)


def test_nets_of_two_architectures_have_no_line():
    a, b = net().state_dict(), net(1).state_dict()
    with pytest.raises(UsageError, match=r"one of them has no '3\.weight'"):
        LinearPath(a, {name: value for name, value in b.items() if name != "3.weight"})
    with pytest.raises(UsageError, match=r"path: '0\.weight'"):
        LinearPath(a, {**b, "0.weight": torch.zeros(8, 5)})
    with pytest.raises(UsageError, match=r"torch\.float64 in one net and torch\.float32"):
        LinearPath({**a, "0.bias": a["0.bias"].double()}, b)
    with pytest.raises(UsageError, match="alpha is 2, wanted 0 to 1"):
        LinearPath(a, b).at(2)


def check_statistics(refit):
    """The law: mean and variance are the averages over batches, and nothing else is changed."""
    model, batches = net(3), [torch.randn(16, 6) + number for number in range(4)]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    inputs = [model[0](batch) for batch in batches]
    refit(model, [(batch, None) for batch in batches])
    after = model.state_dict()
    means = torch.stack([each.mean(0) for each in inputs]).mean(0)
    variances = torch.stack([each.var(0) for each in inputs]).mean(0)
    torch.testing.assert_close(after["1.running_mean"], means)
    torch.testing.assert_close(after["1.running_var"], variances)
    rest = [name for name in before if "running" not in name]
    assert all(torch.equal(before[name], after[name]) for name in rest)
    assert not any(module.training for module in model.modules())
    assert model[1].momentum == 0.1


def test_statistics_are_those_of_the_batches():
    check_statistics(refit_statistics_)


def test_statistics_of_another_kind_are_caught():
    def moved(model, batches):
        model.train()
        for batch, _ in batches:
            model(batch)
        model.eval()

    def last(model, batches):
        refit_statistics_(model, batches[-1:])

    for wrong in (moved, last):
        with pytest.raises(AssertionError):
            check_statistics(wrong)


def test_statistics_want_a_batch():
    assert has_running_statistics(net())
    assert not has_running_statistics(nn.Linear(2, 2))
    refit_statistics_(nn.Linear(2, 2), [])
    with pytest.raises(UsageError, match="batches: got none"):
        refit_statistics_(net(), [])


@given(st.lists(st.floats(0, 1), min_size=3, max_size=9))
@settings(max_examples=25, deadline=None)
def test_a_barrier_is_the_highest_above_the_mean_of_the_ends(values):
    model = nn.Linear(1, 1, bias=False)
    a, b = {"weight": torch.zeros(1, 1)}, {"weight": torch.ones(1, 1)}
    last = len(values) - 1
    found = along(model, a, b, lambda m: values[round(m.weight.item() * last)], points=len(values))
    assert list(found.values) == values
    assert found.barrier == max(values) - (values[0] + values[-1]) / 2


def test_the_model_is_as_before():
    model = net(5).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x, y = torch.randn(64, 6), torch.randint(3, (64,))

    def error(measured):
        assert not measured.training
        return float((measured(x).argmax(1) != y).float().mean())

    ends = net(1).state_dict(), net(2).state_dict()
    refitted = along(model, *ends, error, points=5, batches=[x])
    plain = along(model, *ends, error, points=5)
    assert refitted.alphas == plain.alphas == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert refitted.values != plain.values
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    with pytest.raises(UsageError, match="points: got 2"):
        along(model, *ends, error, points=2)
    with pytest.raises(UsageError, match=r"eval_fn: gave nan at alpha 0\.00"):
        along(model, *ends, lambda m: math.nan)


def test_how_far_apart():
    a = {"w": torch.tensor([1.0, 0.0]), "v": torch.tensor([[0.0, 2.0]])}
    b = {"w": torch.tensor([1.0, 0.0]), "v": torch.tensor([[0.0, -2.0]])}
    assert distance(a, b) == 4.0
    assert angle(a, b) == pytest.approx(math.degrees(math.acos(-3 / 5)))
    assert math.isnan(angle({"w": torch.zeros(2)}, {"w": torch.ones(2)}))
    assert sign_flips(a, b) == 0.5
    mask = {"w": torch.tensor([True, True]), "v": torch.tensor([[True, True]])}
    assert sign_flips(a, b, mask) == 0.25
