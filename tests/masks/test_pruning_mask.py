import copy
import pickle

import pytest
import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask, has_only_zeros_where_pruned


def mask_of(**rows):
    return PruningMask.from_tensors({name: torch.tensor(row) for name, row in rows.items()})


def small():
    return mask_of(b=[[True, False], [False, False]], a=[True, True])


def test_is_a_mapping_in_model_order():
    mask = small()
    assert list(mask) == ["b", "a"]
    assert len(mask) == 2
    assert "a" in mask
    assert "c" not in mask
    assert mask["b"].dtype == torch.bool
    assert dict(mask)["a"].tolist() == [True, True]
    with pytest.raises(KeyError):
        mask["c"]


def test_counts():
    mask = small()
    assert (mask.num_prunable, mask.num_kept) == (6, 3)
    assert (mask.density, mask.sparsity) == (0.5, 0.5)
    assert mask.layer_sparsities == {"b": 0.75, "a": 0.0}
    assert repr(mask) == "PruningMask(3 of 6 weights kept, density 0.5, 2 layers)"


def test_extremes():
    assert mask_of(w=[False, False]).density == 0.0
    assert mask_of(w=[False, False]).sparsity == 1.0
    nothing = PruningMask.from_tensors({})
    assert (nothing.num_prunable, nothing.density, nothing.layer_sparsities) == (0, 1.0, {})


def test_of_a_model_keeps_all_and_touches_nothing():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    before = copy.deepcopy(model.state_dict())
    mask = PruningMask(model)
    assert list(mask) == ["0.weight", "2.weight"]
    assert mask.num_kept == mask.num_prunable == 8
    mask["0.weight"].zero_()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    with torch.device("meta"):
        assert PruningMask(nn.Linear(3, 2)).num_prunable == 6


def test_equality():
    assert small() == small()
    assert small() == mask_of(a=[True, True], b=[[True, False], [False, False]])
    assert small() != mask_of(b=[[True, False], [False, True]], a=[True, True])
    assert small() != mask_of(b=[[True, False], [False, False]])
    assert mask_of(w=[True, True]) != mask_of(w=[[True, True]])
    assert mask_of(w=[True, True]) != mask_of(w=[True])
    assert small() != {"b": 1}
    with pytest.raises(TypeError, match="unhashable"):
        hash(small())


def test_nesting():
    sparse, dense = mask_of(w=[True, False, False]), mask_of(w=[True, True, False])
    assert sparse.is_nested_in(dense)
    assert sparse.is_nested_in(sparse)
    assert not dense.is_nested_in(sparse)
    assert not sparse.is_nested_in(mask_of(v=[True, True, False]))
    assert not sparse.is_nested_in(mask_of(w=[True]))


def check_zeros_the_pruned(apply):
    model = nn.Linear(3, 2)
    model.weight.data = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]])
    model.bias.data = torch.tensor([7.0, 8.0])
    mask = mask_of(weight=[[True, False, True], [False, False, True]])
    before = mask_of(weight=mask["weight"].tolist())
    assert apply(mask, model) is model
    # the bits: a pruned weight is +0.0
    wanted = torch.tensor([[1.0, 0.0, 3.0], [0.0, 0.0, -6.0]])
    assert model.weight.data.view(torch.int32).tolist() == wanted.view(torch.int32).tolist()
    assert model.bias.tolist() == [7.0, 8.0]
    assert model.weight.requires_grad
    assert mask == before
    assert has_only_zeros_where_pruned(dict(model.named_parameters()), mask)


def test_apply():
    check_zeros_the_pruned(lambda mask, model: mask.apply(model))


def test_apply_by_multiplication_is_caught():
    def multiply(mask, model):
        model.weight.data *= mask["weight"]  # -4 · 0 is -0.0
        return model

    with pytest.raises(AssertionError):
        check_zeros_the_pruned(multiply)


def test_apply_heals_nan():
    model = nn.Linear(2, 1, bias=False)
    model.weight.data = torch.tensor([[float("nan"), 1.0]])
    assert mask_of(weight=[[False, True]]).apply(model).weight.tolist() == [[0.0, 1.0]]


def test_apply_to_another_model():
    model = nn.Linear(2, 1)
    with pytest.raises(UsageError, match=r"the model has no parameter 'fc\.weight'"):
        mask_of(**{"fc.weight": [[True, True]]}).apply(model)
    with pytest.raises(UsageError, match=r"'weight' has shape \(2,\), the model has \(1, 2\)"):
        mask_of(weight=[True, False]).apply(model)
    assert model.weight.count_nonzero() == 2


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (torch.ones(2), "torch.float32"),
        (torch.ones(2, dtype=torch.uint8), "torch.uint8"),
        ([True, False], "list"),
    ],
)
def test_only_bool_tensors(value, got):
    with pytest.raises(UsageError, match=f"mask 'w' must be a bool tensor, got {got}"):
        PruningMask.from_tensors({"w": value})


@pytest.mark.parametrize("masks", [None, "x", [1], {1: torch.ones(1, dtype=torch.bool)}])
def test_only_mappings_of_names(masks):
    model = nn.Linear(2, 1)
    attached = PruningMask(model).attach(model)
    for make in (PruningMask.from_tensors, attached.replace_mask):
        with pytest.raises(UsageError, match=r"a mask (is made of bool tensors by|has names)"):
            make(masks)


def test_shares_the_tensors_it_is_made_from():
    tensors = {"w": torch.tensor([True, False])}
    mask = PruningMask.from_tensors(tensors)
    tensors["w"][1] = True
    assert mask["w"].tolist() == [True, True]
    tensors["v"] = torch.tensor([True])  # the mapping itself is copied
    assert list(mask) == ["w"]


def test_only_zeros_where_pruned():
    mask = mask_of(w=[True, False, False])
    assert has_only_zeros_where_pruned({"w": torch.tensor([0.0, 0.0, -0.0])}, mask)
    for value in (1e-45, -1.0, float("nan"), float("inf")):
        assert not has_only_zeros_where_pruned({"w": torch.tensor([1.0, value, 0.0])}, mask)


def test_copies():
    mask = small()
    for other in (copy.deepcopy(mask), pickle.loads(pickle.dumps(mask)), mask.to("cpu")):
        assert other == mask
        assert list(other) == ["b", "a"]
    copied = copy.deepcopy(mask)
    copied["a"].zero_()
    assert mask.num_kept == 3
    assert {m.device.type for m in small().to("meta").values()} == {"meta"}
