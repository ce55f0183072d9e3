"""Programs that have never heard of this library load what it wrote."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lottery_ticket.export import PrunedModel, export
from lottery_ticket.models import build

HERE = Path(__file__).parent
FORMATS = ["state_dict", "packed", "pt2", "onnx", "int8", "int8-dynamic",
           "compact", "compact-onnx", "compact-int8"]  # fmt: skip


@pytest.fixture(scope="module")
def shipped(tiny, tmp_path_factory):
    """A folder with every format, inputs and the outputs that are wanted."""
    folder = tmp_path_factory.mktemp("shipped") / "out"
    tiny.export(2, format=FORMATS, out=folder)
    pruned = tiny.pruned_model(2)
    x = pruned.test.x[:7]
    inputs = {"shape": list(x.shape), "values": x.flatten().tolist()}
    (folder / "inputs.json").write_text(json.dumps(inputs))
    return folder, pruned.outputs(x)


def check_outputs(printed, wanted, tolerance):
    found = json.loads(printed)
    assert found["shape"] == list(wanted.shape)
    got = torch.tensor(found["values"]).view(wanted.shape)
    assert float((got - wanted).abs().max()) <= tolerance * max(1.0, float(wanted.abs().max()))


ARCHITECTURE = """\
import json, sys
sys.modules["lottery_ticket"] = None
given = json.load(open("inputs.json"))
"""
TORCH = ARCHITECTURE + """\
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 12), nn.Linear(12, 8), nn.Linear(8, 10)
    def forward(self, x):
        return self.fc3(self.fc2(self.fc1(x.flatten(1)).relu()).relu())
model = Net()
x = torch.tensor(given["values"]).view(given["shape"])
"""  # fmt: skip
NUMPY = ARCHITECTURE + """\
import numpy as np
sys.modules["torch"] = None
x = np.array(given["values"], dtype=np.float32).reshape(given["shape"])
"""  # fmt: skip
END = """
print(json.dumps({"shape": list(outputs.shape), "values": outputs.flatten().tolist()}))
"""


def snippets(folder):
    """The lines that the model card gives for each file."""
    found = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    return dict(zip(FORMATS, found, strict=True))


def run_python(code, folder):
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("format", ["state_dict", "packed", "pt2", "compact"])
def test_plain_torch(format, shipped):
    folder, wanted = shipped
    code = TORCH + snippets(folder)[format] + END
    check_outputs(run_python(code, folder), wanted, 1e-5 if format == "compact" else 1e-6)


def test_plain_torch_of_a_two_four_model(tmp_path):
    """Where there is no GPU it is a plain state_dict."""
    torch.manual_seed(0)
    model = build("LeNet300", 0, input_size=64, hidden=[12, 8]).eval()
    for layer in (model.fc1, model.fc2, model.fc3):
        layer.weight.data[:, 2::4] = layer.weight.data[:, 3::4] = 0
    x = torch.rand(7, 64)
    folder = export(PrunedModel.of(model, x), format="2:4", out=tmp_path / "out").path
    inputs = {"shape": list(x.shape), "values": x.flatten().tolist()}
    (folder / "inputs.json").write_text(json.dumps(inputs))
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    check_outputs(run_python(TORCH + code + END, folder), model(x).detach(), 1e-6)


CHAIN = """
model = nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 10))
for layer, name in zip(model[::2], ("fc1", "fc2", "fc3")):
    layer.weight = nn.Parameter(state[name + ".weight"])
    layer.bias = nn.Parameter(state[name + ".bias"])
outputs = model(x.flatten(1)[:, state["fc1_inputs"].long()])
"""


def test_plain_torch_reads_the_weights_of_a_sparse_file(tmp_path):
    """By the lines of docs/ship.md; what is computed with them the graph in the file says."""
    torch.manual_seed(0)
    model = build("LeNet300", 0, input_size=64, hidden=[12, 8]).eval()
    for layer in (model.fc1, model.fc2, model.fc3):
        layer.weight.data *= torch.rand_like(layer.weight) < 0.1
    x = torch.rand(7, 64)
    export(PrunedModel.of(model, x), format="sparse", out=tmp_path / "model.sparse.safetensors")
    inputs = {"shape": list(x.shape), "values": x.flatten().tolist()}
    (tmp_path / "inputs.json").write_text(json.dumps(inputs))
    page = (HERE.parents[1] / "docs/ship.md").read_text(encoding="utf-8")
    (code,) = [part for part in re.findall(r"```python\n(.*?)```", page, re.S) if "by_rows" in part]
    check_outputs(run_python(TORCH + code + CHAIN + END, tmp_path), model(x).detach(), 1e-6)


@pytest.mark.parametrize("format", ["onnx", "int8", "int8-dynamic", "compact-onnx", "compact-int8"])
def test_onnx_runtime_without_torch(format, shipped):
    folder, wanted = shipped
    printed = run_python(NUMPY + snippets(folder)[format] + END, folder)
    check_outputs(printed, wanted, 0.1 if "int8" in format else 1e-5)


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory):
    """onnxruntime-node from npm, whose CPU runtime is in the package itself: without its install
    script nothing is downloaded from elsewhere."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("no node and npm here")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"private": true}')
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    command += ["--fetch-retries=0", "onnxruntime-node@1"]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if said.returncode:
        pytest.skip(f"npm cannot install onnxruntime-node: {said.stderr.strip()[-200:]}")
    return folder / "node_modules"


@pytest.mark.parametrize(
    "file",
    [
        "model.onnx",
        "model.int8.onnx",
        "model.int8-dynamic.onnx",
        "model.compact.onnx",
        "model.compact-int8.onnx",
    ],
)
def test_node(file, shipped, node_modules):
    folder, wanted = shipped
    said = subprocess.run(
        ["node", str(HERE / "consume.js"), file, "inputs.json"],
        cwd=folder,
        env={**os.environ, "NODE_PATH": str(node_modules)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    check_outputs(said.stdout, wanted, 0.1 if "int8" in file else 1e-5)


def test_other_outputs_are_caught(shipped):
    _, wanted = shipped
    said = {"shape": list(wanted.shape), "values": (wanted + 0.01).flatten().tolist()}
    with pytest.raises(AssertionError):
        check_outputs(json.dumps(said), wanted, 1e-5)
