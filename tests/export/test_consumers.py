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
from filelock import FileLock
from pruned_nets import a_residual_net, images

from lottery_ticket.export import PrunedModel, compact, export
from lottery_ticket.models import build

HERE = Path(__file__).parent
FORMATS = ["state_dict", "packed", "pt2", "onnx", "int8", "int8-dynamic",
           "compact", "compact-onnx", "compact-int8"]  # fmt: skip
IN_TORCH = ["state_dict", "packed", "pt2", "compact"]
IN_ONNX = ["onnx", "int8", "int8-dynamic", "compact-onnx", "compact-int8"]


def small_net(is_kept):
    """Of the architecture that TORCH writes down, with some of its weights."""
    torch.manual_seed(0)
    model = build("LeNet300", 0, input_size=64, hidden=[12, 8]).eval()
    for layer in (model.fc1, model.fc2, model.fc3):
        layer.weight.data *= is_kept(layer.weight)
    return PrunedModel.of(model, torch.rand(7, 64))


def two_of_four(weight):
    return torch.arange(weight.shape[1]) % 4 < 2


def one_of_ten(weight):
    return torch.rand_like(weight) < 0.1


def write_outputs(folder, inputs, wanted):
    for name, value in (("inputs", inputs), ("wanted", wanted)):
        text = json.dumps({"shape": list(value.shape), "values": value.flatten().tolist()})
        (folder / f"{name}.json").write_text(text)


@pytest.fixture(scope="session")
def shipped(tiny, shared_folder):
    """Folders with what is shipped of a run's ticket and of three nets, inputs, and what is wanted
    of them."""

    def ship(out):
        smaller, x = compact(a_residual_net(), images()).model, images(2)
        (out / "module").mkdir()
        torch.save(smaller, out / "module" / "net.pt")
        write_outputs(out / "module", x, smaller(x).detach())
        for name, pruned, formats in (
            ("run", tiny.pruned_model(2), FORMATS),
            ("two_four", small_net(two_of_four), "2:4"),
            ("sparse", small_net(one_of_ten), "sparse"),
        ):
            folder = export(pruned, format=formats, out=out / name).path
            x = pruned.inputs[:7]
            write_outputs(folder, x, pruned.outputs(x))

    return shared_folder("shipped", ship)


def check_outputs(found, folder, tolerance):
    assert "error" not in found, found["error"]
    wanted = json.loads((folder / "wanted.json").read_text())
    assert found["shape"] == wanted["shape"]
    got, wanted = (torch.tensor(outputs["values"]) for outputs in (found, wanted))
    assert float((got - wanted).abs().max()) <= tolerance * max(1.0, float(wanted.abs().max()))


# reads (folder, code) by name, and says what `outputs` are then; a start of torch takes seconds
PROGRAM = """\
import json, os, sys, traceback
sys.modules["lottery_ticket"] = None
{head}
said = {{}}
for name, (folder, code) in json.load(sys.stdin).items():
    os.chdir(folder)
    try:
        names = names_for(**json.load(open("inputs.json")))
        exec(code, names)
        outputs = names["outputs"]
        said[name] = {{"shape": list(outputs.shape), "values": outputs.flatten().tolist()}}
    except Exception:
        said[name] = {{"error": traceback.format_exc()}}
print(json.dumps(said))
"""
TORCH = """\
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 12), nn.Linear(12, 8), nn.Linear(8, 10)
    def forward(self, x):
        return self.fc3(self.fc2(self.fc1(x.flatten(1)).relu()).relu())
def names_for(values, shape):
    return {"model": Net(), "x": torch.tensor(values).view(shape), "torch": torch, "nn": nn}
"""
NUMPY = """\
sys.modules["torch"] = None
import numpy as np
def names_for(values, shape):
    return {"x": np.array(values, dtype=np.float32).reshape(shape)}
"""
CHAIN = """
model = nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 10))
for layer, name in zip(model[::2], ("fc1", "fc2", "fc3")):
    layer.weight = nn.Parameter(state[name + ".weight"])
    layer.bias = nn.Parameter(state[name + ".bias"])
outputs = model(x.flatten(1)[:, state["fc1_inputs"].long()])
"""
MODULE = """
model = torch.load("net.pt", weights_only=False)
outputs = model(x)
"""


