"""Direct execution in bf16: large layers in bfloat16, as if nothing were fused."""

import pytest
import torch
import torch.nn.functional as F
from test_direct import OPTIMIZERS, check_as_autograd, maker, random_mask, states_of, trained

from lottery_ticket import kernels
from lottery_ticket.data import Split
from lottery_ticket.models import build
from lottery_ticket.train import Batches, checkpoint_bytes, evaluate, restore_, step_for
from lottery_ticket.train.direct import step as direct
from lottery_ticket.train.direct.layers import HALF_FROM, DenseLayer, HalfLayer


@pytest.fixture
def net():
    """Its first layer is large enough for bfloat16, its second is not."""
    torch.manual_seed(0)
    model = build("LeNet300", 1, input_size=64, hidden=[1600, 40])
    return model, random_mask(model, [0.5, 0.5, 0.7])


class Unfused(DenseLayer):
    """The same by its definition: everything is rounded when a product reads it."""

    description = "dense bf16"

    def _multiply(self, x, out):
        product = torch.mm(self._weight.bfloat16(), x.bfloat16())
        out.copy_(product).add_(self._bias.unsqueeze(1))

    def _weight_gradient(self, x, g):
        self._weight_grad.copy_(torch.mm(g.bfloat16(), x.t().bfloat16()))

    def _input_gradient(self, g, out):
        out.copy_(torch.mm(self._weight.t().bfloat16(), g.bfloat16()))


def check_as_unfused(net, split, monkeypatch, **options):
    """The law: the fused layer ends where the unfused one does, the optimiser's memory included.

    To the bit, but for weight decay in the gradient: `g + λ w` may be one operation or two, and
    what that changes may be rounded the other way.
    """
    model, mask = net
    options = {"kernels": "direct-dense", "precision": "bf16", "steps": 6, **options}
    found = trained(model, mask, split, **options)
    with monkeypatch.context() as patch:
        made = direct.layer_of
        patch.setattr(
            direct,
            "layer_of",
            lambda layer, layout, flat, before, precision: (
                Unfused(layer, layout, flat, before)
                if layout.num_executed >= HALF_FROM
                else made(layer, layout, flat, before, precision)
            ),
        )
        wanted = trained(model, mask, split, **options)
    assert found.execution.description == wanted.execution.description
    is_exact = options["optimizer"] in ("Nesterov", "AdamW")
    for name, value in states_of(wanted).items():
        difference = (states_of(found)[name] - value).norm()
        assert difference <= (0 if is_exact else 1e-2 * value.norm()), name


@pytest.mark.parametrize("clip_norm", [None, 0.1])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fused_is_unfused(net, few_digits, monkeypatch, optimizer, clip_norm):
    check_as_unfused(net, few_digits, monkeypatch, optimizer=optimizer, clip_norm=clip_norm)


def test_evaluation_between_steps_changes_nothing(net, few_digits, monkeypatch):
    def on_step(state):
        state.execution.outputs(few_digits.x[:16])  # as many as a batch: it shares its buffers

    check_as_unfused(net, few_digits, monkeypatch, optimizer="momentum", on_step=on_step)


def test_a_checkpoint_continues_to_the_bit(net, few_digits):
    model, mask = net
    saved = []

    def on_step(state):
        if state.step == 3:
            saved.append(checkpoint_bytes(state))

    options = {"kernels": "direct", "precision": "bf16", "optimizer": "Nesterov", "steps": 6}
    whole = trained(model, mask, few_digits, on_step=on_step, **options)
    again = trained(model, mask, few_digits, begin=lambda s: restore_(s, saved[0]), **options)
    assert again.step == whole.step == 6
    for name, value in states_of(whole).items():
        assert torch.equal(states_of(again)[name], value), name


def test_what_evaluation_touched_first_is_trained_on(net, few_digits):
    """It makes the buffers of a batch in inference mode; training writes to them later."""
    model, mask = net
    mask.apply(model)
    few = Split(few_digits.x[:48], few_digits.y[:48])
    batches, optimizer = Batches(few, 48, order_seed=0), maker("SGD")(model.parameters())
    step = step_for(
        model, optimizer, mask, batches, loss=F.cross_entropy, precision="bf16", kernels="direct"
    )
    evaluate(model, few, F.cross_entropy, outputs=step.outputs)
    (batch,) = batches.order(0)
    assert step(batch, 0.05) > step(batch, 0.05)


def test_mutants_of_fusing_are_seen(net, few_digits, monkeypatch):
    with monkeypatch.context() as patch:
        whole = kernels.sgd_update
        patch.setattr(  # writes no rounded weights
            kernels, "sgd_update", lambda *given: whole(*given[:4], given[4][:0], *given[5:])
        )
        with pytest.raises(AssertionError):
            check_as_unfused(net, few_digits, patch, optimizer="Nesterov")
    with monkeypatch.context() as patch:
        patch.setattr(HalfLayer, "round_weight", lambda self: None)
        with pytest.raises(AssertionError):
            check_as_unfused(net, few_digits, patch, optimizer="AdamW", clip_norm=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(HalfLayer, "widen_gradient", lambda self: None)
        with pytest.raises(AssertionError):
            check_as_unfused(net, few_digits, patch, optimizer="AdamW", clip_norm=0.1)


def test_bf16_is_that_of_autocast(net, few_digits):
    """Within bfloat16's own precision, and away from float32's results; zeros stay exact."""
    model, mask = net
    options = {"optimizer": "momentum", "steps": 6}
    full = trained(model, mask, few_digits, kernels="autograd", **options)
    wanted = trained(model, mask, few_digits, kernels="autograd", precision="bf16", **options)
    found = trained(model, mask, few_digits, kernels="direct-dense", precision="bf16", **options)
    layers = found.execution.description["layers"]
    assert list(layers.values()) == ["dense bf16", "dense fp32", "dense fp32"]
    for name, value in states_of(found).items():
        layer = name.split(" of ")[-1]
        if layer in mask:
            assert not value[~mask[layer]].any()
        expected = states_of(wanted)[name]
        assert (value - expected).norm() < 0.1 * expected.norm(), name
        assert not torch.equal(value, states_of(full)[name])
    sparse = trained(model, mask, few_digits, kernels="direct-sparse", precision="bf16", **options)
    assert set(sparse.execution.description["layers"].values()) == {"csr fp32"}
    check_as_autograd(mask, full, sparse)
