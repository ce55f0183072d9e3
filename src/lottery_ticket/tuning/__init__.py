"""What `lottery sweep` does, from Python: a grid of recipes, each arm at its own best point."""

from lottery_ticket.tuning._asked import Asked as Asked
from lottery_ticket.tuning._checks import LargeSweepWarning as LargeSweepWarning
from lottery_ticket.tuning._planned import Planned as Planned
from lottery_ticket.tuning._planned import planned as planned
from lottery_ticket.tuning._sweep import LeftOutWarning as LeftOutWarning
from lottery_ticket.tuning._sweep import asked_of as asked_of
from lottery_ticket.tuning._sweep import made as made
from lottery_ticket.tuning._sweep import sweep as sweep
