"""What cannot be exported or measured: a clear error before any work, and nothing left behind."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from lottery_ticket.data import Split
from lottery_ticket.errors import DataError, LotteryError, UsageError
from lottery_ticket.export import PrunedModel, compact, export, measure, read_packed, sparse
from lottery_ticket.masks import PruningMask
from lottery_ticket.tickets import Ticket, WeightsOrigin

X = torch.rand(6, 4)


def chain(outputs=3):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, outputs)).eval()
    net[0].weight.data[:, 2:] = 0
    return net


def pruned(**more):
    return PrunedModel.of(chain(), X, **more)


class Says(nn.Module):
    """Whether its layer's outputs are positive: no numbers to compare."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x) > 0


def in_pruning():
    net = chain()
    prune.l1_unstructured(net[2], "weight", 0.5)
    return net


UNFIT = {
    "no module": (lambda: 3, "model: got int, wanted a torch.nn.Module"),
    "of torch.nn.utils.prune": (in_pruning, "prune.remove first"),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(5), nn.Linear(5, 3)), "0.weight has no values"),
}


@pytest.mark.parametrize("use", [lambda net: PrunedModel.of(net, X), lambda net: compact(net, X),
                                 lambda net: sparse(net, X)])  # fmt: skip
@pytest.mark.parametrize("name", UNFIT)
def test_models(name, use):
    make, message = UNFIT[name]
    with pytest.raises(UsageError, match=message):
        use(make())


class WithExtra(nn.Linear):
    def get_extra_state(self):
        return {"calls": 3}

    def set_extra_state(self, state):
        pass


class WithoutState(nn.Linear):
    def state_dict(self, *args, **kwargs):
        raise ValueError("not here")


def quantised():
    layer = nn.Linear(4, 3)
    layer.register_buffer("codes", torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8))
    return layer


def with_sparse_buffer():
    layer = nn.Linear(4, 3)
    layer.register_buffer("index", torch.eye(3).to_sparse())
    return layer


STATES = {
    "extra state": (lambda: WithExtra(4, 3), "state '0._extra_state' is a dict; only dense"),
    "quantised": (quantised, r"state '0.codes' is a tensor of torch.qint8 in the layout"),
    "sparse": (with_sparse_buffer, r"state '0.index' is a tensor of .* layout torch.sparse_coo"),
    "none": (lambda: WithoutState(4, 3), r"no state that could be saved \(ValueError: not here"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", STATES)
def test_state_that_no_file_can_hold(name):
    make, message = STATES[name]
    net = nn.Sequential(make())
    with pytest.raises(UsageError, match=message):
        PrunedModel.of(net, X)
    with pytest.raises(UsageError, match=message):
        PrunedModel.of(nn.Sequential(nn.Linear(4, 3)), X, dense=net)
    state = nn.Sequential(nn.Linear(4, 3)).state_dict()
    ones = {"0.weight": torch.ones(3, 4, dtype=torch.bool)}
    ticket = Ticket(PruningMask.from_tensors(ones), WeightsOrigin(state), trained=state)
    with pytest.raises(UsageError, match=message):
        PrunedModel.of_ticket(ticket, X, model=net)
    assert compact(net, X).max_difference == 0  # which writes no state


def test_outputs_that_are_no_numbers():
    with pytest.raises(UsageError, match=r"got torch\.bool outputs, wanted floating-point ones"):
        PrunedModel.of(Says(), X)
    net = chain()
    net[2].weight.data[0, 0] = math.nan
    with pytest.raises(UsageError, match=r"outputs for the example are NaN"):
        compact(net, X)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"calibration": X.numpy()}, "calibration: got ndarray, wanted a tensor"),
        ({"calibration": X[:, :2]}, r"calibration: got torch.float32 \(6, 2\), wanted one or more"),
        ({"calibration": X.double()}, r"calibration: got torch.float64"),
        ({"calibration": X[:0]}, r"calibration: got torch.float32 \(0, 4\)"),
        ({"calibration": X / 0}, "calibration: it has values that are not finite"),
        ({"test": (X, X)}, "test: got tuple, wanted a Split"),
        ({"test": Split(X[:, :2], torch.zeros(6, dtype=torch.int64))}, r"test: got .* \(6, 2\)"),
        ({"mask": {}}, "mask: got dict, wanted a PruningMask"),
        ({"dense": {}}, "model: got dict, wanted a torch.nn.Module"),
        ({"facts": {"note": X}}, "facts: wanted plain JSON values"),
        ({"facts": {"metrics": {"accuracy": math.nan}}}, "facts: wanted plain JSON values"),
        ({"facts": {"data": "mnist"}}, "facts: data: wanted a mapping, got 'mnist'"),
        ({"facts": {"pruning": "by hand"}}, "facts: pruning: the card says that itself"),
    ],
)
def test_what_is_given_with_a_model(more, message):
    with pytest.raises(UsageError, match=message):
        pruned(**more)


