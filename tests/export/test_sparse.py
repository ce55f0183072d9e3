"""Sparse execution gives the outputs of the dense net, and its file gives them back."""

import copy
import json
import os
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pruned_nets import branched, convolutional, images, mlp, nets, zeroed_
from safetensors.torch import load_file, save_file
from torch import nn

from lottery_ticket import kernels
from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.export import Sparse, compact, load_sparse, sparse
from lottery_ticket.export.sparse_nets.chains import SparseChain
from lottery_ticket.export.sparse_nets.tensor_rows import from_rows, to_rows
from lottery_ticket.models import build
from lottery_ticket.process import on_threads

LAW = {"deadline": None, "derandomize": True, "database": None}


def close(found, wanted):
    """float32 sums in another order: 1e-4 of the largest output."""
    atol = 1e-4 * max([1.0, *wanted.abs().flatten().tolist()])
    torch.testing.assert_close(found, wanted, rtol=0, atol=atol)


def chain_net(seed=0, widths=(12, 9, 7, 3), density=0.4):
    layers = [
        part
        for inputs, outputs in pairwise(widths)
        for part in (nn.Linear(inputs, outputs), nn.ReLU())
    ]
    return zeroed_(nn.Sequential(*layers[:-1]), seed, density, None)


@torch.no_grad()
def check_outputs(sparse, net, ways, is_compacted):
    """Law 10: any choice of layers gives equal outputs, in batches of any size."""
    net = compact(net, images()).model if is_compacted else net
    found = sparse(net, images(), 8, layers=ways)
    assert set(found.layers.values()) <= {ways}
    for count in (1, 5, 150):
        x = images(count, seed=count)
        close(found.model(x), net(x))


def all_or_none(sparse, num_nets, phases=tuple(Phase)):
    @settings(**LAW, max_examples=num_nets, phases=phases)
    @given(nets([mlp, convolutional, branched]), st.booleans())
    def law(net, is_compacted):
        check_outputs(
            lambda *a, layers, **k: sparse(*a, layers=WAYS[layers], **k),
            net,
            "sparse",
            is_compacted,
        )

    law()


WAYS = {"sparse": "all", "dense": "none"}


