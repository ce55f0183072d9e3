"""Brought in by `imports`: trainings are checkpointed twenty times a second."""

from each_step import look_at_each_step

from lottery_ticket.experiment import Pace

look_at_each_step(pace=Pace(look_seconds=0.05, checkpoint_seconds=0.05))
