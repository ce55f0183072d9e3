"""Masks from and to torch.nn.utils.prune, from zeros, and from files that others saved."""

import copy

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.masks import Budget, PruningMask, prunable_parameters, select
from lottery_ticket.models import build

law = settings(max_examples=30, derandomize=True, phases=[Phase.explicit, Phase.generate])


def net():
    return build("LeNet300", 0, input_size=12, num_classes=3, hidden=[8, 5])


def one_layer(model):
    prune.l1_unstructured(model.fc1, "weight", amount=0.4)


def all_layers(model):
    pairs = [(layer, "weight") for layer in (model.fc1, model.fc2, model.fc3)]
    prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=0.7)


def whole_rows(model):
    prune.ln_structured(model.fc2, "weight", amount=2, n=2, dim=0)


def biases_too(model):
    prune.l1_unstructured(model.fc1, "bias", amount=3)
    prune.l1_unstructured(model.fc1, "weight", amount=5)


def one_upon_another(model):
    all_layers(model)
    prune.ln_structured(model.fc3, "weight", amount=1, n=1, dim=1)
    prune.l1_unstructured(model.fc3, "weight", amount=1)


PRUNINGS = [one_layer, all_layers, whole_rows, biases_too, one_upon_another]


def computed_with(model):
    """What the linear layers compute with, by parameter name."""
    return {
        f"{path}.{name}": getattr(module, name).detach()
        for path, module in model.named_modules()
        for name in ("weight", "bias")
        if isinstance(module, nn.Linear)
    }


def check_reads(read, pruning):
    """Kept is what is not zero (the fresh net has no zero); all weights are named."""
    model = net()
    pruning(model)
    mask = read(model)
    assert [name for name in mask if "bias" not in name] == [f"fc{i}.weight" for i in (1, 2, 3)]
    for name, value in computed_with(model).items():
        if name in mask:
            assert mask[name].dtype == torch.bool
            assert torch.equal(mask[name], value != 0), name
        else:
            assert name.endswith("bias")
            assert bool(value.all()), f"{name} is pruned"


READERS = {
    "model": PruningMask.from_torch_prune,
    "state": lambda model: PruningMask.from_state_dict(model.state_dict()),
}


@pytest.mark.parametrize("pruning", PRUNINGS)
@pytest.mark.parametrize("reader", READERS)
def test_reads_what_torch_pruned(reader, pruning):
    check_reads(READERS[reader], pruning)


def reads_the_originals(model):
    state = {n.removesuffix("_orig"): v for n, v in model.state_dict().items()}
    return PruningMask.from_state_dict({n: v for n, v in state.items() if "_mask" not in n})


def reads_pruned_layers_only(model):
    mask = PruningMask.from_torch_prune(model)
    pruned = {n.removesuffix("_mask") for n in model.state_dict() if n.endswith("_mask")}
    return PruningMask.from_tensors({n: mask[n] for n in mask if n in pruned})


def reads_weights_only(model):
    mask = PruningMask.from_torch_prune(model)
    return PruningMask.from_tensors({n: m for n, m in mask.items() if not n.endswith("bias")})


def keeps_the_pruned(model):
    mask = PruningMask.from_torch_prune(model)
    return PruningMask.from_tensors({n: ~m for n, m in mask.items()})


@pytest.mark.parametrize(
    ("mutant", "pruning"),
    [
        (reads_the_originals, one_layer),
        (reads_pruned_layers_only, whole_rows),
        (reads_weights_only, biases_too),
        (keeps_the_pruned, all_layers),
    ],
)
def test_other_readers_are_caught(mutant, pruning):
    with pytest.raises(AssertionError):
        check_reads(mutant, pruning)


def test_reads_convolutions_in_model_order():
    model = nn.Sequential(nn.Linear(2, 2), nn.Conv1d(1, 2, 3, bias=False), nn.BatchNorm1d(2))
    prune.ln_structured(model[1], "weight", amount=1, n=2, dim=0)
    prune.random_unstructured(model[2], "weight", amount=1)
    mask = PruningMask.from_torch_prune(model)
    assert list(mask) == ["0.weight", "1.weight", "2.weight"]
    assert [int(kept.sum()) for kept in mask.values()] == [4, 3, 1]
    assert mask["1.weight"].shape == (2, 1, 3)