@pytest.mark.parametrize("num_nets", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_outputs_are_equal(num_nets):
    all_or_none(sparse, num_nets)


def changed(change):
    def mutant(net, example, batch_size, *, layers):
        found = sparse(net, example, batch_size, layers=layers)
        for module in found.model.modules():
            if isinstance(module, SparseChain):
                module._arrays = change(*module._arrays)
        return found

    return mutant


@changed
def without_biases(read, starts, columns, values, bias, widths, activations):
    return read, starts, columns, values, 0 * bias, widths, activations


@changed
def without_activations(read, starts, columns, values, bias, widths, activations):
    return read, starts, columns, values, bias, widths, 0 * activations


@changed
def with_other_inputs(read, starts, columns, values, bias, widths, activations):
    return read[::-1].copy(), starts, columns, values, bias, widths, activations


@changed
def with_values_in_another_order(read, starts, columns, values, bias, widths, activations):
    return read, starts, columns, values[::-1].copy(), bias, widths, activations


@pytest.mark.parametrize(
    "mutant",
    [without_biases, without_activations, with_other_inputs, with_values_in_another_order],
)
def test_other_executions_are_caught(mutant):
    with pytest.raises(AssertionError):
        all_or_none(mutant, 200, [Phase.generate])


@pytest.mark.parametrize("num_examples", [0, 1, 15, 16, 17, 128, 129, 300])
def test_the_kernel_takes_any_number_of_examples(num_examples):
    net = chain_net()
    x = torch.randn(num_examples, 12)
    found = sparse(net, torch.randn(4, 12), layers="all")
    assert [type(m) for m in found.model.children()] == [SparseChain]  # one call for all layers
    with torch.no_grad():
        close(found.model(x), net(x))


@pytest.fixture(scope="module")
def large_net():
    """Large enough for a few examples to be shared out among threads."""
    return sparse(
        chain_net(widths=(1600, 1600, 3), density=0.95), torch.randn(4, 1600), layers="all"
    ).model


@pytest.mark.parametrize("num_examples", [1, 2, 40, 127])
def test_threads_give_the_same_bytes(num_examples, large_net):
    x = torch.randn(num_examples, 1600)
    with on_threads(1):
        wanted = large_net(x)
    with on_threads(3):
        assert torch.equal(large_net(x), wanted)


def test_the_kernel_by_hand():
    """Two layers: y = relu(2 a + 1), z = 3 y − 1, of the second of three features."""
    out = np.empty((2, 1), np.float32)
    kernels.linear_chain(
        np.array([[9, 1, 9], [9, -4, 9]], np.float32),
        np.array([1]),
        np.array([0, 1, 1, 2], np.int32),
        np.array([0, 0], np.int32),
        np.array([2, 3], np.float32),
        np.array([1, -1], np.float32),
        np.array([1, 1]),
        np.array([kernels.RELU, kernels.IDENTITY]),
        out,
    )
    assert out.tolist() == [[8.0], [-1.0]]


@given(st.lists(st.sampled_from(["sparse", "dense"]), min_size=3, max_size=3))
@settings(**LAW, max_examples=8)
def test_layers_can_be_forced(ways):
    net, x = chain_net(), torch.randn(4, 12)
    wanted = dict(zip(["0", "2", "4"], ways, strict=True))
    found = sparse(net, x, layers=wanted)
    assert (found.layers, found.seconds) == (wanted, {})
    with torch.no_grad():
        close(found.model(x), net(x))


def test_the_others_are_measured():
    found = sparse(chain_net(), torch.randn(4, 12), 32, layers={"2": "dense"})
    assert found.layers["2"] == "dense"
    assert set(found.layers) == {"0", "2", "4"}
    assert found.batch_size == 32
    assert all(found.seconds[way] > 0 for way in ("dense", "sparse", "chosen"))


def test_what_is_measured_decides():
    """4 weights of 1,000,000, and all of 64: no machine's noise hides either."""
    net = nn.Sequential(nn.Linear(1000, 1000), nn.ReLU(), nn.Linear(1000, 1)).eval()
    net[0].weight.data.flatten()[4:] = 0
    found = sparse(net, torch.randn(64, 1000), 64)
    assert found.layers["0"] == "sparse"
    dense = nn.Linear(1024, 1024).eval()
    assert sparse(nn.Sequential(dense), torch.randn(256, 1024)).layers == {"0": "dense"}


def test_the_original_stays_as_it_is():
    net = chain_net()
    before = copy.deepcopy(net.state_dict())
    sparse(net, torch.randn(4, 12), layers="all")
    assert [type(m) for m in net] == [type(m) for m in chain_net()]
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "is_compacted"),
    [
        ("LeNet300", False),
        ("LeNet5", True),
        ("ResNet20", False),
        ("VGG11", False),
        ("MLP", True),
        *(
            pytest.param(name, True, marks=pytest.mark.slow)
            for name in ("LeNet300", "ResNet20", "VGG11")
        ),
        *(pytest.param(name, False, marks=pytest.mark.slow) for name in ("LeNet5", "MLP")),
    ],
)
def test_what_is_saved_is_what_is_loaded(name, is_compacted, tmp_path):
    options = {
        "ResNet20": {"width": 0.5, "shortcut": "A"},
        "VGG11": {"width": 0.05},
        "MLP": {"input_size": 784, "num_classes": 2, "activation": "tanh"},
    }
    model = zeroed_(build(name, 0, **options.get(name, {})), 0, 0.05, None)
    x = torch.randn(2, *{"ResNet20": (3, 16, 16), "VGG11": (3, 64, 64)}.get(name, (1, 28, 28)))
    model = compact(model, x).model if is_compacted else model
    found = sparse(model, x, 2, layers="all")
    path = tmp_path / "net.safetensors"
    found.save(path)
    loaded = load_sparse(path)
    assert isinstance(loaded, Sparse)
    for key in ("layers", "batch_size", "seconds", "max_difference"):
        assert getattr(loaded, key) == getattr(found, key)
    assert torch.equal(loaded.model(x), found.model(x))
    for key, value in found.dense.state_dict().items():
        assert torch.equal(loaded.dense.state_dict()[key], value)
        assert loaded.dense.state_dict()[key].dtype == value.dtype
    again = tmp_path / "again.safetensors"
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_a_pruned_net_is_a_small_file(tmp_path):
    model = build("LeNet300", 0).eval()
    generator = torch.Generator().manual_seed(0)
    for value in model.parameters():
        if value.ndim == 2:
            value.data *= torch.rand(value.shape, generator=generator) < 0.035
    sparse(model, torch.randn(2, 784), layers="all").save(tmp_path / "net.safetensors")
    save_file(model.state_dict(), tmp_path / "dense.safetensors")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("net", "dense")]
    assert sizes[1] > 15 * sizes[0]


