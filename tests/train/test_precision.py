"""bf16, and the layout of images: what changes is the arithmetic, not what is trained."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.data import Split
from lottery_ticket.masks import PruningMask
from lottery_ticket.models import build
from lottery_ticket.train import Batches, TrainState, make_optimizer, step_for, train


@pytest.fixture(scope="module")
def images():
    stream = torch.Generator().manual_seed(0)
    return Split(
        torch.randn(48, 3, 32, 32, generator=stream), torch.randint(10, (48,), generator=stream)
    )


def trained(model, split, precision):
    """Four steps of a copy at 50 % density."""
    model = copy.deepcopy(model)
    mask = PruningMask.from_tensors(
        {
            name: torch.rand(kept.shape, generator=torch.Generator().manual_seed(1)) < 0.5
            for name, kept in PruningMask(model).items()
        }
    )
    mask.apply(model)
    optimizer = make_optimizer("sgd", model.parameters(), lr=0.05, momentum=0.9)
    state, batches = TrainState(model, optimizer), Batches(split, 12, order_seed=0)
    step = step_for(model, optimizer, mask, batches, loss=F.cross_entropy, precision=precision)
    train(
        state, step, batches, loss=F.cross_entropy, total_steps=4, evaluate_every=4,
        learning_rate=lambda step: 0.05, evaluation_splits={"test": split},
    )  # fmt: skip
    return state, mask


@pytest.mark.parametrize("name", ["Conv2", "ResNet20"])
def test_bf16_keeps_weights_in_float32_and_zeros_exact(name, images):
    model = build(name, 0, num_classes=10)
    full, _ = trained(model, images, "fp32")
    half, mask = trained(model, images, "bf16")
    for key, value in half.model.state_dict().items():
        assert value.dtype == full.model.state_dict()[key].dtype
        if key in mask:
            assert not value[~mask[key]].any(), f"{key} came back"
            memory = half.optimizer.state[half.model.get_parameter(key)]["momentum_buffer"]
            assert memory.dtype == torch.float32
            assert not memory[~mask[key]].any()
            assert not torch.equal(value, full.model.state_dict()[key]), "computed in float32"
    assert half.history[-1]["test_loss"] == pytest.approx(full.history[-1]["test_loss"], rel=0.05)


def test_images_are_laid_out_channels_last(images):
    seen = []
    model = build("Conv2", 0, num_classes=10)
    model.register_forward_pre_hook(
        lambda module, inputs: seen.append(
            inputs[0].is_contiguous(memory_format=torch.channels_last)
        )
    )
    state, _ = trained(model, images, "fp32")
    assert seen
    assert all(seen)
    weights = [p for p in state.model.parameters() if p.ndim == 4]
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)


def test_the_layout_changes_no_result_beyond_rounding(images):
    """Against a loop that knows nothing of layouts."""
    model = build("Conv2", 0, num_classes=10)
    state, mask = trained(model, images, "fp32")
    other = copy.deepcopy(model)
    mask.apply(other)
    optimizer = torch.optim.SGD(other.parameters(), lr=0.05, momentum=0.9)
    with mask.attach(other, optimizer):
        for x, y in Batches(images, 12, order_seed=0).epoch(0):
            optimizer.zero_grad()
            F.cross_entropy(other(x), y).backward()
            optimizer.step()
    assert isinstance(other, nn.Module)
    for name, value in other.state_dict().items():
        torch.testing.assert_close(state.model.state_dict()[name], value, rtol=1e-3, atol=1e-5)