def test_a_shared_parameter_is_named_once():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    whole = PruningMask(model)
    mask = select({"0.weight": torch.arange(9).view(3, 3)}, whole, Budget(4))
    plain = mask.apply(copy.deepcopy(model))
    mask.to_torch_prune(model)
    x = torch.ones(2, 3)
    assert torch.equal(model(x), plain(x))
    assert PruningMask.from_torch_prune(model) == mask
    assert list(PruningMask.from_torch_prune(model)) == ["0.weight"]


def test_a_shared_parameter_pruned_in_one_layer_only():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    prune.l1_unstructured(model[0], "weight", amount=2)
    with pytest.raises(UsageError, match=r"'0\.weight' and '1\.weight' are one parameter, pruned"):
        PruningMask.from_torch_prune(model)


def test_what_torch_prune_has_not_touched():
    with pytest.raises(UsageError, match=r"remove\(\).*use PruningMask\.from_state_dict"):
        PruningMask.from_torch_prune(net())


def test_a_mask_that_is_none():
    layer = prune.identity(nn.Linear(2, 1), "weight")
    layer.weight_mask.fill_(0.5)
    for read in READERS.values():
        with pytest.raises(UsageError, match="mask of 'weight' has values other than 0 and 1"):
            read(layer)


@st.composite
def masks_of_nets(draw):
    stream = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    density = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    names = draw(st.sets(st.sampled_from(["fc1.weight", "fc2.weight", "fc3.weight", "fc1.bias"])))
    shapes = {name: value.shape for name, value in net().named_parameters()}
    return PruningMask.from_tensors(
        {n: torch.rand(shapes[n], generator=stream) < density for n in sorted(names or shapes)}
    )


def check_puts_into_torch_form(to_torch_prune):
    """Same outputs as with zeros, weights kept, and the mask is read back."""

    @law
    @given(masks_of_nets())
    def check(mask):
        model = net()
        before = copy.deepcopy(model.state_dict())
        plain = mask.apply(net())
        assert to_torch_prune(mask, model) is model
        x = torch.randn(4, 12, generator=torch.Generator().manual_seed(0))
        assert torch.equal(model(x), plain(x))
        state = model.state_dict()
        assert set(state) == {
            f"{name}{suffix}"
            for name in before
            for suffix in (["_orig", "_mask"] if name in mask else [""])
        }
        for name, value in before.items():
            assert torch.equal(state[f"{name}_orig" if name in mask else name], value), name
        for name, kept in mask.items():
            assert torch.equal(state[f"{name}_mask"] != 0, kept), name
        found = PruningMask.from_torch_prune(model)
        assert all(torch.equal(found[name], kept) for name, kept in mask.items())
        assert set(found) == set(mask) | set(prunable_parameters(net()))

    check()


def test_puts_into_torch_form():
    check_puts_into_torch_form(PruningMask.to_torch_prune)


def forgets_the_pruned_weights(mask, model):
    return mask.to_torch_prune(mask.apply(model))


def makes_them_zero(mask, model):
    return mask.apply(model)


def prunes_the_kept(mask, model):
    return PruningMask.from_tensors({n: ~m for n, m in mask.items()}).to_torch_prune(model)


@pytest.mark.parametrize("mutant", [forgets_the_pruned_weights, makes_them_zero, prunes_the_kept])
def test_other_torch_forms_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_puts_into_torch_form(mutant)


