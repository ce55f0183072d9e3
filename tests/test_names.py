import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributed, nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import (
    MaskedParameters,
    PruningMask,
    canonical_name,
    find_parameters,
    prunable_parameters,
)
from lottery_ticket.names import check_shape


def compiled(model):
    """Wrapped, that is: nothing is compiled before the first call."""
    return torch.compile(model, backend="eager")


class Net(nn.Module):
    """Its own attributes are called as a wrapper would call them."""

    def __init__(self):
        super().__init__()
        self.module = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        self.weight = nn.Parameter(torch.ones(2))
        self.head = nn.Linear(2, 1)


NAMES = ["weight", "module.0.weight", "module.0.bias", "head.weight", "head.bias"]
PRUNABLE = ["module.0.weight", "head.weight"]


def compiled_inside(model):
    model.module = compiled(model.module)
    model.head = nn.DataParallel(model.head)
    return model


WRAPPERS = {
    "plain": lambda model: model,
    "compiled": compiled,
    "data parallel": nn.DataParallel,
    "both": lambda model: nn.DataParallel(compiled(model)),
    "both, other way round": lambda model: compiled(nn.DataParallel(model)),
    "inside": compiled_inside,
    "everywhere": lambda model: nn.DataParallel(compiled(compiled_inside(model))),
}


def check_canonical_names(names_of):
    for wrap in WRAPPERS.values():
        assert sorted(names_of(wrap(Net()))) == sorted(NAMES)


def test_canonical_names():
    check_canonical_names(
        lambda model: [canonical_name(name, model) for name, _ in model.named_parameters()]
    )


@pytest.mark.parametrize(
    "mutant",
    [
        lambda name: name,
        lambda name: name.removeprefix("module."),
        lambda name: name.removeprefix("_orig_mod."),
        lambda name: name.replace("_orig_mod.", ""),
        lambda name: name.replace("_orig_mod.", "").replace("module.", ""),
        lambda name: name.replace("_orig_mod.", "").removeprefix("module."),
    ],
)
def test_stripping_by_name_is_caught(mutant):
    with pytest.raises(AssertionError):
        check_canonical_names(lambda model: [mutant(name) for name, _ in model.named_parameters()])


def test_names_without_a_model():
    assert canonical_name("_orig_mod.encoder._orig_mod.0.weight") == "encoder.0.weight"
    assert canonical_name("module.0.weight") == "module.0.weight"
    assert canonical_name("my_orig_mod.weight") == "my_orig_mod.weight"


def test_names_of_modules_and_buffers():
    model = compiled(nn.Sequential(nn.BatchNorm1d(2)))
    for name, _ in [*model.named_modules(), *model.named_buffers()]:
        assert "_orig_mod" not in canonical_name(name, model)
    assert canonical_name("not.there", model) == "not.there"


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_a_mask_fits_however_the_model_is_wrapped(wrap):
    plain = PruningMask(Net())
    assert list(plain) == PRUNABLE
    model = wrap(Net())
    assert PruningMask(model) == plain
    assert list(PruningMask(model, targets=["re:module", "head.bias"])) == [
        "module.0.weight", "head.bias",
    ]  # fmt: skip
    assert list(PruningMask(model, ignore=["module"])) == ["head.weight"]
    plain["module.0.weight"][0] = False
    before = copy.deepcopy(dict(model.named_parameters()))
    assert plain.apply(model) is model
    found = find_parameters(model, PRUNABLE)
    assert list(found) == PRUNABLE
    assert found["module.0.weight"].detach()[:, 0].tolist()[0] == 0.0
    assert found["module.0.weight"].count_nonzero() == 3
    changed = [n for n, p in model.named_parameters() if not torch.equal(p, before[n])]
    assert len(changed) == 1
    with torch.no_grad():
        found["module.0.weight"].fill_(1.0)
    MaskedParameters(model, plain).zero_weights_()
    assert found["module.0.weight"].count_nonzero() == 3
    assert all(value is found[name] for name, value in prunable_parameters(model).items())


def test_distributed_data_parallel():
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(Net())
        assert list(PruningMask(model)) == PRUNABLE
        assert list(find_parameters(model, NAMES)) == NAMES
    finally:
        distributed.destroy_process_group()


def test_canonical_names_win():
    """`module.0.weight` is a name in the wrapper too, but of another module."""
    model = nn.DataParallel(nn.ModuleList([nn.Linear(2, 1)]))
    model.module.add_module("module", nn.Sequential(nn.Linear(2, 1)))
    found = find_parameters(model, ["module.0.weight", "0.weight"])
    assert found["module.0.weight"] is model.module.module[0].weight
    assert found["0.weight"] is model.module[0].weight


def test_the_models_own_names_are_found_too():
    model = nn.DataParallel(compiled(nn.Linear(2, 1)))
    found = find_parameters(model, ["module._orig_mod.weight"])
    assert list(found) == ["module._orig_mod.weight"]


def test_a_wrapped_name_in_a_model_that_is_not_wrapped():
    for name in ("module.weight", "_orig_mod.weight"):
        with pytest.raises(UsageError, match=f"no parameter '{name}', which the mask names"):
            find_parameters(nn.Linear(2, 1), [name])


def test_the_nearest_name():
    with pytest.raises(UsageError, match=r"'head.wieght', .*; did you mean 'head.weight'\?$"):
        find_parameters(Net(), ["head.wieght"])
    with pytest.raises(UsageError, match=r"no parameter 'x', which the mask names$"):
        find_parameters(Net(), ["x"])


def tied():
    model = nn.ModuleDict({"embed": nn.Embedding(3, 2), "head": nn.Linear(2, 3, bias=False)})
    model["head"].weight = model["embed"].weight
    return model


SHAPES = st.lists(st.integers(0, 3), max_size=3)


@given(SHAPES, SHAPES)
def test_a_shape_fits_its_like_alone(one, other):
    for wrap in (tuple, torch.Size, list):
        if one == other:
            check_shape("w", wrap(one), tuple(other), "the mask")
            continue
        with pytest.raises(UsageError) as told:
            check_shape("w", wrap(one), tuple(other), "the mask")
        assert str(told.value) == f"w has shape {tuple(one)}, the mask has {tuple(other)}"


@pytest.mark.parametrize("name", ["embed.weight", "head.weight"])
def test_any_name_of_a_tied_parameter(name):
    model = tied()
    mask = PruningMask.from_tensors({name: torch.zeros(3, 2, dtype=torch.bool)})
    assert list(find_parameters(model, mask)) == [name]
    assert not mask.apply(model)["head"].weight.any()


def test_a_tied_parameter_under_two_names():
    with pytest.raises(
        UsageError, match=r"'embed.weight' and 'head.weight' are one tied parameter"
    ):
        find_parameters(tied(), ["embed.weight", "head.weight"])


def test_a_shared_module_has_each_of_its_names():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, compiled(layer))
    assert list(prunable_parameters(model)) == ["0.weight"]
    assert list(prunable_parameters(model, targets=["1"])) == ["0.weight"]
    assert find_parameters(model, ["1.weight"])["1.weight"] is layer.weight
