"""n:m on its way out: what is verified, what can be converted, and on a GPU what it computes."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.export import check_n_m, to_semi_structured
from lottery_ticket.export.sparse_nets import two_four as _two_four
from lottery_ticket.masks import PruningMask
from lottery_ticket.pruning import Structured24Pruner, prune

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


def linear_net(inputs: int = 64, outputs: int = 32) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, outputs))


def two_four(model: nn.Module, ignore: tuple[str, ...] = ()) -> nn.Module:
    Structured24Pruner().prune_model(model, PruningMask(model, ignore=ignore))
    return model


# verification


def check_verification(check) -> None:
    """Right where at most n of every m are there, along the inputs of the layer."""
    model = nn.Sequential(nn.Conv2d(8, 4, 3), nn.ConvTranspose2d(4, 3, 2), nn.Linear(8, 6))
    names = ["0.weight", "1.weight", "2.weight"]
    with pytest.raises(UsageError, match=r"not 2:4: 0.weight \(4, 8, 3, 3\): 72 of 72 groups"):
        check(model)
    two_four(model)
    assert check(model) == names
    assert check(model, "3:4") == names
    with pytest.raises(UsageError, match=r"not 1:4: 0.weight .*; 2.weight"):
        check(model, "1:4")
    with torch.no_grad():
        model[2].weight[5] = torch.tensor([1.0, 1, 1, 0, 0, 0, 0, 0])  # fewer than half
    with pytest.raises(UsageError) as refused:
        check(model)
    assert str(refused.value) == (
        "not 2:4: 2.weight (6, 8): 1 of 12 groups keep more than 2. Search with prune.scope: 2:4; "
        "layers that are dense on purpose are left out of the mask, or here with ignore=[…]"
    )
    assert check(model, ignore=["2"]) == names[:2]


def test_verification():
    check_verification(check_n_m)


def counts_by_layer(model, pattern="2:4", *, ignore=()):
    mask = PruningMask(model, ignore=ignore)
    weights = dict(model.named_parameters())
    n, m = (int(part) for part in pattern.split(":"))
    if any(int((weights[name] != 0).sum()) * m > kept.numel() * n for name, kept in mask.items()):
        return check_n_m(model, pattern, ignore=ignore)  # to raise what is expected
    return list(mask)


def along_dimension_1(model, pattern="2:4", *, ignore=()):
    weights = {name: dict(model.named_parameters())[name] for name in PruningMask(model)}
    left_out = [f"{name}.weight" for name in ignore]
    return check_n_m(weights, pattern, ignore=left_out)


@pytest.mark.parametrize("mutant", [counts_by_layer, along_dimension_1])
def test_other_verifications_are_caught(mutant):
    with pytest.raises((AssertionError, UsageError, pytest.fail.Exception)):
        check_verification(mutant)


def test_masks_and_tensors_are_verified_too():
    model = linear_net()
    mask = prune(model, density=0.5, structure="2:4")
    assert check_n_m(mask) == ["0.weight", "2.weight"]
    tensors = {**mask, "2.weight": torch.ones(32, 64)}
    with pytest.raises(UsageError, match=r"not 2:4: 2.weight \(32, 64\): 512 of 512 groups"):
        check_n_m(tensors)
    assert check_n_m(tensors, ignore=["2.weight"]) == ["0.weight"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({}, "2:4"), "check_n_m: there is no weight that could be 2:4"),
        (({"w": torch.zeros(4, 6)}, "2:4"), r"w \(4, 6\): its inputs are no multiple of 4"),
        (({"w": torch.zeros(4)}, "2:4"), r"w \(4,\): its inputs are no multiple of 4"),
        (({"w": torch.zeros(4, 4)}, "channel"), "pattern: got 'channel', wanted n:m, such as"),
        (({"w": torch.zeros(4, 4)}, "4:2"), "structure '4:2' keeps n of every m weights"),
    ],
)
def test_what_cannot_be_verified(arguments, message):
    with pytest.raises(UsageError, match=message):
        check_n_m(*arguments)


# what can be converted: the rules, looked at on the CPU


def convertible(model: nn.Module, ignore: tuple[str, ...] = ()) -> list[str]:
    return _two_four._convertible(model, ignore, device="cpu")


def test_linear_layers_that_are_2_4_are_converted():
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Flatten(), *linear_net())
    two_four(model, ignore=("4",)).half()
    assert convertible(model) == ["2"]  # 4 is dense, 0 is a convolution
    two_four(model)
    assert convertible(model) == ["2", "4"]
    assert convertible(model, ("Conv2d", "4")) == ["2"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            two_four(linear_net()),
            "0: is torch.float32, wanted float16 or bfloat16: model.to(torch.float16); 2: is torch",
        ),
        (
            two_four(linear_net(outputs=10)).half(),
            "2: has 10 outputs and 64 inputs, wanted multiples of",
        ),
        (two_four(linear_net(inputs=36)).bfloat16(), "0: has 64 outputs and 36 inputs, wanted"),
        (linear_net().half(), "none of the 2 linear layers (of those not to ignore) is 2:4"),
        (two_four(nn.Conv2d(4, 4, 3)).half(), "none of the 0 linear layers"),
    ],
)
def test_what_the_hardware_cannot_take_is_named(model, message):
    with pytest.raises(UsageError) as refused:
        convertible(model)
    assert message in str(refused.value)
    if "outputs" in message:
        name = message.partition(":")[0]
        assert str(refused.value).endswith(f"stay dense with ignore=['{name}']")


def test_on_another_device():
    with pytest.raises(UsageError, match=r"0: is on cpu, wanted cuda: model.to\('cuda'\)"):
        _two_four._convertible(two_four(linear_net()).half(), ())


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is wanted where there is no GPU")
def test_without_a_gpu_it_says_what_is_needed():
    with pytest.raises(UsageError) as refused:
        to_semi_structured(two_four(linear_net()).half())
    assert str(refused.value) == (
        "to_semi_structured needs a CUDA device of compute capability 8.0 (Ampere) or later, and "
        "none is found here; check_n_m verifies the weights anywhere, and a dense file of them has "
        "exact zeros"
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="measures where there is a GPU")
def test_the_benchmark_says_that_there_is_nothing_to_measure(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench_two_four.py"])
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    runpy.run_path(str(BENCHMARKS / "bench_two_four.py"), run_name="__main__")
    assert "no CUDA device is found here, so there is nothing to measure" in capsys.readouterr().out


# on a GPU

has_sparse_units = torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)
on_a_gpu = pytest.mark.skipif(not has_sparse_units, reason="wants CUDA, capability 8.0 or later")


@on_a_gpu
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("batch", [1, 7, 64])
def test_outputs_are_those_of_the_dense_model(dtype, batch):
    dense = two_four(linear_net(256, 128)).to("cuda", dtype)
    sparse = to_semi_structured(dense)
    assert isinstance(sparse[0].weight.data, torch.sparse.SparseSemiStructuredTensor)
    assert not isinstance(dense[0].weight.data, torch.sparse.SparseSemiStructuredTensor)
    x = torch.randn(batch, 256, device="cuda", dtype=dtype)
    with torch.inference_mode():
        wanted, found = dense(x), sparse(x)
    assert found.shape == wanted.shape
    # sums in another order, of halves: a few units in the last place of the largest
    eps = torch.finfo(dtype).eps
    assert float((found - wanted).abs().max()) <= 8 * eps * float(wanted.abs().max())


@on_a_gpu
def test_layers_to_ignore_stay_dense():
    dense = two_four(linear_net(256, 10)).to("cuda", torch.float16)
    sparse = to_semi_structured(dense, ignore=["2"])
    assert torch.equal(sparse[2].weight, dense[2].weight)
    with pytest.raises(UsageError, match="2: has 10 outputs"):
        to_semi_structured(dense)