def snippets(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


def said_by(head, questions):
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(head=head)]
    given = json.dumps({name: (str(folder), code) for name, (folder, code) in questions.items()})
    return subprocess.run(
        command, input=given, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


@pytest.fixture(scope="session")
def said(shipped, shared_folder):
    """What a process with torch alone, and one with ONNX Runtime alone, say of each file, by the
    lines of its model card."""
    of_run = dict(zip(FORMATS, snippets(shipped / "run" / "README.md"), strict=True))
    (of_two_four,) = snippets(shipped / "two_four" / "README.md")
    (by_rows,) = [code for code in snippets(HERE.parents[1] / "docs/ship.md") if "by_rows" in code]
    in_torch = {name: (shipped / "run", of_run[name]) for name in IN_TORCH}
    in_torch["two_four"] = shipped / "two_four", of_two_four
    in_torch["sparse"] = shipped / "sparse", by_rows + CHAIN
    in_torch["module"] = shipped / "module", MODULE
    in_onnx = {name: (shipped / "run", of_run[name]) for name in IN_ONNX}

    def ask(folder):
        (folder / "torch.json").write_text(said_by(TORCH, in_torch))
        (folder / "onnx.json").write_text(said_by(NUMPY, in_onnx))

    folder = shared_folder("said", ask)
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in ("torch", "onnx")}


@pytest.mark.parametrize("format", IN_TORCH)
def test_plain_torch(format, shipped, said):
    check_outputs(said["torch"][format], shipped / "run", 1e-5 if format == "compact" else 1e-6)


def test_plain_torch_of_a_two_four_model(shipped, said):
    """Where there is no GPU it is a plain state_dict."""
    check_outputs(said["torch"]["two_four"], shipped / "two_four", 1e-6)


def test_plain_torch_reads_the_weights_of_a_sparse_file(shipped, said):
    """By the lines of docs/ship.md; what is computed with them the graph in the file says."""
    check_outputs(said["torch"]["sparse"], shipped / "sparse", 1e-6)


def test_plain_torch_of_a_compacted_module(shipped, said):
    check_outputs(said["torch"]["module"], shipped / "module", 0.0)


@pytest.mark.parametrize("format", IN_ONNX)
def test_onnx_runtime_without_torch(format, shipped, said):
    check_outputs(said["onnx"][format], shipped / "run", 0.1 if "int8" in format else 1e-5)


@pytest.fixture(scope="session")
def node_modules(pytestconfig):
    """onnxruntime-node from npm, whose CPU runtime is in the package itself: without its install
    script nothing is downloaded from elsewhere. It stays in pytest's cache."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("no node and npm here")
    folder = pytestconfig.cache.mkdir("onnxruntime-node")
    with FileLock(folder / "lock"):
        if not (folder / "node_modules" / ".package-lock.json").exists():  # npm's last file
            (folder / "package.json").write_text('{"private": true}')
            command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund"]
            command += ["--prefer-offline", "--fetch-retries=0", "onnxruntime-node@1"]
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
    said = subprocess.run(
        ["node", str(HERE / "consume.js"), file, "inputs.json"],
        cwd=shipped / "run",
        env={**os.environ, "NODE_PATH": str(node_modules)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    check_outputs(json.loads(said.stdout), shipped / "run", 0.1 if "int8" in file else 1e-5)


def test_other_outputs_are_caught(shipped):
    folder = shipped / "run"
    said = json.loads((folder / "wanted.json").read_text())
    check_outputs(said, folder, 1e-5)
    said["values"][3] += 0.01 * max(1.0, *map(abs, said["values"]))
    with pytest.raises(AssertionError):
        check_outputs(said, folder, 1e-5)


def test_code_that_fails_is_caught(shipped, said):
    (found,) = json.loads(said_by(NUMPY, {"it": (shipped / "run", "import torch")})).values()
    with pytest.raises(AssertionError, match="import of torch halted"):
        check_outputs(found, shipped / "run", 1e-5)
