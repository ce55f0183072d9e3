"""What a training costs before its first step."""

import subprocess
import sys

import torch

from lottery_ticket.train import OPTIMIZERS, make_optimizer

DIRECT = """
import sys
import torch.nn.functional as F
from lottery_ticket.data import load_dataset
from lottery_ticket.models import build
from lottery_ticket.train import (
    Batches, TrainState, checkpoint_bytes, make_optimizer, restore_, step_for,
)

model = build("LeNet300", 0, input_size=64)
optimizer = make_optimizer("adam", model.parameters(), lr=0.01)
batches = Batches(load_dataset("digits").train, 16, order_seed=0)
step = step_for(model, optimizer, {}, batches, loss=F.cross_entropy)
for batch in batches.order(0):
    step(batch, 0.01)
step.write_()
state = TrainState(model, optimizer)
restore_(state, checkpoint_bytes(state))
print("torch._dynamo" in sys.modules)
"""


def test_direct_training_never_imports_torchs_compiler():
    """It would take each worker process longer than a small training."""
    done = subprocess.run(
        [sys.executable, "-c", DIRECT], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


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
