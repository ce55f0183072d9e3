"""Brought in by `imports`: the first worker to reach step 5 dies; once for a copy of this file."""

import os
import signal
from pathlib import Path

from lottery_ticket.experiment import _train_cell

_on_step = _train_cell._Watch.on_step


def _dies(watch, state) -> None:
    if state.step == 5:
        try:
            Path(__file__).with_name("died").touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    _on_step(watch, state)


_train_cell._Watch.on_step = _dies
