"""The compiled loops against dense products."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lottery_ticket import kernels
from lottery_ticket.train.direct.layout import layouts_of

ACTIVATIONS = {
    kernels.IDENTITY: lambda x: x,
    kernels.RELU: torch.relu,
    kernels.TANH: torch.tanh,
}
COUNTS = st.integers(1, 30)


def drawn(seed, num_outputs, num_inputs, density):
    torch.manual_seed(seed)
    kept = torch.rand(num_outputs, num_inputs) < density
    kept[:, 0] = True  # every unit is read, so that nothing is cut
    kept[0, :] = True
    weight = torch.randn(num_outputs, num_inputs) * kept
    (layout,) = layouts_of([kept], sparse=True)
    return kept, weight, layout.pattern


def close(found, wanted):
    torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=1e-5, atol=1e-5)


def check_layer(seed, num_outputs, num_inputs, batch, density, before, after, module=kernels):
    """Forward and every gradient of a layer between two activations, against autograd."""
    kept, weight, pattern = drawn(seed, num_outputs, num_inputs, density)
    below = torch.randn(num_inputs, batch).requires_grad_()
    bias = torch.randn(num_outputs).requires_grad_()
    leaf = weight.clone().requires_grad_()
    x = ACTIVATIONS[before](below)
    linear = leaf @ x + bias[:, None]
    linear.retain_grad()
    output = ACTIVATIONS[after](linear)
    (output * torch.randn(output.shape)).sum().backward()

    values, read = weight[kept].numpy(), x.detach().numpy()
    found = np.full((num_outputs, batch), np.nan, np.float32)
    starts, columns = pattern.starts.numpy(), pattern.columns.numpy()
    module.linear(starts, columns, values, bias.detach().numpy(), read, found, after)
    close(found, output.detach())
    g = linear.grad.numpy()
    grad, grad_bias = np.full_like(values, np.nan), np.full(num_outputs, np.nan, np.float32)
    module.weight_gradient(starts, columns, read, g, grad, grad_bias)
    close(grad, leaf.grad[kept])
    close(grad_bias, bias.grad)
    out = np.full((num_inputs, batch), np.nan, np.float32)
    module.input_gradient(
        pattern.column_starts.numpy(), pattern.rows.numpy(),
        values[pattern.by_column.numpy()], g, read, out, before,
    )  # fmt: skip
    close(out, below.grad)


@settings(max_examples=60)
@given(
    st.integers(0, 10_000), COUNTS, COUNTS, COUNTS, st.sampled_from([0.0, 0.2, 1.0]),
    st.sampled_from(sorted(ACTIVATIONS)), st.sampled_from(sorted(ACTIVATIONS)),
)  # fmt: skip
def test_a_layer(seed, num_outputs, num_inputs, batch, density, before, after):
    check_layer(seed, num_outputs, num_inputs, batch, density, before, after)


class Wrong:
    """The kernels with one of them wrong."""

    linear, weight_gradient, input_gradient = (
        staticmethod(kernels.linear),
        staticmethod(kernels.weight_gradient),
        staticmethod(kernels.input_gradient),
    )


class ForgetsBias(Wrong):
    @staticmethod
    def linear(starts, columns, values, bias, x, out, activation):
        kernels.linear(starts, columns, values, 0 * bias, x, out, activation)


class ForgetsActivation(Wrong):
    @staticmethod
    def input_gradient(starts, rows, values, g, x, out, activation):
        kernels.input_gradient(starts, rows, values, g, x, out, kernels.IDENTITY)


class ForgetsTheLast(Wrong):
    @staticmethod
    def weight_gradient(starts, columns, x, g, grad, grad_bias):
        kernels.weight_gradient(starts, columns, x, g, grad, grad_bias)
        grad[-1] = 0


class ReadsRowsForColumns(Wrong):
    @staticmethod
    def input_gradient(starts, rows, values, g, x, out, activation):
        kernels.input_gradient(starts, rows[::-1].copy(), values, g, x, out, activation)


@pytest.mark.parametrize(
    "wrong", [ForgetsBias, ForgetsActivation, ForgetsTheLast, ReadsRowsForColumns]
)
def test_wrong_kernels_are_caught(wrong):
    check = (3, 12, 9, 17, 0.4, kernels.RELU, kernels.TANH)
    check_layer(*check)
    with pytest.raises(AssertionError):
        check_layer(*check, module=wrong)


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 70))
@example(255, 3, 1)  # a loss that is far below the rounding of its logits
@settings(max_examples=30)
def test_cross_entropy(seed, num_classes, batch):
    torch.manual_seed(seed)
    logits = (30 * torch.randn(batch, num_classes)).requires_grad_()
    classes = torch.randint(num_classes, (batch,))
    wanted = F.cross_entropy(logits, classes)
    wanted.backward()
    found = np.full((num_classes, batch), np.nan, np.float32)
    features = logits.detach().t().contiguous().numpy()
    loss = kernels.cross_entropy(features, classes.numpy(), found)
    rounding = torch.finfo(torch.float32).eps * logits.detach().abs().max().item()
    assert loss == pytest.approx(wanted.detach().item(), rel=1e-5, abs=max(1e-6, rounding))
    torch.testing.assert_close(torch.from_numpy(found).t(), logits.grad, rtol=1e-4, atol=1e-7)


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 70))
@settings(max_examples=30)
def test_gather_batch(seed, num_features, batch):
    torch.manual_seed(seed)
    examples = torch.randn(50, num_features)
    rows = torch.randint(50, (batch,))
    columns = (torch.rand(num_features) < 0.5).nonzero().flatten()
    out = np.full((len(columns), batch), np.nan, np.float32)
    kernels.gather_batch(examples.numpy(), rows.numpy(), columns.numpy(), out)
    assert torch.equal(torch.from_numpy(out), examples[rows][:, columns].t())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_so(bad):
    _, weight, pattern = drawn(0, 4, 5, 1.0)
    x = np.ones((5, 3), np.float32)
    x[2, 1] = bad
    out = np.zeros((4, 3), np.float32)
    starts, columns = pattern.starts.numpy(), pattern.columns.numpy()
    values = weight.abs().flatten().numpy()
    kernels.linear(starts, columns, values, np.zeros(4, np.float32), x, out, kernels.RELU)
    assert (~np.isfinite(out[:, 1])).all()
    assert np.isfinite(out[:, [0, 2]]).all()
    gradients = np.zeros((4, 3), np.float32)
    assert not np.isfinite(kernels.cross_entropy(out, np.array([0, 1, 2]), gradients))


FLOATS = st.floats(width=32, allow_infinity=False)  # 0 · ∞ would be NaN


@settings(deadline=None)
@given(st.lists(FLOATS, min_size=1, max_size=40))
def test_bfloat16_is_torchs(values):
    """Rounding, ties to even, to infinity, subnormals; a NaN stays one."""
    given_ = torch.tensor(values, dtype=torch.float32)
    found, gradient = np.empty(len(values), np.uint16), np.zeros(len(values), np.float32)
    kernels.sgd_update(
        given_.clone().numpy(), gradient, np.ones(len(values), bool), np.empty(0, np.float32),
        found, np.float32(0), np.float32(0), np.float32(0), False,
    )  # fmt: skip
    wanted, made = given_.bfloat16(), torch.from_numpy(found).view(torch.bfloat16)
    assert torch.equal(made.isnan(), wanted.isnan())
    assert torch.equal(made[~wanted.isnan()], wanted[~wanted.isnan()])
    # and back: a step of 1 along a gradient of these bits
    moved = np.zeros(len(values), np.float32)
    kernels.sgd_update(
        moved, found, np.ones(len(values), bool), np.empty(0, np.float32),
        np.empty(0, np.uint16), np.float32(-1), np.float32(0), np.float32(0), False,
    )  # fmt: skip
    torch.testing.assert_close(
        torch.from_numpy(moved), wanted.float(), rtol=0, atol=0, equal_nan=True
    )
