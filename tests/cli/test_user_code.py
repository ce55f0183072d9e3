"""`--import`: a user's own model and data, in worker processes too."""

import json
import os
import subprocess
import sys

from lottery_ticket.store import Store

MODULE = """
import torch
from torch import nn
from lottery_ticket import register_dataset, register_model
from lottery_ticket.data import DataSet, Split, content_digest

@register_model("my-net")
def my_net(input_size: int, num_classes: int, width: int = 6) -> nn.Module:
    return nn.Sequential(nn.Linear(input_size, width), nn.ReLU(), nn.Linear(width, num_classes))

@register_dataset("my-blobs")
def my_blobs(data_dir, per_class: int = 20) -> DataSet:
    y = torch.arange(3).repeat(per_class)
    x = torch.randn(len(y), 4, generator=torch.Generator().manual_seed(0)) + y[:, None]
    split = Split(x, y)
    digest = content_digest({"x": x, "y": y})
    return DataSet("my-blobs", split, None, split, "classification", 3, digest)
"""
SPEC = """
name: mine
data: {name: my-blobs, per_class: 30}
model: {name: my-net, width: 7}
train: {lr: 0.1, batch_size: 32, duration: 3ep}
prune: {rate: 0.5, levels: 1}
arms: [ticket, reinit]
"""


def lottery(tmp_path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lottery_ticket.cli", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "LOTTERY_STORE": "store"},
    )


def test_a_users_model_and_data(tmp_path):
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "mine.yaml").write_text(SPEC)
    # a module in the current folder; workers import it as well
    done = lottery(tmp_path, "run", "mine.yaml", "--import", "mine", "--jobs", "2", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    store = Store(tmp_path / "store")
    (run,) = store.runs()
    assert done.stdout == f"{run.id}\n"
    assert run.id.startswith("mine-")
    assert len(store.cell_names()) == 5
    assert run.layers == {"0.weight": [7, 4], "2.weight": [3, 7]}

    # other source, other results: nothing of the old one is taken for the new one
    (tmp_path / "mine.py").write_text(MODULE.replace("nn.ReLU()", "nn.Tanh()"))
    done = lottery(tmp_path, "plan", "mine.yaml", "--import", "mine.py", "--json")
    changed = json.loads(done.stdout)
    assert (changed["num_cells"], changed["num_finished"]) == (5, 0)
    assert not {cell["cell"] for cell in changed["cells"]} & store.cell_names()


def test_user_code_that_fails(tmp_path):
    (tmp_path / "mine.py").write_text("import no_such_module")
    done = lottery(tmp_path, "run", "quickstart", "--import", "mine.py")
    assert done.returncode == 2
    assert done.stderr == (
        "error: --import mine.py: ModuleNotFoundError: No module named 'no_such_module'\n"
    )