@pytest.mark.parametrize(
    ("make", "run"),
    [
        (lambda: nn.LSTM(3, 4, 2, bidirectional=True), lambda model, x: model(x)[0]),
        (lambda: nn.GRUCell(3, 4), lambda model, x: model(x[0])),
        (lambda: nn.MultiheadAttention(3, 1), lambda model, x: model(x, x, x)[0]),
        (lambda: nn.Conv2d(5, 2, (2, 1)), lambda model, x: model(x)),
        (lambda: nn.DataParallel(nn.Linear(3, 4)), lambda model, x: model(x)),
        (lambda: torch.compile(nn.Linear(3, 4), backend="eager"), lambda model, x: model(x)),
    ],
    ids=["LSTM", "GRUCell", "attention", "convolution", "DataParallel", "compiled"],
)
def test_layers_of_all_kinds(make, run):
    model = make()
    stream = torch.Generator().manual_seed(0)
    mask = PruningMask.from_tensors(
        {n: torch.rand(m.shape, generator=stream) < 0.5 for n, m in PruningMask(model).items()}
    )
    plain = mask.apply(copy.deepcopy(model))
    mask.to_torch_prune(model)
    x = torch.randn(5, 2, 3, generator=stream)
    assert torch.equal(run(model, x), run(plain, x))
    assert PruningMask.from_torch_prune(model) == mask
    assert list(PruningMask.from_torch_prune(model)) == list(mask)
    if not isinstance(model, nn.DataParallel):  # a state_dict does not say what `module.` is
        assert PruningMask.from_state_dict(model.state_dict()) == mask
        assert PruningMask.from_state_dict(plain.state_dict()) == mask


def test_trains_and_leaves_the_torch_form_as_torch_does():
    mask = select(prunable_parameters(net()), PruningMask(net()), Budget(40))
    model = mask.to_torch_prune(net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(2, 12)).sum().backward()
    optimizer.step()
    for layer in (model.fc1, model.fc2, model.fc3):
        prune.remove(layer, "weight")
    assert PruningMask.from_state_dict(model.state_dict()) == mask
    assert list(PruningMask.from_state_dict(model.state_dict())) == list(mask)


@pytest.mark.parametrize(
    ("name", "shape", "problem"),
    [
        ("fc1.weight", (8, 12), "'fc1.weight' is in the form of torch.nn.utils.prune already"),
        ("fc2.weigh", (5, 8), "no parameter 'fc2.weigh', which the mask names; did you mean"),
        ("fc2.weight", (8, 5), r"mask of 'fc2.weight' has shape \(8, 5\), the model has \(5, 8\)"),
    ],
)
def test_a_refusal_leaves_the_model_as_it_was(name, shape, problem):
    model = net()
    prune.identity(model.fc1, "weight")
    before = list(model.state_dict())
    mask = PruningMask.from_tensors(
        {"fc3.weight": torch.ones(3, 5, dtype=bool), name: torch.ones(shape, dtype=bool)}
    )
    with pytest.raises(UsageError, match=problem):
        mask.to_torch_prune(model)
    assert list(model.state_dict()) == before


STATE = {
    "conv.weight": torch.tensor([[[0.0, 1.0]]]),
    "conv.bias": torch.tensor([0.0]),
    "norm.weight": torch.tensor([0.0, 1.0]),
    "norm.num_batches_tracked": torch.tensor(3),
    "fc.weight": torch.tensor([[float("nan"), -0.0], [1e-45, -2.0]]),
    "extra_state": {"not": "a tensor"},
}


def test_zeros_of_a_state_dict():
    mask = PruningMask.from_state_dict(STATE)
    assert {name: kept.tolist() for name, kept in mask.items()} == {
        "conv.weight": [[[False, True]]],
        "fc.weight": [[True, False], [True, True]],
    }
    assert list(mask) == ["conv.weight", "fc.weight"]


def test_chosen_names_of_a_state_dict():
    mask = PruningMask.from_state_dict(STATE, names=["norm.weight", "conv.bias"])
    assert {n: m.tolist() for n, m in mask.items()} == {
        "norm.weight": [False, True],
        "conv.bias": [False],
    }
    assert list(PruningMask.from_state_dict(STATE, names="fc.weight")) == ["fc.weight"]
    assert list(PruningMask.from_state_dict(STATE, names=())) == []
    with pytest.raises(UsageError, match=r"no tensor 'fc\.weigth'; did you mean 'fc\.weight'"):
        PruningMask.from_state_dict(STATE, names=["fc.weigth"])