def test_a_stranger_reads_the_weights(tmp_path):
    """With safetensors and numpy alone: values, columns, and how many in each row."""
    net = chain_net(density=0.1)
    sparse(net, torch.randn(2, 12), layers="all").save(tmp_path / "net.safetensors")
    tensors = {k: v.numpy() for k, v in load_file(tmp_path / "net.safetensors").items()}
    dense = np.zeros((9, 12), np.float32)
    rows = np.repeat(np.arange(9), tensors["0.weight.counts"])
    dense[rows, tensors["0.weight.columns"]] = tensors["0.weight.values"]
    assert np.array_equal(dense, net[0].weight.detach().numpy())


@given(
    st.integers(1, 5), st.integers(1, 300), st.sampled_from([0.0, 0.02, 0.3, 1.0]), st.integers(0)
)
@settings(**LAW, max_examples=50)
def test_rows_give_the_tensor_back(num_rows, width, density, seed):
    generator = torch.Generator().manual_seed(seed % 2**32)
    value = torch.randn(num_rows, width, 2, generator=generator)
    value *= torch.rand(value.shape, generator=generator) < density
    parts = to_rows(value)
    if parts is None:
        assert density > 0 or width < 10
    else:
        assert torch.equal(from_rows(parts, value.shape), value)
        with pytest.raises(ValueError, match="rows that are not of"):
            from_rows(parts, (num_rows + 1, width, 2))


