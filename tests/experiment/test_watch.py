"""Checkpoints come every so often, and take a small share of the time however slow they are."""

import pytest
import torch
from torch import nn

from lottery_ticket.experiment import _watch
from lottery_ticket.experiment._plan import Cell
from lottery_ticket.experiment._stop import StopSign
from lottery_ticket.train import TrainState


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(_watch.time, "monotonic", lambda: self.now)


@pytest.mark.parametrize("cost", [0.0, 0.1, 3.0])
def test_checkpoints_take_at_most_two_percent(cost, tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    spent = 0.0

    class Disk(_watch.Journal):
        def checkpoint(self):
            nonlocal spent
            super().checkpoint()
            clock.now += cost
            spent += cost

    model = nn.Linear(2, 1)
    state = TrainState(model, torch.optim.SGD(model.parameters(), lr=0.1))
    cell = Cell("name", {"kind": "train"}, {}, {}, num_steps=10**9)
    journal = Disk(cell, state, tmp_path, steps_per_epoch=10)
    watch = _watch.Watch([journal], StopSign(None))
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
