"""What a training costs before its first step."""

import subprocess
import sys

import torch

from lottery_ticket.train import OPTIMIZERS, make_optimizer

SCRIPT = """
import sys
import torch.nn.functional as F
from lottery_ticket.data import load_dataset
from lottery_ticket.models import build
from lottery_ticket.train import (
    Batches, TrainState, checkpoint_bytes, make_optimizer, restore_, step_for,
)

batches = Batches(load_dataset("digits").train, 64, order_seed=0)

def train(kernels, name):
    model = build("LeNet300", 0, input_size=64, hidden=[12, 8])
    optimizer = make_optimizer(name, model.parameters(), lr=0.01)
    how = {"loss": F.cross_entropy, "clip_norm": 1.0, "kernels": kernels}
    step = step_for(model, optimizer, {}, batches, **how)
    for batch in batches.order(0):
        step(batch, 0.01)
    step.write_()
    state = TrainState(model, optimizer)
    restore_(state, checkpoint_bytes(state))
    print(step.description["step"], name, "torch._dynamo" in sys.modules)

train("auto", "adam")
for name in ("sgd", "adam", "adamw"):
    train("autograd", name)
print("numba", "numba" in sys.modules)
"""


def test_training_never_imports_torchs_compiler_and_what_is_imported_is_seen():
    """It would take each worker process longer than a small training."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "direct adam False", "autograd sgd False", "autograd adam False", "autograd adamw False",
        "numba True",
    ]  # fmt: skip


def test_optimisers_are_torchs():
    layer = torch.nn.Linear(3, 2)
    for name, (made, _) in OPTIMIZERS.items():
        optimizer = make_optimizer(name, layer.parameters(), lr=0.1)
        theirs = getattr(torch.optim, made.__name__)
        assert isinstance(optimizer, theirs)
        saved = theirs(layer.parameters(), lr=0.2).state_dict()
        optimizer.load_state_dict(saved)
        assert optimizer.state_dict() == saved
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(2))]})
        assert len(optimizer.param_groups) == 2