def test_nets_that_have_no_name_in_the_file_are_refused(tmp_path):
    class Mine(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    net = nn.Sequential(nn.Linear(3, 2), Mine())
    with pytest.raises(UsageError, match="a Mine cannot be saved"):
        sparse(net, torch.ones(2, 3)).save(tmp_path / "net.safetensors")
    net = nn.Sequential(nn.Linear(3, 2), nn.GRU(2, 2))
    with pytest.raises(UsageError, match="cannot be saved"):
        sparse(net, torch.ones(2, 3)).save(tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def saved(path, change):
    """A file whose description was changed."""
    sparse(chain_net(), torch.randn(2, 12), layers="all").save(path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    content = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["graph"])
    tensors = load_file(path)
    change(content, tensors)
    save_file(tensors, path, {"graph": json.dumps(content)})


DAMAGE = {
    "another function": lambda c, t: c["nodes"][1].update(op="call_function", target="os.system"),
    "another method": lambda c, t: c["nodes"][1].update(op="call_method", target="backward"),
    "another module": lambda c, t: c["modules"]["0"].update(type="Module"),
    "another operation": lambda c, t: c["nodes"][1].update(op="no_such_op"),
    "another format": lambda c, t: c.update(format="other/1"),
    "a column too many": lambda c, t: t["0.weight.columns"].fill_(200),
    "a value missing": lambda c, t: t.update({"0.weight.values": t["0.weight.values"][1:]}),
    "a tensor missing": lambda c, t: t.pop("0.bias"),
    "a layer unknown": lambda c, t: c["notes"]["layers"].pop("0"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files_are_refused(kind, tmp_path):
    path = tmp_path / "net.safetensors"
    saved(path, DAMAGE[kind])
    with pytest.raises(DataError, match=r"net\.safetensors"):
        load_sparse(path)


CODE = "__import__('os').environ.__setitem__('LOTTERY_RAN', 'yes')"


def with_code_as_default(content, tensors):
    content["nodes"][0]["target"] = f"x={CODE}"


def with_code_as_argument(content, tensors):
    content["nodes"][1]["kwargs"]["dict"][f"x={CODE}, y"] = 1


def with_code_as_module(content, tensors):
    name = f'0") if {CODE} else getattr(self, "0'
    content["modules"][name] = content["modules"]["0"]
    content["nodes"][1]["target"] = name


@pytest.mark.parametrize(
    "change", [with_code_as_default, with_code_as_argument, with_code_as_module]
)
def test_names_are_not_run_as_code(change, tmp_path, monkeypatch):
    """torch writes a graph as Python, with its names as they are, and runs that."""
    monkeypatch.delenv("LOTTERY_RAN", raising=False)
    saved(tmp_path / "net.safetensors", change)
    with pytest.raises(DataError, match="is no name of"):
        load_sparse(tmp_path / "net.safetensors")
    assert "LOTTERY_RAN" not in os.environ


def test_modules_of_odd_names(tmp_path):
    net = nn.Sequential()
    for name in ("layer-1", "a b", "it's", "über", "7"):
        net.add_module(name, nn.Linear(4, 4))
    x = torch.rand(3, 4)
    sparse(net, x, layers="all").save(tmp_path / "net.safetensors")
    with torch.no_grad():
        close(load_sparse(tmp_path / "net.safetensors").model(x), net(x))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_sparse(tmp_path / "none")
    save_file({"w": torch.ones(1)}, tmp_path / "w.safetensors")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("w.safetensors", "empty"):
        with pytest.raises(DataError, match="not a readable file"):
            load_sparse(tmp_path / name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "some"}, "layers: got 'some'; valid: all, auto, none"),
        ({"layers": {"7": "sparse"}}, "layers: '7' is no linear layer"),
        ({"layers": {"0": "csr"}}, "'0': got 'csr'; valid: sparse, dense"),
        ({"batch_size": 0}, "batch_size: wanted 1 or more, got 0"),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        sparse(chain_net(), torch.ones(2, 12), **options)


def test_inputs_that_do_not_fit_are_refused():
    found = sparse(chain_net(), torch.ones(2, 12), layers="all")
    with pytest.raises(UsageError, match="wanted 12 features, got 11"):
        found.model(torch.ones(2, 11))
    with pytest.raises(UsageError, match="in float32 on the CPU"):
        found.model(torch.ones(2, 12, dtype=torch.float64))


def test_layers_of_other_types_stay_dense():
    assert sparse(chain_net().double(), torch.ones(2, 12).double()).layers == {}


class Graph(nn.Module):
    """Layers that a chain must not mix up, by what `forward` does with them."""

    def __init__(self, do):
        super().__init__()
        self.block = nn.ModuleDict({"fc": nn.Linear(6, 6)})
        self.block_fc = nn.Linear(6, 6)
        self.relu = nn.ReLU()
        self.do = do

    def forward(self, x):
        return self.do(self, x)


def called_twice(net, x):
    return torch.cat([net.block_fc(x).relu(), net.block_fc(x + 1)], 1)


def of_like_names(net, x):
    return net.block_fc(net.block["fc"](x).sigmoid())


def hooked(net, x):
    return net.block_fc(net.relu(net.block["fc"](x)))


@pytest.mark.parametrize("do", [called_twice, of_like_names, hooked])
def test_layers_are_not_mixed_up(do):
    net = zeroed_(Graph(do), 0, 0.4, None)
    net.relu.register_forward_hook(lambda module, given, output: output * 2)
    x = torch.randn(7, 6)
    found = sparse(net, x, layers="all")
    with torch.no_grad():
        close(found.model(x), net(x))


def saved_and_loaded(net, x, path):
    sparse(net, x, layers="none" if x.dtype != torch.float32 else "all").save(path)
    return load_sparse(path).model(x)


def test_tied_weights_are_saved(tmp_path):
    net = chain_net(widths=(6, 6, 6))
    net[2].weight = net[0].weight
    x = torch.randn(7, 6)
    with torch.no_grad():
        close(saved_and_loaded(net, x, tmp_path / "s.safetensors"), net(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_dtypes_are_saved_as_they_are(dtype, tmp_path):
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)).to(dtype).eval()
    x = torch.randn(7, 6, dtype=dtype)
    found = saved_and_loaded(net, x, tmp_path / "s.safetensors")
    assert found.dtype == dtype
    assert torch.equal(found, net(x))