def test_facts_that_say_little(tmp_path):
    norm = {"mean": [0.5], "std": [0.2]}
    facts = {"model": {"name": "Mine"}, "data": {"normalisation": norm}}
    folder = export(pruned(facts=facts), out=tmp_path / "out").path
    said = (folder / "README.md").read_text()
    assert "Inputs were normalised: {'mean': [0.5], 'std': [0.2]}." in said


@pytest.mark.parametrize(
    ("given", "how", "message"),
    [
        (chain(), {}, r"got a module, wanted PrunedModel\.of"),
        (pruned(), {"format": None}, "format: got None, wanted a name"),
        (pruned(), {"format": [3]}, "format: got 3, wanted a name"),
        (pruned(), {"optset": 18}, "unknown option 'optset'; did you mean 'opset'"),
        (pruned(), {"format": "onnx", "opset": "18"}, "opset: got '18', wanted a whole number"),
        (PrunedModel.of(chain().double(), X.double(), calibration=X.double()), {"format": "int8"},
         "0.weight is torch.float64, wanted float32"),
        (PrunedModel.of(chain().double(), X.double()), {"format": "int8-dynamic"},
         "0.weight is torch.float64, wanted float32"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported(given, how, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        export(given, out=tmp_path / "new" / "deeper" / "out", **how)
    assert list(tmp_path.iterdir()) == []  # not even the folders that would lead to it


@pytest.mark.parametrize(
    ("name", "format", "message"),
    [
        ("out.pt", "packed", "named like a file, but a file of packed ends in .safetensors"),
        ("out.onnx", ["packed", "onnx"], "named like a file, but several formats want a folder"),
        ("o" * 300, "packed", "cannot be written"),
    ],
)
def test_where_nothing_can_be_written(name, format, message, tmp_path):
    with pytest.raises(LotteryError, match=message):
        export(pruned(), format=format, out=tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_the_card_of_another_file_stays(tmp_path):
    card = tmp_path / "out.safetensors.card.json"
    card.write_text("mine")
    with pytest.raises(UsageError, match=r"card\.json is there already"):
        export(pruned(), format="packed", out=tmp_path / "out.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == [card.name]
    assert card.read_text() == "mine"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"threads": 0}, "threads: wanted a number more than 0, got 0"),
        ({"threads": 1.5}, "threads: wanted a number more than 0, got 1.5"),
        ({"threads": None}, "threads: wanted a number more than 0, got None"),
        ({"seconds": math.nan}, "seconds: wanted a number more than 0, got nan"),
        ({"seconds": math.inf}, "seconds: wanted a number more than 0, got inf"),
        ({"batch_size": 0}, "batch_size: wanted a number more than 0, got 0"),
        ({"forms": "onnx", "batch_size": 8}, "batch_size: it has an effect on sparse alone"),
        ({"forms": "onyx"}, "unknown format 'onyx'; did you mean 'onnx'"),
    ],
)
def test_what_cannot_be_measured(how, message):
    with pytest.raises(UsageError, match=message):
        measure(pruned(), **how)


def test_a_bare_model_is_not_measured():
    with pytest.raises(UsageError, match=r"got Sequential, wanted PrunedModel\.of"):
        measure(chain())


def test_files_that_are_not_there_or_not_ours(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_packed(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    state = export(pruned(), out=tmp_path / "state.safetensors").path
    for path in (tmp_path / "text", state):
        with pytest.raises(DataError, match="not a readable file of the format packed"):
            read_packed(path)
    for path in (tmp_path / "no" / "such", tmp_path):
        with pytest.raises(LotteryError, match=r"cannot be written|is not replaced"):
            sparse(chain(), X, layers="all").save(path)
