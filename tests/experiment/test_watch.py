"""Checkpoints come every so often, and take a small share of the time however slow they are."""

import time
from dataclasses import replace

import pytest
import torch
from tiny_runs import TINY, planned
from torch import nn

from lottery_ticket.experiment import Pace
from lottery_ticket.experiment.cells.journal import Journal, Watch
from lottery_ticket.spec import spec_from_mapping
from lottery_ticket.store import LocalDesk
from lottery_ticket.train import TrainState


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.mark.parametrize("cost", [0.0, 0.1, 3.0])
def test_checkpoints_take_at_most_two_percent(cost, tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    spent = 0.0

    class Disk(Journal):
        def checkpoint(self):
            nonlocal spent
            super().checkpoint()
            clock.now += cost
            spent += cost

    model = nn.Linear(2, 1)
    state = TrainState(model, torch.optim.SGD(model.parameters(), lr=0.1))
    (cell, *_) = (c for c in planned(spec_from_mapping(TINY)).cells.values() if c.num_steps)
    cell = replace(cell, last_step=10**9)
    journal = Disk(cell, state, LocalDesk(tmp_path), steps_per_epoch=10)
    watch = Watch([journal], lambda: False, Pace())
    began, times = clock.now, []
    for _ in range(2000):
        clock.now += 1.0
        (tmp_path / "checkpoint").unlink(missing_ok=True)
        watch(state)
        if (tmp_path / "checkpoint").exists():
            times.append(clock.now - began)
    assert times[0] == pytest.approx(15 + cost)
    assert len(times) > 10
    assert spent <= 0.02 * (clock.now - began) + cost
