"""Trainings that are looked after at each step, by way of the table of kinds."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from lottery_ticket.experiment import KINDS, Pace, TrainCell, read_progress

EACH_STEP = Pace(look_seconds=0.0, checkpoint_seconds=0.0, checkpoint_share=math.inf)

Look = Callable[[TrainCell, int], object]


@contextmanager
def kinds_kept() -> Iterator[None]:
    """A block after which cells are made as before."""
    before = dict(KINDS)
    try:
        yield
    finally:
        KINDS.update(before)


def look_at_each_step(look: Look = lambda cell, step: None, pace: Pace = EACH_STEP) -> None:
    """Train at this pace from now on, and call `look` with the cell and its step at each look: it
    is trained, but in no checkpoint yet. Of a batch of trainings the first one is looked at."""
    kind = KINDS["train"]

    def looked_at(cell, workspace):
        def must_stop() -> bool:
            shown = read_progress(workspace.desk)
            if shown is not None:  # else its claim was lost, and the work there cleared
                look(cell, cell.first_step + shown.step)
            return workspace.must_stop()

        return replace(workspace, must_stop=must_stop, pace=pace)

    KINDS["train"] = replace(
        kind,
        make=lambda cell, parents, space: kind.make(cell, parents, looked_at(cell, space)),
        make_together=lambda cells, parents, spaces: kind.make_together(
            cells, parents, [looked_at(*both) for both in zip(cells, spaces, strict=True)]
        ),
    )
