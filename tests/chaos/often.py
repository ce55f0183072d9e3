"""Brought in by `--import`: trainings of a second are checkpointed, too."""

from dataclasses import replace

from lottery_ticket.experiment import KINDS, Pace

PACE = Pace(look_seconds=0.1, checkpoint_seconds=0.3, checkpoint_share=0.5)

kind = KINDS["train"]
together = kind.make_together
assert together is not None
KINDS["train"] = replace(
    kind,
    make=lambda cell, parents, space: kind.make(cell, parents, replace(space, pace=PACE)),
    make_together=lambda cells, parents, spaces: together(
        cells, parents, [replace(space, pace=PACE) for space in spaces]
    ),
)
