import pytest
import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import MaskedParameters, PruningMask


def linear():
    model = nn.Linear(2, 2)
    model.weight.data = torch.tensor([[1.0, -2.0], [-3.0, 4.0]])
    model.bias.data = torch.tensor([5.0, -6.0])
    return model


MASK = PruningMask.from_tensors({"weight": torch.tensor([[True, False], [True, False]])})


def test_zero_weights():
    model = linear()
    MaskedParameters(model, MASK).zero_weights_()
    assert model.weight.view(torch.int32).tolist() == torch.tensor(
        [[1.0, 0.0], [-3.0, 0.0]]
    ).view(torch.int32).tolist()  # fmt: skip
    assert model.bias.tolist() == [5.0, -6.0]


def test_mask_gradients():
    model = linear()
    model.weight.grad = torch.tensor([[1.0, 2.0], [-3.0, -4.0]])
    model.bias.grad = torch.tensor([1.0, 2.0])
    MaskedParameters(model, MASK).mask_gradients_()
    assert model.weight.grad.tolist() == [[1.0, 0.0], [-3.0, 0.0]]
    assert model.bias.grad.tolist() == [1.0, 2.0]
    assert model.weight.tolist() == [[1.0, -2.0], [-3.0, 4.0]]


def test_without_gradients():
    model = linear()
    MaskedParameters(model, MASK).mask_gradients_()
    assert model.weight.grad is None


def test_a_whole_layer_stays():
    model = linear()
    model.weight.grad = torch.full((2, 2), float("inf"))
    masked = MaskedParameters(model, PruningMask(model))
    masked.mask_gradients_()
    masked.zero_weights_()
    assert model.weight.grad.isinf().all()
    assert model.weight.tolist() == linear().weight.tolist()


def test_tied_weights():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    mask = PruningMask(model)
    assert list(mask) == ["0.weight"]
    mask["0.weight"][0, 1] = False
    masked = MaskedParameters(model, mask)
    masked.zero_weights_()
    model(torch.ones(1, 2)).sum().backward()
    masked.mask_gradients_()
    assert model[1].weight[0, 1] == model[1].weight.grad[0, 1] == 0.0
    assert model[1].weight.grad.count_nonzero() == 3


def test_another_model():
    with pytest.raises(UsageError, match="the model has no parameter 'weight'"):
        MaskedParameters(nn.Sequential(linear()), MASK)
    broadcasting = PruningMask.from_tensors({"weight": torch.tensor([[True, False]])})
    with pytest.raises(UsageError, match=r"'weight' has shape \(1, 2\), the model has \(2, 2\)"):
        MaskedParameters(linear(), broadcasting)
