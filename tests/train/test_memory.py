"""The bound on a training's memory holds for what is really kept, and leaves the model alone."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from lottery_ticket.data import Split
from lottery_ticket.models import build
from lottery_ticket.train import LOSSES, can_be_stacked, training_bytes

NETS = {
    "mlp": (lambda: build("LeNet300", seed=0, hidden=[20, 10], input_size=64), (64,)),
    "conv": (lambda: build("Conv2", seed=0), (3, 32, 32)),
    "residual": (lambda: build("ResNet20", seed=0), (3, 32, 32)),
}


def examples(shape, num=4):
    return Split(torch.randn(num, *shape), torch.zeros(num, dtype=torch.int64))


def kept_by_a_batch(model, split, size):
    """Bytes that a batch of so many models really keeps for the backward pass."""
    parameters, buffers = stack_module_state([model] * size)
    kept = {}

    def note(value):
        kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    def loss_of(parameters, buffers, x, y):
        output = functional_call(model, (parameters, buffers), (x,))
        return LOSSES["cross_entropy"](output, y)

    x, y = (part.expand(size, *part.shape).contiguous() for part in (split.x, split.y))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        values = vmap(loss_of)(parameters, buffers, x, y)
    assert len(values) == size
    return sum(kept.values())


def is_a_bound(name, count=training_bytes):
    make, shape = NETS[name]
    model, split = make(), examples(shape, num=16)
    each = count(model, LOSSES["cross_entropy"], split, len(split), evaluated_together=1)
    return 3 * each >= kept_by_a_batch(model.train(), split, 3)


@pytest.mark.parametrize("name", NETS)
def test_no_batch_keeps_more(name):
    assert is_a_bound(name)


def test_a_count_of_the_weights_alone_is_no_bound():
    """The mutant: a convolutional net's values are many times its weights."""

    def of_weights(model, loss, split, batch_size, **more):
        return training_bytes(model, loss, split, 0, **more)

    assert not is_a_bound("residual", of_weights)


def test_the_count_of_one_layer_is_known():
    model, split = nn.Linear(4, 3), examples((4,))
    weights = 5 * 4 * (4 * 3 + 3)
    at_1000 = training_bytes(model, LOSSES["cross_entropy"], split, 1)
    at_2000 = training_bytes(model, LOSSES["cross_entropy"], split, 2000)
    assert at_2000 - weights == 2 * (at_1000 - weights)
    # the example, its 3 log-probabilities, and what the loss notes
    assert 2 * 1000 * 4 * (4 + 3) <= at_1000 - weights <= 2 * 1000 * 4 * (4 + 4 + 3 + 3)


def test_counting_leaves_the_model_as_it_was():
    model = build("ResNet20", seed=0).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    split = examples((3, 32, 32))
    drawn = torch.get_rng_state()
    training_bytes(model, LOSSES["cross_entropy"], split, 8)
    assert can_be_stacked(model, split.x)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert not torch.equal(state, drawn)
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
