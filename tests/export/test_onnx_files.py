"""What is in the files for ONNX Runtime."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from onnx import numpy_helper
from shipped_nets import small
from torch import nn

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.export import FORMATS, PrunedModel, export
from lottery_ticket.export._int8 import _reader


@pytest.fixture(scope="session")
def folder(shared_folder):
    """The formats in ONNX, and how often torch's exporter followed the model for them."""

    def fill(folder):
        followed = []

        def export_of_torch(*arguments, **options):
            followed.append(options)
            return torch_exports(*arguments, **options)

        torch_exports = torch.onnx.export
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("torch.onnx.export", export_of_torch)
            export(small(), format=["onnx", "int8", "int8-dynamic", "pt2"], out=folder / "out")
        (folder / "times").write_text(str(len(followed)))

    return shared_folder("onnx", fill) / "out"


def test_the_model_is_followed_once_for_all_of_them(folder):
    assert (folder.parent / "times").read_text() == "1"


def test_batches_of_any_size(folder):
    for name in ("onnx", "int8", "int8-dynamic"):
        run = FORMATS[name].load(folder / FORMATS[name].file_name, small(), 1)
        for size in (1, 2, 31, 256):
            assert run(torch.rand(size, 1, 6, 6)).shape == (size, 5)


def test_input_and_output(folder):
    model = onnx.load(folder / "model.onnx")
    assert [value.name for value in model.graph.input] == ["input"]
    assert [value.name for value in model.graph.output] == ["output"]
    batch, *rest = model.graph.input[0].type.tensor_type.shape.dim
    assert batch.dim_param
    assert [side.dim_value for side in rest] == [1, 6, 6]
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 18


def test_no_path_of_this_machine_is_in_a_file(folder):
    for path in folder.iterdir():
        data = path.read_bytes()
        assert b"shipped_nets.py" not in data, path
        assert str(Path(torch.__file__).parent).encode() not in data, path


def quantised_zeros(path, pruned):
    """For each pruned layer, how many integers of its pruned weights are not the zero point."""
    values = {v.name: numpy_helper.to_array(v) for v in onnx.load(path).graph.initializer}
    wrong = {}
    for name, kept in pruned.mask.items():
        # some versions of the quantiser say in the name that they wrote a product the other way
        stored = next(n for n in (name, f"{name}_Transposed") if f"{n}_quantized" in values)
        found = torch.tensor(values[f"{stored}_quantized"])
        assert (found.dtype, found.abs().max() <= 64) == (torch.int8, True)
        assert not values[f"{stored}_zero_point"].any()
        kept = kept if found.shape == kept.shape else kept.T  # a product is written either way
        wrong[name] = int(found[~kept].count_nonzero())
        assert found[kept].any()
    return wrong


@pytest.mark.parametrize("name", ["int8", "int8-dynamic"])
def test_zeros_stay_zero(name, folder):
    wrong = quantised_zeros(folder / FORMATS[name].file_name, small())
    assert len(wrong) == len(small().mask)
    assert not any(wrong.values())


@pytest.fixture(scope="module")
def of_opset_20(tmp_path_factory):
    """A file in which pruned weights are no zeros."""
    shifted = small()
    for name, kept in shifted.mask.items():
        weight = dict(shifted.model.named_parameters())[name]
        weight.data[~kept] = weight.abs().max()
    out = tmp_path_factory.mktemp("shifted") / "m.onnx"
    return export(shifted, format="int8", out=out, opset=20).path


def test_opset(of_opset_20):
    opsets = {entry.domain: entry.version for entry in onnx.load(of_opset_20).opset_import}
    assert opsets[""] == 20


def test_zeros_that_became_something_are_caught(of_opset_20):
    assert any(quantised_zeros(of_opset_20, small()).values())


def test_int8_is_calibrated_on_training_examples(tmp_path, monkeypatch):
    """Ranges are those of the calibration: what lies far beyond them is cut off."""
    narrow = replace(small(), inputs=50 * small().inputs)
    with pytest.raises(LotteryError, match="format int8: at batch"):
        export(narrow, format="int8", out=tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
    none = PrunedModel.of(small().model, small().inputs)
    with pytest.raises(UsageError, match=r"calibration=x\), or use int8-dynamic"):
        export(none, format="int8", out=tmp_path / "m.onnx")


MISSING = """
import json, sys
import lottery_ticket.cli, torch
from lottery_ticket import export
from lottery_ticket.errors import UsageError

extras = ["onnx", "onnxruntime", "onnxscript", "huggingface_hub"]
said = [[name for name in extras if name in sys.modules]]
pruned = export.PrunedModel.of(torch.nn.Linear(2, 1), torch.rand(1, 2))
for missing, call in (
    (["onnx", "onnxruntime"], lambda: export.export(pruned, format="onnx", out="m.onnx")),
    (["huggingface_hub"], lambda: export.HubModel),
):
    sys.modules |= dict.fromkeys(missing)
    try:
        call()
    except UsageError as error:
        said.append(str(error))
    for name in missing:
        del sys.modules[name]
sys.modules |= dict.fromkeys(extras)
export.export(pruned, out="plain")
print(json.dumps(said))
"""


def test_extras_that_are_missing(tmp_path):
    """They are loaded where they are needed alone, and what needs them says how to install them."""
    said = subprocess.run(
        [sys.executable, "-c", MISSING], cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True
    )
    install = "not installed here: pip install 'lottery-ticket[{}]'"
    assert json.loads(said.stdout) == [
        [],
        f"format onnx needs onnx, onnxruntime, {install.format('onnx')}",
        f"HubModel needs huggingface_hub, {install.format('hub')}",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


@pytest.mark.parametrize(
    ("count", "size", "read"), [(20, 4, 20), (9000, 4, 8192), (600, 2**20, 512)]
)
def test_static_ranges_are_seen_on_many_examples(count, size, read):
    """A value beyond them is cut off in int8."""
    reader = _reader(torch.zeros(1, 1).expand(count, size))
    batches = list(iter(reader.get_next, None))
    assert sum(len(batch["input"]) for batch in batches) == read


def cut_to_one_unit(width):
    """A net of which one hidden unit is left, of large values, that only one output reads."""
    net = nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 3))
    for value in net.parameters():
        value.data.zero_()
    net[0].weight.data[0], net[0].bias.data[0] = 50.0, 100.0
    net[2].weight.data[0, 0], net[2].bias.data[:] = 0.005, torch.tensor([0.0, 0.3, -0.7])
    return PrunedModel.of(net, x := torch.linspace(-1, 1, 600).view(100, 6), calibration=x)


@pytest.mark.parametrize(
    ("name", "width"), [pytest.param("int8", 1, marks=pytest.mark.slow), ("compact-int8", 8)]
)
def test_biases_of_what_is_zero_throughout_are_kept(name, width, tmp_path):
    """The scale of such a row was 1, in which biases were rounded away."""
    out = export(cut_to_one_unit(width), format=name, out=tmp_path / "m.onnx")
    assert out.files[0].max_difference < 0.3 * out.files[0].tolerance