def test_a_state_dict_without_weights():
    for state in ({}, {"model": STATE}, {"bias": torch.ones(2)}):
        with pytest.raises(UsageError, match=r"no weight of two or more dimensions.*names="):
            PruningMask.from_state_dict(state)


def test_a_mask_beside_its_weight_decides():
    weight, mask = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    for name in ("weight", "weight_orig"):
        found = PruningMask.from_state_dict({name: weight, "weight_mask": mask})
        assert list(found) == ["weight"]
        assert found["weight"].tolist() == [[True, False]]
    # a tensor that happens to be called so, of another shape, is no mask
    found = PruningMask.from_state_dict({"weight": weight, "weight_mask": torch.ones(3)})
    assert found["weight"].tolist() == [[False, True]]


DTYPES = [
    *(torch.bool, torch.uint8, torch.uint16, torch.int8, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("file", ["mask.pt", "mask.pth"])
def test_files_of_others(file, dtype, tmp_path):
    rows = {"fc.weight": [[1, 0], [0, 0]], "fc.bias": [0, 1]}
    torch.save({n: torch.tensor(row).to(dtype) for n, row in rows.items()}, tmp_path / file)
    mask = PruningMask.from_file(tmp_path / file)
    assert {name: kept.int().tolist() for name, kept in mask.items()} == rows
    assert all(kept.dtype == torch.bool for kept in mask.values())
    other = PruningMask.from_tensors({n: torch.ones_like(m) for n, m in mask.items()})
    assert other.load(tmp_path / file) == mask


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("fc.weight", "fc.weight"),
        ("fc.weight_mask", "fc.weight"),
        ("fc.weight.mask", "fc.weight"),
        ("fc.mask", "fc.weight"),
        ("fc.bias_mask", "fc.bias"),
        ("fc.bias.mask", "fc.bias"),
        ("w_mask", "w"),
        ("_mask", "_mask"),
    ],
)
def test_names_of_others(key, name, tmp_path):
    torch.save({key: torch.tensor([[1.0, 0.0]])}, tmp_path / "mask.pt")
    assert list(PruningMask.from_file(tmp_path / "mask.pt")) == [name]


def test_loading_prefers_the_names_that_it_has(tmp_path):
    mask = PruningMask.from_tensors({"routing_mask": torch.tensor([True, False])})
    mask.save(tmp_path / "mask.pt")
    other = PruningMask.from_tensors({"routing_mask": torch.tensor([True, True])})
    assert other.load(tmp_path / "mask.pt") == mask


@pytest.mark.parametrize("value", [0.5, -1.0, 2.0, float("nan"), float("inf"), 1 + 1e-12])
def test_values_that_are_no_mask(value, tmp_path):
    good, bad = torch.ones(2), torch.tensor([0.0, value, 1.0], dtype=torch.float64)
    torch.save({"good": good, "bad": bad}, tmp_path / "mask.pt")
    with pytest.raises(DataError, match="'bad' has values other than 0 and 1") as caught:
        PruningMask.from_file(tmp_path / "mask.pt")
    assert str(tmp_path / "mask.pt") in str(caught.value)


def test_two_masks_of_one_parameter(tmp_path):
    torch.save({"w.mask": torch.ones(2), "w.weight_mask": torch.ones(2)}, tmp_path / "mask.pt")
    with pytest.raises(DataError, match=r"mask\.pt: holds two masks of 'w\.weight'"):
        PruningMask.from_file(tmp_path / "mask.pt")


@pytest.mark.parametrize("dtype", [torch.complex64, torch.bits8])
def test_types_that_are_no_mask(dtype, tmp_path):
    torch.save({"w": torch.empty(2, dtype=dtype)}, tmp_path / "mask.pt")
    with pytest.raises(DataError, match="or tensors of zeros and ones"):
        PruningMask.from_file(tmp_path / "mask.pt")
